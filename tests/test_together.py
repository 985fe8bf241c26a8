"""Training by several processes under `accelerate launch`: what one process trains, and what is refused."""

import json
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from tiny import NAMES, chain_case, save_tiny

from workbench import models
from workbench.train import TrainConfig, train
from workbench.train.__main__ import main

FEW = "--train-cases 40 --held-out-cases 2 --held-out-sequences 0 --held-out-tool-cases 0 --seed 3".split()
SMALL = "--steps 4 --batch 4 --rank 4 --modules q_proj --checkpoint-every 2 --seed 3 --no-base".split()
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
LAUNCH += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0", "-m", "workbench.train"]


@pytest.mark.slow
@pytest.mark.parametrize("packed", ["--packed", "--no-packed"])
def test_two_processes_train_what_one_does(tmp_path, packed):
    base, cases = str(save_tiny(tmp_path / "llama", "llama")), str(tmp_path / "cases")
    assert main(["--model", base, "--topics", "Mapping", *FEW, "--draw-only", "--out", cases]) == 0
    words = ["--model", base, "--cases", cases, *SMALL, packed, "--out"]
    assert main([*words, str(tmp_path / "one")]) == 0
    done = subprocess.run([*LAUNCH, *words, str(tmp_path / "two")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("step 4 of 4") == 1  # one of the two tells
    one, two = (json.loads((tmp_path / name / "card.json").read_text()) for name in ("one", "two"))
    assert [card["training"]["processes"] for card in (one, two)] == [1, 2]
    for history in ("loss", "held_out_loss"):
        losses = [[row["loss"] for row in card["training"][history]] for card in (one, two)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    weights, again = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert all((weights[name] - again[name]).abs().max() < 2e-3 for name in weights)
    files = [{str(p.relative_to(place)) for p in place.rglob("*")} for place in (tmp_path / "one", tmp_path / "two")]
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
    with pytest.raises(ValueError, match=said):
        train(lm, [chain_case()], TrainConfig(steps=2, **config), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
