"""ReAGent on elements: take random elements out, move their scores by what the answer lost (Zhao, Shan 2024)."""

from __future__ import annotations

import numpy as np

from workbench.attribution.oracle import Oracle, ends, kept
from workbench.cases import Case


def reagent(
    game: Oracle,
    case: Case | None = None,
    *,
    rng: np.random.Generator,
    probes: int = 8,
    steps: int = 100,
    share: float = 0.3,
    top: int = 5,
    scale: float | None = None,
) -> np.ndarray:
    """Mean softmax of the probes' scores, those that converged; of all where none did. Up to 2 probes * steps + 2 rows.

    An element stands for one position; it is deleted where the original puts in other words, which a graph has not.
    share: of elements taken out per step. A probe stops when its `top` elements alone keep the decision. scale: units
    of the value in tanh(loss / scale), the loss between -1 and 1; None: |v(1) - v(0)|.
    """
    if probes < 1 or steps < 1 or top < 1 or not 0 < share < 1:
        raise ValueError(f"probes, steps and top must be 1 or more, share in (0, 1): {probes}, {steps}, {top}, {share}")
    n, (empty, full) = game.n, ends(game)
    unit = (abs(full - empty) or 1.0) if scale is None else scale
    scores, running = rng.random((probes, n)), np.ones(probes, dtype=bool)
    taken = min(max(1, round(share * n)), max(1, n - 1))
    for _ in range(steps):
        alive = np.flatnonzero(running)
        out = _ranks(rng.random((len(alive), n))) < taken
        # logit((delta + 1) / 2) of delta = tanh(x) is 2 x
        move = 2 * (full - game(~out)[:, None]) / unit
        scores[alive] += np.where(out, move, -move)
        running[alive] = ~kept(game, _ranks(-scores[alive]) < min(top, max(1, n - 1)))
        if not running.any():
            break
    final = scores if running.all() else scores[~running]
    weights = np.exp(final - final.max(1, keepdims=True))
    return (weights / weights.sum(1, keepdims=True)).mean(0)


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Rank of every entry in its row, 0 the lowest."""
    return rows.argsort(1, kind="stable").argsort(1, kind="stable")
