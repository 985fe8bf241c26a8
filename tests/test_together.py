"""Training by several processes under `accelerate launch`: what one process trains, and what is refused."""

import json
import subprocess
import sys

import pytest
from refusals import refused
from safetensors.torch import load_file
from tiny import NAMES, chain_case, save_tiny

from workbench import models
from workbench.train import TrainConfig, train
from workbench.train.__main__ import main

FEW = "--train-cases 40 --held-out-cases 2 --held-out-sequences 0 --held-out-tool-cases 0 --seed 3".split()
SMALL = "--steps 4 --batch 4 --rank 4 --modules q_proj --checkpoint-every 2 --seed 3 --no-base".split()
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
LAUNCH += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
PACKED = ("packed", "no-packed")

EACH = f"""
import runpy, sys
place, *words = sys.argv[1:]
for packed in {PACKED}:
    sys.argv[1:] = [*words, f"--{{packed}}", "--out", f"{{place}}/two {{packed}}"]
    try:
        runpy.run_module("workbench.train", run_name="__main__")
    except SystemExit as end:
        assert not end.code
"""
"""The command twice in the same two processes, of which each takes seconds to start."""


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    base, cases = str(save_tiny(tmp_path / "llama", "llama")), str(tmp_path / "cases")
    assert main(["--model", base, "--topics", "Mapping", *FEW, "--draw-only", "--out", cases]) == 0
    words = ["--model", base, "--cases", cases, *SMALL]
    (tmp_path / "each.py").write_text(EACH)
    command = [*LAUNCH, str(tmp_path / "each.py"), str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("step 4 of 4") == 2  # one of the two processes tells
    for packed in PACKED:
        places = [tmp_path / f"one {packed}", tmp_path / f"two {packed}"]
        assert main([*words, f"--{packed}", "--out", str(places[0])]) == 0
        one, two = (json.loads((place / "card.json").read_text()) for place in places)
        assert [card["training"]["processes"] for card in (one, two)] == [1, 2]
        for history in ("loss", "held_out_loss"):
            losses = [[row["loss"] for row in card["training"][history]] for card in (one, two)]
            assert losses[0] == pytest.approx(losses[1], abs=1e-3)
        weights, again = (load_file(place / "adapter_model.safetensors") for place in places)
        assert all((weights[name] - again[name]).abs().max() < 2e-3 for name in weights)
        files = [{str(p.relative_to(place)) for p in place.rglob("*")} for place in places]
        assert files[0] == files[1] and two["scores"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"batch": 4}, "batch must be a multiple of the 3 processes.*not 4"),
        ({"batch": 6, "seconds": 9}, "seconds must be"),
    ],
)
def test_what_processes_cannot_share_is_refused_before_any_work(tmp_path, monkeypatch, config, said):
    monkeypatch.setenv("WORLD_SIZE", "3")
    lm = models.load(names=NAMES)
    refused(said, train, lm, [chain_case()], TrainConfig(steps=2, **config), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
