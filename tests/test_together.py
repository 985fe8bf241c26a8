"""Training by several processes: what one process trains, told along the way, resumed, and ended with its parent."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
import torch
from safetensors.torch import load_file
from tiny import NAMES, chain_case, save_tiny

from workbench import models
from workbench.train import TrainConfig, Views, together, train
from workbench.train.__main__ import main

TINY = TrainConfig(rank=4, alpha=8, steps=6, batch=4, checkpoint_every=2, seed=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("base") / "llama", "llama")


def load(base):
    return models.load(str(base), names=NAMES)


@pytest.mark.parametrize("packed", [False, True])
def test_two_processes_train_what_one_does_and_tell_of_it(tmp_path, base, packed):
    config, seen, rows = replace(TINY, packed=packed), [], []
    one = train(load(base), [chain_case()], config, folder=tmp_path / "one", held_out=[chain_case()])
    two = train(
        load(base), [chain_case()], config, folder=tmp_path / "two", held_out=[chain_case()], processes=2,
        show=seen.append, listen=rows.append,
    )  # fmt: skip
    assert [r["loss"] for r in two.history] == pytest.approx([r["loss"] for r in one.history], abs=1e-4)
    assert [r["loss"] for r in two.held_out] == pytest.approx([r["loss"] for r in one.held_out], abs=1e-3)
    assert two.steps == 6 and two.seconds > 0
    weights, again = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(weights[name], again[name], atol=2e-3) for name in weights)
    assert {p.step for p in seen} >= {1, 6} and len(rows[-1]) == 6
    counted = [p.here[2] for p in seen if p.step == 6 and p.here[0] == 6]  # tokens of both, by those of the first
    expected = sum(
        len(views[i]["input_ids"]) for views in [Views([chain_case()], load(base), config=config)] for i in range(24)
    )
    assert counted and counted[-1] == pytest.approx(expected, rel=0.2)
    files = [{str(p.relative_to(place)) for p in place.rglob("*")} for place in (tmp_path / "one", tmp_path / "two")]
    assert files[0] == files[1]
    before = len(seen)
    train(load(base), [chain_case()], config, folder=tmp_path / "two", processes=2, show=seen.append)
    assert [p.step for p in seen[before:]] == [6]  # found done


def test_processes_that_were_killed_leave_no_others_and_their_checkpoint_is_gone_on_from(tmp_path, base):
    script = tmp_path / "begin.py"
    script.write_text(
        "import sys; sys.path[:0] = sys.argv[1:2]\n"
        "from pathlib import Path\n"
        "from tiny import NAMES, chain_case\n"
        "from workbench import models\n"
        "from workbench.train import TrainConfig, train\n"
        "lm = models.load(sys.argv[2], names=NAMES)\n"
        "config = TrainConfig(rank=4, alpha=8, steps=80, batch=4, checkpoint_every=4, seed=5)\n"
        "train(lm, [chain_case()], config, folder=Path(sys.argv[3]), processes=2)\n"
    )
    folder = tmp_path / "cut"
    words = [sys.executable, str(script), os.path.dirname(__file__), str(base), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as parent:
        noted = folder / "checkpoints" / "progress.json"
        while parent.poll() is None and not noted.exists():
            time.sleep(0.02)
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(signal.SIGKILL)
    assert len(children) == 3  # the launcher and two that train
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert json.loads(noted.read_text())["files"] and not (folder / "adapter_config.json").exists()
    order = together.FOLDER
    assert {p.name for p in (folder / order).iterdir()} == {"order.json", "cases.jsonl", "held_out.jsonl"}
    by_hand = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    words = [*by_hand, "-m", "workbench.train", str(folder)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    told = [json.loads(line)["progress"]["step"] for line in done.stdout.splitlines() if line.startswith('{"progress"')]
    assert min(told) >= 4 and max(told) == 80 and not (folder / order).exists()
    steps = []
    config = replace(TINY, steps=80, checkpoint_every=4)
    train(load(base), [chain_case()], config, folder=folder, processes=2, show=lambda p: steps.append(p.step))
    assert steps == [80]  # found done


def test_what_goes_wrong_in_a_process_is_told(tmp_path, base):
    lm = load(base)
    with torch.no_grad():  # a base model that its folder does not hold
        next(p for n, p in lm.model.named_parameters() if "norm" in n).add_(1)
    with pytest.raises(RuntimeError, match="trained another model than this one"):
        train(lm, [chain_case()], TINY, folder=tmp_path / "other", processes=2)
    (tmp_path / "empty").mkdir()
    lm = replace(load(base), name=str(tmp_path / "empty"))
    with pytest.raises(RuntimeError, match=r"2 processes failed: ModelError: model '.*empty'"):
        train(lm, [chain_case()], TINY, folder=tmp_path / "none", processes=2)


def test_processes_whose_memory_runs_out_take_their_share_in_parts(tmp_path, base, monkeypatch, caplog):
    one = train(load(base), [chain_case()], TINY, folder=tmp_path / "one")
    launch, asked = together.launch, []

    def short(job, parts):
        asked.append(parts)
        if parts == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        launch(job, parts)

    monkeypatch.setattr(together, "launch", short)
    two = train(load(base), [chain_case()], TINY, folder=tmp_path / "two", processes=2)
    assert asked == [1, 2]
    assert "in a training step of 2 cases at a time: it takes 1 from here on" in caplog.text
    assert [r["loss"] for r in two.history] == pytest.approx([r["loss"] for r in one.history], abs=1e-4)


@pytest.mark.parametrize(
    ("lines", "heard"),
    [
        (['{"error": "full", "out_of_memory": true}', "[a table]", '{"error": "later"}'], ("full", True)),
        (['{"error": "a"}', '{"out of": "place"', '{"error": "b", "out_of_memory": false}'], ("a", False)),
        (["a", "", "b"], ("a | b", False)),
    ],
)
def test_processes_say_what_went_wrong_and_whether_memory_was_short(lines, heard):
    words = [sys.executable, "-c", f"print({chr(10).join(lines)!r})"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert together._heard(process, show=lambda progress: None) == heard


@pytest.mark.parametrize("processes", [0, 3])
def test_a_batch_that_does_not_divide_is_refused_before_any_work(tmp_path, base, processes):
    with pytest.raises(ValueError, match=f"divide the batch of 4 cases evenly, not {processes}"):
        train(load(base), [chain_case()], TINY, folder=tmp_path / "out", processes=processes)
    assert not (tmp_path / "out").exists()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ValueError, match="at most the 1 GPUs here, not 2"):
        together.check_gpus(2)


def test_a_folder_without_a_training_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["workbench.train", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and "holds no training that was begun" in capsys.readouterr().err
