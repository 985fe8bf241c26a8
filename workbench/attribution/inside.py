"""Scores read from inside the model: attention and gradients through the gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.attribution.oracle import able, player_indices, whole_masks
from workbench.cases import Case

BATCH = 8  # gated rows whose graphs are held at once


def attention_highest(game: Any, case: Case | None = None) -> np.ndarray:
    """Attention (n,) that the answer's positions pay to each element."""
    found = able(game, "attention")
    shown = whole_masks(game, np.ones((1, game.n), dtype=bool))[0]
    return np.asarray(found.attention() if shown.all() else found.attention(shown), dtype=np.float64)[
        player_indices(game)
    ]


def attention_lowest(game: Any, case: Case | None = None) -> np.ndarray:
    """Minus that attention: the paper's other attention baseline (Wang, Chen, Kabir 2025)."""
    return -attention_highest(game)


def gradient_gate(game: Any, case: Case | None = None) -> np.ndarray:
    """Gradient times input at the gates, dv/dk_i * k_i at k = 1, in units of the value."""
    return gradients(game, np.ones((1, game.n)))[1][0]


def integrated_gradients(game: Any, case: Case | None = None, *, steps: int = 32) -> np.ndarray:
    """Integral of dv/dk_i along the straight path from k = 0 to k = 1, by Gauss-Legendre quadrature with `steps` nodes.

    Scores add up to v(1) - v(0) of the gated game (completeness), in units of the value.
    Source: Sundararajan, Taly, Yan 2017, eq. 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps!r}")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return path_gradients(game, (nodes + 1) / 2, weights / 2)


def path_gradients(game: Any, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean (n,) of the gradients at the places `at` (steps,) of the straight path, where every k_i is that."""
    keep = np.repeat(at[:, None], game.n, axis=1)
    slopes = [gradients(game, keep[k : k + BATCH])[1] for k in range(0, len(at), BATCH)]
    return np.average(np.concatenate(slopes), axis=0, weights=weights)


def gradients(game: Any, keep: np.ndarray, **form) -> tuple[np.ndarray, np.ndarray]:
    """Values (m,) of the gated game at float masks (m, n), and their gradients (m, n), below meters and restrictions.

    form: of the view to take where the game has views. ValueError: the game has no gradients.
    """
    found = able(game, "gradients")
    if callable(getattr(found, "view", None)):
        found = found.view(removal="gate", **form)
    values, slopes = found.gradients(whole_masks(game, keep))
    # who is gone for good has no effect
    there = whole_masks(game, np.ones((1, game.n)))
    return np.asarray(values, dtype=np.float64), (slopes * there)[:, player_indices(game)]
