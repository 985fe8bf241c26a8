"""The panel's thread and its debouncer, in an event loop like a kernel's. The training view: what it tells, that
watching changes nothing, and that a stop leaves an adapter to go on from."""

import asyncio
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_panel import panel
from tiny import NAMES, chain_case

from workbench import models
from workbench.artifacts.runs import RUN_DIR
from workbench.hands.panel import work
from workbench.hands.panel.parts import Chains, Held
from workbench.hands.panel.training import TrainingView, by_hand, words
from workbench.hands.panel.work import Cancelled, Debounced, Worker
from workbench.train import TrainConfig, collate, held_out_rows, train
from workbench.train.progress import HeldOut, Progress


def in_kernel(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[pytest.MonkeyPatch], None]:
    """A test that runs in a loop of its own thread, which the panel's parts take for a kernel's."""

    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(work, "get_ipython", lambda: SimpleNamespace(kernel=True))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, test()).result(120)

    return run


async def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_without_a_loop_everything_happens_at_once() -> None:
    seen: list = []
    Debounced(lambda: seen.append(1))()
    Worker().run("a", lambda job: 2, done=seen.append, failed=seen.append)
    assert seen == [1, 2]


@in_kernel
async def test_many_changes_are_one_call() -> None:
    seen: list[int] = []
    changed = Debounced(lambda: seen.append(len(seen)), seconds=0.05)
    for _ in range(20):
        changed()
    assert seen == []
    await asyncio.sleep(0.3)
    changed()
    changed.flush()
    changed.flush()
    assert seen == [0, 1]


@in_kernel
async def test_work_runs_beside_the_loop_and_only_the_last_of_a_kind_counts() -> None:
    worker, seen, began, go = Worker(), [], threading.Event(), threading.Event()

    def slow(job):
        began.set()
        go.wait(30)
        job.check()
        return "first"

    worker.run("a", slow, done=seen.append, failed=seen.append)
    await until(began.is_set)
    assert worker.busy("a")
    worker.run("a", lambda job: threading.current_thread().name, done=seen.append, failed=seen.append)
    worker.run("b", lambda job: 1 / 0, done=seen.append, failed=seen.append)
    go.set()
    await until(lambda: len(seen) == 2)
    assert seen[0].startswith("panel") and isinstance(seen[1], ZeroDivisionError)
    assert not worker.busy("a") and not worker.busy("b")


@in_kernel
async def test_a_cancelled_job_says_so() -> None:
    worker, seen, began = Worker(), [], threading.Event()

    def endless(job):
        began.set()
        while True:
            job.check()
            time.sleep(0.005)

    worker.run("a", endless, done=seen.append, failed=seen.append)
    await until(began.is_set)
    worker.cancel("a")
    worker.cancel("nothing")
    await until(lambda: seen)
    assert isinstance(seen[0], Cancelled)


@in_kernel
async def test_recompute_can_be_cancelled_and_done_and_the_button_comes_back() -> None:
    one = panel()
    one.config = type(one.config)(loop_steps=5000)
    view = one.view
    view.recompute.click()
    assert view.recompute.disabled and view.recompute.description == "running" and not view.cancel.disabled
    await until(lambda: "step" in view.status.value)
    assert 0 < view.progress.value < 1
    view.cancel.click()
    await until(lambda: not view.recompute.disabled)
    assert view.status.value.startswith("cancelled") and one.explanation is None and view.cancel.disabled
    one.config = type(one.config)(loop_steps=2)
    view.recompute.click()
    await until(lambda: not view.recompute.disabled)
    assert view.status.value.startswith("done") and one.explanation is not None
    one.view.graph.part.heard({"toggle": 0})
    assert one.by_hand is not None and one.outcome is None, "what costs nothing is shown before the answers"
    await until(lambda: one.outcome is not None)


@in_kernel
async def test_an_answer_to_what_is_no_longer_asked_is_dropped() -> None:
    one = panel()
    one.view.graph.part.heard({"toggle": 0})
    one.view.graph.part.heard({"toggle": 1})
    await until(lambda: not one.worker.busy("hand"))
    assert one.outcome is not None and one.outcome.removed == one.case.elements[:2]
    one.view.graph.part.heard({"toggle": 2})
    one.select("two")
    await until(lambda: not one.worker.busy("hand"))
    assert one.outcome is not None and one.outcome.removed == () and one.outcome.case.id == "two"


@in_kernel
async def test_a_view_that_no_update_reaches_is_made_anew() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.hands.panel.parts.PATIENCE", 0.05)
        held = Held(lambda: Chains(lambda row, node: None))
        held.part.picked = ["tuned_full", "x"]
        first = held.part
        first._message({"hello": 1})
        first._message({"alive": 1})
        await asyncio.sleep(0.3)
        assert held.part is first
        first._message({"hello": 1})
        await until(lambda: held.part is not first)
        assert held.children == (held.part,) and held.part.picked == ["tuned_full", "x"]


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
