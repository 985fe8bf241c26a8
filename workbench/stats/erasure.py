"""Faithfulness by erasure along an order of the elements: what is lost without the first ones.

An order is (n,) element numbers, most important first; `ranking` makes it of scores. Measures are in the unit of the
game.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.keeps import ask, without_first
from workbench.meter import Oracle

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)  # of the elements: the bins of ERASER


def ranking(scores: Sequence[float] | np.ndarray, *, rng: np.random.Generator | None = None) -> np.ndarray:
    """Element numbers (n,), highest score first. Equal scores: in random order with rng, else in that of the elements.

    ValueError: scores that are not (n,) finite numbers.

    Examples:
        >>> ranking([0.1, 0.9, 0.5]).tolist()
        [1, 2, 0]
    """
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite numbers in a row, one an element, not {values!r}"[:300])
    if rng is None:
        return np.argsort(-values, kind="stable")
    return np.lexsort((rng.random(len(values)), -values))


def top_k_drop(game: Oracle, order: np.ndarray, k: int) -> float:
    """v(all) - v(all but the first k) (ContextCite, Cohen-Wang et al. 2024). 2 rows.

    Examples:
        >>> def votes(keep):
        ...     return keep @ np.array([3.0, 1.0, 0.5])
        >>> votes.n = 3
        >>> top_k_drop(votes, np.array([0, 1, 2]), 2)
        4.0
    """
    full, left = ask(game, without_first(len(order), order, [0, k]))
    return float(full - left)


def comprehensiveness(game: Oracle, order: np.ndarray, *, shares: Sequence[float] = SHARES) -> float:
    """Mean over shares q of v(all) - v(all but the first q n), n q rounded up (ERASER, DeYoung et al. 2020, eq. 1).

    Examples:
        >>> def votes(keep):
        ...     return keep @ np.array([3.0, 1.0, 0.0, 0.0])
        >>> votes.n = 4
        >>> float(comprehensiveness(votes, np.array([0, 1, 2, 3]), shares=(0.25, 0.5)))
        3.5
    """
    values = ask(game, without_first(len(order), order, [0, *counts(len(order), shares)]))
    return float(values[0] - values[1:].mean())


def counts(n: int, shares: Sequence[float]) -> list[int]:
    """How many of n elements each share is, rounded up. ValueError: a share outside (0, 1], or none."""
    if not shares or any(not 0 < q <= 1 for q in shares):
        raise ValueError(f"shares must be one or more numbers in (0, 1], not {tuple(shares)!r}")
    return [int(np.ceil(round(q * n, 9))) for q in shares]  # 0.07 * 100 is a hair above 7
