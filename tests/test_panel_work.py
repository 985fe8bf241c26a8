"""The panel's thread and its debouncer, in an event loop like a kernel's."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from test_panel import panel

from workbench.hands.panel import work
from workbench.hands.panel.parts import Chains, Held
from workbench.hands.panel.work import Cancelled, Debounced, Worker


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
