"""What the parts of `bench gpu` share: how much is measured, the model, the clock, and what a rate is.

FLOP are those of the products with the weights: 2 a parameter and token forward, 4 with gradients. `share` is of the
card's own bf16 rate and counts all parameters, embeddings included; `share_of_matrices` counts the 4-bit matrices
alone, which is what a row without logits at its prompt computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from workbench.bench.gpu.clock import Clock
from workbench.bench.gpu.subject import Subject, World
from workbench.game import Engine
from workbench.models.prompts import Prompt

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


@dataclass
class Bench:
    """What the parts share. rate: the card's own, FLOP/s, and subject, the 8B model, are None before they are known."""

    quick: bool
    seed: int
    folder: Path  # for files that are needed meanwhile
    smollm2: str | None = None
    rate: float | None = None
    subject: Subject | None = None

    def __post_init__(self) -> None:
        self.size = TINY if self.quick else Size()
        self.device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self.clock = Clock(self.device, self.size.repeats)

    @cached_property
    def world(self) -> World:
        """Names and cases."""
        return World.drawn(cases=self.size.cases, seed=self.seed)

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
