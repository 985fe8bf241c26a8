"""Counting the forward passes of a model from outside, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from workbench.models import LanguageModel


@dataclass
class Passes:
    """Forward calls, rows of their batches, tokens without padding, and seconds of the block they were counted in."""

    calls: int = 0
    rows: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict:
        """Plain numbers."""
        return asdict(self)


@contextmanager
def counted(lm: LanguageModel) -> Iterator[Passes]:
    """Counts what `lm` computes while the block runs; the figures are complete when it ends.

    The hook sits on the input embeddings: a package that calls `model.forward` passes by the hooks of the model itself.
    """
    spent, pad = Passes(), lm.tokenizer.pad_token_id

    def see(_module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        ids = inputs[0]
        spent.calls += 1
        spent.rows += len(ids)
        spent.tokens += int((ids != pad).sum())

    hook = lm.model.get_input_embeddings().register_forward_pre_hook(see)
    started = _now(lm)
    try:
        yield spent
    finally:
        spent.seconds = _now(lm) - started
        hook.remove()


def _now(lm: LanguageModel) -> float:
    """Seconds, once the device has done what it was asked."""
    if lm.device.type == "cuda":
        torch.cuda.synchronize(lm.device)
    return time.perf_counter()
