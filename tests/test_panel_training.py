"""The training view: what it tells, that watching changes nothing, and that a stop leaves an adapter to go on from."""

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import NAMES, chain_case

from workbench import models
from workbench.artifacts.runs import RUN_DIR
from workbench.hands.panel.training import TrainingView, by_hand, words
from workbench.train import TrainConfig, collate, held_out_rows, train
from workbench.train.progress import HeldOut, Progress

CONFIG = TrainConfig(rank=4, alpha=8, steps=6, batch=2, checkpoint_every=3, dropout=0.1, seed=5)


def loaded(model: Path) -> models.LanguageModel:
    return models.load(str(model), names=NAMES)


def trained(model: Path, folder: Path, **how):
    return train(loaded(model), [chain_case()], CONFIG, folder=folder, **how)


def same(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_watching_changes_nothing_and_tells_both_curves_speed_and_time(model: Path, tmp_path: Path, capsys) -> None:
    plain = trained(model, tmp_path / "plain")
    seen: list[Progress] = []
    view = TrainingView(steps=CONFIG.steps, held_out="held-out pairs")
    view.display()

    def show(progress: Progress) -> None:
        seen.append(progress)
        view(progress)

    watched = trained(model, tmp_path / "watched", show=show, held_out=[chain_case()] * 3)
    view.finish(watched)
    assert same(tmp_path / "plain", tmp_path / "watched"), "dropout draws the same numbers"
    assert watched.history == plain.history and plain.held_out == [] and watched.steps == CONFIG.steps
    assert [row["step"] for row in watched.held_out] == [0, 6]
    assert watched.held_out[0]["loss"] > watched.held_out[-1]["loss"]
    assert [p.step for p in seen] == [0, 1, 2, 3, 4, 5, 6]
    assert seen[0].left is None and seen[0].tokens_per_second == 0
    assert seen[3].left == pytest.approx(seen[3].here[1]) and seen[3].tokens_per_second > 0
    assert "step 6 of 6" in view.said and "tokens a second" in view.said and "loss on held-out pairs" in view.said
    assert "on held-out pairs from" in view.figure.alt
    written = view.export(tmp_path / "curve")
    assert [path.suffix for path in written] == [".png", ".svg", ".csv"]
    assert written[2].read_text().count("held-out pairs,") == 2 and written[2].read_text().count("training,") == 6


def test_the_held_out_loss_is_that_of_the_labelled_tokens_alone_and_leaves_no_trace(model: Path) -> None:
    lm = loaded(model)
    rows = held_out_rows([chain_case()] * 5, lm, CONFIG)
    assert len({len(row["input_ids"]) for row in rows}) > 1, "some have facts withheld"
    one = HeldOut(rows, lambda some: collate(some, 0), batch=2)
    lm.model.train()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    found = one.loss(lm.model)
    assert lm.model.training and torch.equal(torch.get_rng_state(), state)
    lm.model.eval()
    total, count = 0.0, 0
    for row in rows:
        logits = lm.model(input_ids=torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
        for i, label in enumerate(row["labels"]):
            if label >= 0:
                total, count = total - float(logits[i - 1, label]), count + 1
    assert found == pytest.approx(total / count, rel=1e-5)


def test_held_out_rows_are_scored_so_seldom_that_it_stays_cheap() -> None:
    one = HeldOut([{"input_ids": [], "labels": []}] * 32, dict, batch=16)
    assert one.every(10) == 40 and one.every(7) == 42
    assert dataclasses.replace(one, batch=2).every(10) == 320


def interrupt(at: int) -> Callable[[Progress], None]:
    """Interrupts the training once this step is done."""
    return lambda progress: os.kill(os.getpid(), signal.SIGINT) if progress.step == at else None


def test_an_interrupt_stops_after_the_step_and_leaves_an_adapter(model: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    cut = trained(model, tmp_path / "cut", show=interrupt(2), held_out=[chain_case()], stoppable=True)
    assert signal.getsignal(signal.SIGINT) is before
    assert cut.steps == 3, "the step that was running is done to its end"
    assert [row["step"] for row in cut.held_out] == [0, 3]
    assert models.load(str(model), names=NAMES, adapter=tmp_path / "cut")
    view = TrainingView(steps=CONFIG.steps)
    view.finish(cut)
    assert "stopped before step 6" in view.said


def test_a_stopped_training_goes_on_where_it_was_stopped(model: Path, tmp_path: Path) -> None:
    lm = loaded(model)
    train(lm, [chain_case()], CONFIG, folder=tmp_path / "cut", show=interrupt(1), stoppable=True)
    steps: list[int] = []  # the same cell run again: the model has an adapter already
    again = train(lm, [chain_case()], CONFIG, folder=tmp_path / "cut", show=lambda p: steps.append(p.step))
    assert steps[0] == 2 and again.steps == 6 and [row["step"] for row in again.history] == [1, 2, 3, 4, 5, 6]
    trained(model, tmp_path / "whole")
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_where_it_is_not_stoppable_an_interrupt_interrupts(model: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(model, tmp_path / "cut", show=interrupt(0))
    assert not (tmp_path / "cut/adapter_model.safetensors").exists()


def test_a_headless_run_is_not_by_hand(monkeypatch) -> None:
    monkeypatch.delenv(RUN_DIR, raising=False)
    assert by_hand()
    monkeypatch.setenv(RUN_DIR, "somewhere")
    assert not by_hand()


def test_time_left_and_speed_are_in_words() -> None:
    said = words(Progress(50, 200, [], [], 10.0, (50, 10.0, 2000), 0.1))
    assert said == "step 50 of 200, 10 s spent, about 30 s left, 200 tokens a second, scoring took 1.0 % of the time"
