"""Counting the forward passes of a model from outside, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from workbench.models import LanguageModel


@dataclass
class Passes:
    """Forward calls, rows of their batches, tokens without padding, and seconds."""

    calls: int = 0
    rows: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict:
        """Plain numbers."""
        return {"calls": self.calls, "rows": self.rows, "tokens": self.tokens, "seconds": self.seconds}

    def __sub__(self, other: Passes) -> Passes:
        """What came after `other`, which was counted from the same start."""
        return Passes(**{name: value - getattr(other, name) for name, value in self.to_dict().items()})


class Counter:
    """Counts what a language model computes, from `start` to `stop`; `marked` is what it was at the last `mark`.

    The hook sits on the input embeddings: a package that calls `model.forward` passes by the hooks of the model itself.
    """

    def __init__(self, lm: LanguageModel):
        self.lm, self.spent, self.marked = lm, Passes(), Passes()

    def start(self) -> None:
        """Sets the hook and the clock."""
        self.hook = self.lm.model.get_input_embeddings().register_forward_pre_hook(self._see)
        self.began = self._now()

    def stop(self) -> None:
        """Takes the hook away; `spent` is complete."""
        self.spent.seconds = self._now() - self.began
        self.hook.remove()

    def mark(self) -> None:
        """Keeps what has been counted up to here as `marked`."""
        self.marked = replace(self.spent, seconds=self._now() - self.began)

    def _see(self, _module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        ids = inputs[0]
        self.spent.calls += 1
        self.spent.rows += len(ids)
        self.spent.tokens += int((ids != self.lm.tokenizer.pad_token_id).sum())

    def _now(self) -> float:
        """Seconds, once the device has done what it was asked."""
        if self.lm.device.type == "cuda":
            torch.cuda.synchronize(self.lm.device)
        return time.perf_counter()


@contextmanager
def counted(lm: LanguageModel) -> Iterator[Counter]:
    """Counts while its block runs; `spent` is complete when it ends."""
    counter = Counter(lm)
    counter.start()
    try:
        yield counter
    finally:
        counter.stop()
