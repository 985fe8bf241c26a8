"""What the parts of `bench gpu` share: how much is measured, the model, the clock, and what a rate is.

FLOP are those of the products with the weights: 2 a parameter and token forward, 4 with gradients. `share` is of the
card's own bf16 rate and counts all parameters, embeddings included; `share_of_matrices` counts the 4-bit matrices
alone, which is what a row without logits at its prompt computes."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from workbench.game import Engine
from workbench.hands.bench.contenders import now
from workbench.hands.bench.gpu.subject import Subject, World
from workbench.models.prompts import Prompt

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
        started = now(self.device)
        work()
        return now(self.device) - started

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


Row = dict
Steps = Iterator[tuple[str, Callable[[], Row]]]
"""What a part consists of: names, and work that is done when it is its turn and returns a row of figures."""

KEPT = 0.9  # share of the facts that a random mask keeps


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    facts: int = 70
    rows: int = 64
    batch_tokens: tuple[int, ...] = (8192, 32768, 65536)
    masks: int = 32
    answer_tokens: int = 32  # of an answer that decides
    new_tokens: int = 24
    together: tuple[int, ...] = (1, 16)  # rows that are generated at once
    elements: int = 32
    searches: int = 3
    gates: int = 4
    cases: int = 400
    steps: int = 12
    unsteady: int = 3  # first steps of a training that do not count
    batch: int = 16
    side: int = 8192
    products: int = 40
    copied: int = 4 << 30  # bytes
    repeats: int = 3


TINY = Size(
    facts=24, rows=4, batch_tokens=(512, 2048), masks=4, answer_tokens=6, new_tokens=4, together=(1, 2), elements=8,
    searches=1, gates=2, cases=20, steps=3, unsteady=1, batch=2, side=128, products=2, copied=1 << 20, repeats=2,
)  # fmt: skip


class Bench:
    """What the parts share. folder: for files that are needed meanwhile. rate: the card's own, FLOP/s, and subject, the
    8B model, are None before they are known."""

    rate: float | None = None
    subject: Subject | None = None

    def __init__(self, *, quick: bool, seed: int, folder: Path):
        self.quick, self.seed, self.folder = quick, seed, folder
        self.size = TINY if self.quick else Size()
        self.device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self.clock = Clock(self.device, self.size.repeats)

    @cached_property
    def world(self) -> World:
        """Names and cases."""
        return World(cases=self.size.cases, seed=self.seed)

    @property
    def model(self) -> Subject:
        """The 8B model. RuntimeError: it could not be made."""
        if self.subject is None:
            raise RuntimeError("there is no 8B model: see what the part `model` says")
        return self.subject

    def engine(self, batch_tokens: int | None = None) -> Engine:
        """A fresh engine of the 8B model; by default with passes of the second largest size that is measured."""
        return Engine(self.model.lm, batch_tokens=batch_tokens or self.size.batch_tokens[-2])

    def masks(self, count: int) -> np.ndarray:
        """Random fact masks (count, facts) bool."""
        rng = np.random.default_rng(self.seed)
        return rng.random((count, len(self.model.case.facts))) < KEPT

    def asked(self, masks: np.ndarray) -> tuple[list[Prompt], tuple[int, ...], int]:
        """The long case's prompts under fact masks, its answer's tokens, and the tokens of all rows together."""
        engine, case = self.engine(), self.model.case
        prompts = [engine.prompt(case, mask) for mask in masks]
        answer = engine.answer_ids(case, case.path)
        return prompts, answer, sum(len(p.ids) + len(answer) - 1 for p in prompts)

    def rates(self, spent: Row, *, rows: int, tokens: int, flop: float = 2.0) -> Row:
        """A row: what was spent, and rows, tokens and FLOP a second. flop: a parameter and token."""
        a_parameter, share = flop * tokens / spent["seconds"], {}
        if self.rate:
            share = {"share": a_parameter * self.model.parameters / self.rate}
            share |= {"share_of_matrices": a_parameter * self.model.matrices / self.rate}
        rates = {"rate": rows / spent["seconds"], "unit": "rows/s", "tokens_per_second": tokens / spent["seconds"]}
        tflops = a_parameter * self.model.parameters / 1e12
        return {"rows": rows, "tokens": tokens, **spent, **rates, "tflops": tflops, **share}
