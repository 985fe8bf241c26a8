"""Attention that the facts of a prompt receive while the model answers: what the attention baselines rank by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.cases import Case
from workbench.game import Engine


def attention_received(
    engine: Engine, cases: Sequence[Case], answers: Sequence[Sequence[int]] | None = None, *, adapter: bool = True
) -> list[np.ndarray]:
    """Per case (facts,) float64: the share of attention that falls on a fact's tokens, summed over them, then mean over
    layers, heads and the positions that predict the answer. 0 <= share, their sum <= 1.

    answers: token ids per case (teacher-forced); None: those of the model's own greedy answer.
    """
    raise NotImplementedError


def element_attention(case: Case, facts: np.ndarray) -> np.ndarray:
    """Attention (facts,) as attention of the elements (n,), nodes first: a node gets the mean of its facts."""
    raise NotImplementedError
