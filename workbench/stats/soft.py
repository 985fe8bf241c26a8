"""Soft sufficiency and comprehensiveness at matched retention: scores as probabilities to keep an element.

A method whose scores are larger keeps more, and keeping more looks sufficient. Here the probabilities of every method
are brought to the same mean, the retention, and the measure is read as a curve over retentions; `area` averages it.

What is lost by a mask is a `drop`: (m, n) masks -> (m,), 0 for nothing lost. `value_drop` reads it off a game's values,
`hellinger_drop` off next-token distributions. Report which one was used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workbench.meter import Oracle
from workbench.stats.oracle import ask

RETENTIONS = tuple(k / 10 for k in range(1, 10))
EXACT_UP_TO = 12  # elements: all masks are asked, weighted by their probability; beyond, masks are drawn


def keep_probabilities(scores: Sequence[float] | np.ndarray, retention: float) -> np.ndarray:
    """Probabilities (n,) to keep an element, of mean `retention`, rising with its score.

    Scores are put on [0, 1] by their extremes (equal scores: 1/2) and shrunk towards 0, or 1, as far as the mean asks:
    s pi / mean(s), or 1 - (1 - s) (1 - pi) / (1 - mean(s)).
    ValueError: no scores, one that is not finite, or a retention outside [0, 1].
    """
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"scores must be one or more finite numbers in a row, not {values!r}"[:300])
    if not 0 <= retention <= 1:
        raise ValueError(f"retention must lie in [0, 1], not {retention!r}")
    low, high = values.min(), values.max()
    unit = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    mean = unit.mean()
    if retention <= mean:
        return unit * (retention / mean)
    return 1 - (1 - unit) * ((1 - retention) / (1 - mean))


def value_drop(game: Oracle) -> Oracle:
    """max(0, v(all) - v(mask)), in the unit of the game; asks for v(all) with every call."""

    def drop(keep: np.ndarray) -> np.ndarray:
        values = ask(game, np.vstack([np.ones_like(keep[:1]), keep]))
        return np.maximum(0, values[0] - values[1:])

    return drop


def hellinger_drop(distributions: Callable[[np.ndarray], np.ndarray]) -> Oracle:
    """Hellinger distance to the distributions of the whole graph, mean over answer positions, in [0, 1].

    distributions: masks (m, n) -> probabilities (m, classes) or (m, positions, classes).
    """

    def drop(keep: np.ndarray) -> np.ndarray:
        roots = np.sqrt(np.asarray(distributions(np.vstack([np.ones_like(keep[:1]), keep])), dtype=float))
        apart = np.sqrt(((roots[1:] - roots[:1]) ** 2).sum(-1) / 2)
        return apart.reshape(len(keep), -1).mean(1)

    return drop


def soft_sufficiency(drop: Oracle, scores: Sequence[float] | np.ndarray, **how) -> np.ndarray:
    """Normalised soft sufficiency at every retention, 1 for nothing lost: max(0, 1 - E[drop] / drop(none kept)).

    It is max(0, S - S0) / (1 - S0) with S = 1 - E[drop] (Zhao and Aletras 2023), at matched retention. how: as
    in `expected_drop`. NaN where keeping nothing loses nothing.
    """
    lost, empty = expected_drop(drop, np.asarray(scores, dtype=float), **how)
    return np.maximum(0, 1 - lost / empty) if empty > 0 else np.full(len(lost), np.nan)


def soft_comprehensiveness(drop: Oracle, scores: Sequence[float] | np.ndarray, **how) -> np.ndarray:
    """Normalised soft comprehensiveness at every retention: E[drop] / drop(none kept), keeping the *low* scores.

    C / (1 - S0) with C = E[drop] (Zhao and Aletras 2023), at matched retention. how: as in `expected_drop`.
    NaN where keeping nothing loses nothing.
    """
    lost, empty = expected_drop(drop, -np.asarray(scores, dtype=float), **how)
    return lost / empty if empty > 0 else np.full(len(lost), np.nan)


def expected_drop(
    drop: Oracle,
    scores: np.ndarray,
    *,
    retentions: Sequence[float] = RETENTIONS,
    draws: int = 64,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, float]:
    """Mean drop (retentions,) over masks that keep by score, and the drop of keeping nothing, in one call.

    Exact up to 12 elements; beyond, `draws` masks a retention from the same random numbers, so that methods given equal
    generators are compared on equal ones. ValueError: more than 12 elements and no rng.
    """
    chances = np.array([keep_probabilities(scores, r) for r in retentions])  # (retentions, n)
    n = len(scores)
    if n <= EXACT_UP_TO:
        masks = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 > 0
        weights = np.where(masks, chances[:, None, :], 1 - chances[:, None, :]).prod(-1)  # (retentions, masks)
        values = np.asarray(drop(masks), dtype=float)
        return weights @ values, float(values[0])
    if rng is None:
        raise ValueError(f"of {n} elements masks are drawn, which needs rng; only up to {EXACT_UP_TO} all are asked")
    masks = rng.random((draws, 1, n)) < chances  # (draws, retentions, n)
    values = np.asarray(drop(np.vstack([np.zeros((1, n), bool), masks.reshape(-1, n)])), dtype=float)
    return values[1:].reshape(draws, -1).mean(0), float(values[0])
