"""Scores read from inside the model: attention and gradients through the gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.cases import Case
from workbench.peers.oracle import able

BATCH = 8  # gated rows whose graphs are held at once


def attention_highest(game: Any, case: Case | None = None) -> np.ndarray:
    """Attention (n,) that the answer's positions pay to each element."""
    return np.asarray(able(game, "attention").attention(), dtype=np.float64)


def attention_lowest(game: Any, case: Case | None = None) -> np.ndarray:
    """Minus that attention: the paper's other attention baseline (Wang, Chen, Kabir 2025)."""
    return -attention_highest(game)


def gradient_gate(game: Any, case: Case | None = None) -> np.ndarray:
    """Gradient times input at the gates, dv/dk_i * k_i at k = 1, in units of the value."""
    found = gated(game)
    return np.asarray(found.gradients(np.ones((1, found.n)))[1][0], dtype=np.float64)


def integrated_gradients(game: Any, case: Case | None = None, *, steps: int = 32) -> np.ndarray:
    """Integral of dv/dk_i along the straight path from k = 0 to k = 1, by Gauss-Legendre quadrature with `steps` nodes.

    Scores add up to v(1) - v(0) of the gated game (completeness; see `completeness_gap`), in units of the value.
    Source: Sundararajan, Taly, Yan 2017, eq. 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps!r}")
    found = gated(game)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    keep = np.repeat((nodes[:, None] + 1) / 2, found.n, axis=1)
    slopes = [found.gradients(keep[k : k + BATCH])[1] for k in range(0, steps, BATCH)]
    return weights / 2 @ np.concatenate(slopes)


def completeness_gap(game: Any, scores: np.ndarray) -> float:
    """Sum of scores less v(1) - v(0) of the gated game, in units of the value."""
    found = gated(game)
    empty, full = found.gradients(np.array([[0.0] * found.n, [1.0] * found.n]))[0]
    return float(np.sum(scores) - (full - empty))


def gated(game: Any) -> Any:
    """The game below meters, with gates as its way to remove, which float masks need."""
    found = able(game, "gradients")
    return found.view(removal="gate") if callable(getattr(found, "view", None)) else found
