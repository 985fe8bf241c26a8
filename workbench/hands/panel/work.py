"""What keeps a panel alive while a model runs: a debouncer, and one thread that does the work, one job at a time.

Both need the event loop of a notebook's kernel. Where there is none (papermill calls methods, tests, scripts), what is
asked for is done at once, in place.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from IPython import get_ipython

T = TypeVar("T")
QUIET = 0.1  # seconds without a change before a slider's is shown


class Cancelled(Exception):
    """The job was cancelled, or a newer one of the same kind took its place."""


def kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The running event loop of a notebook's kernel; None elsewhere, whatever loops run there."""
    if getattr(get_ipython(), "kernel", None) is None:
        return None
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Debounced:
    """Calls `act` once changes have ceased for `seconds`; `flush` does at once what is waiting."""

    def __init__(self, act: Callable[[], Any], *, seconds: float = QUIET):
        self.act, self.seconds = act, seconds
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        loop = kernel_loop()
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(self.seconds, self._fire) if loop else None
        if loop is None:
            self.act()

    def flush(self) -> None:
        """Does what is waiting, if anything is."""
        if self._timer:
            self._timer.cancel()
            self._fire()

    def _fire(self) -> None:
        self._timer = None
        self.act()


@dataclass(eq=False)
class Job:
    """One piece of work. kind: of jobs of one kind only the last counts."""

    kind: str
    _stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Call it now and then. Cancelled: the job is not wanted any more."""
        if self._stop.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Ends it at its next `check`."""
        self._stop.set()


class Worker:
    """Runs jobs on one thread, one after the other, and hands their outcomes back on the kernel's loop.

    The kernel stays free meanwhile: a cancel button answers.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="panel")
        self._last: dict[str, Job] = {}

    def busy(self, kind: str) -> bool:
        """Whether a job of this kind is waiting or running."""
        return kind in self._last

    def cancel(self, kind: str) -> None:
        """Cancels the job of this kind, if there is one."""
        if kind in self._last:
            self._last[kind].cancel()

    def run(
        self, kind: str, work: Callable[[Job], T], *, done: Callable[[T], Any], failed: Callable[[BaseException], Any]
    ) -> None:
        """Starts `work` in the background; then `done` or `failed` is called, the latter also with `Cancelled`.

        A job of the same kind that has not ended is cancelled, and nothing is said of it.
        """
        self.cancel(kind)
        job = self._last[kind] = Job(kind)
        settle = on_loop(self._settle)
        if kernel_loop() is None:
            settle(job, *_tried(work, job), done, failed)
        else:
            self._pool.submit(lambda: settle(job, *_tried(work, job), done, failed))

    def _settle(self, job: Job, result: Any, error: BaseException | None, done: Any, failed: Any) -> None:
        if self._last.get(job.kind) is not job:
            return  # a newer one took its place
        del self._last[job.kind]
        if error is None:
            done(result)
        else:
            failed(error)


def _tried(work: Callable[[Job], T], job: Job) -> tuple[T | None, BaseException | None]:
    try:
        job.check()
        return work(job), None
    except BaseException as error:  # whatever it is, the panel must say so and come back
        return None, error


def on_loop(act: Callable[..., Any]) -> Callable[..., None]:
    """`act` as a function that may be called from the working thread: it runs on the kernel's loop, or in place."""
    loop = kernel_loop()

    def call(*arguments: Any) -> None:
        if loop is None:
            act(*arguments)
        else:
            loop.call_soon_threadsafe(act, *arguments)

    return call
