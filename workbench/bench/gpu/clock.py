"""Time on a GPU: seconds of work that runs beside the processor, and work that is cut off when its time is over."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

RINGS_AGAIN = 5.0  # seconds: a library may swallow the first


class OutOfTime(BaseException):
    """The time of a part is over. No `Exception`: what libraries catch would hide it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in its block after so many seconds, and before it where there are none; outside the main thread,
    where no signal arrives, it cuts nothing off."""
    if seconds <= 0:
        raise OutOfTime("there was no time left for it")
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: object) -> None:
        raise OutOfTime(f"its {seconds:.1f} s were over")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, RINGS_AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Clock:
    """Times work on a device. repeats: calls that are timed where time allows; ends: when the part at hand has to be
    done, by `time.monotonic`."""

    device: torch.device
    repeats: int
    ends: float = math.inf
    before: int = 0  # bytes held when `memory` began to count

    def seconds(self, work: Callable[[], object]) -> float:
        """Of one call, from an idle device to an idle device."""
        self.wait()
        started = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - started

    def wait(self) -> None:
        """Until the device has done what it was asked."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, work: Callable[[], object]) -> dict:
        """Median seconds of the calls after one that warms up, as `summary` tells them, and the most memory held.

        Fewer than `repeats`, one at least, where the part's time would not do.
        """
        self.forget_peak()
        spent = [self.seconds(work)]
        while len(spent) <= self.repeats and (len(spent) < 2 or time.monotonic() + 1.5 * spent[-1] < self.ends):
            spent.append(self.seconds(work))
        return {**summary(spent[1:]), "first_seconds": spent[0], **self.memory()}

    def forget_peak(self) -> None:
        """From here on `memory` counts."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)

    def memory(self) -> dict[str, float]:
        """GiB held on the GPU, weights included: before the work, and the most; nothing on a processor."""
        if self.device.type != "cuda":
            return {}
        peak = torch.cuda.max_memory_allocated(self.device)
        return {"before_gib": self.before / 2**30, "peak_gib": peak / 2**30}


def summary(seconds: list[float]) -> dict:
    """Median, smallest and largest, and how many."""
    return {
        "seconds": float(np.median(seconds)),
        "seconds_low": min(seconds),
        "seconds_high": max(seconds),
        "n": len(seconds),
    }
