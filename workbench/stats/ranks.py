"""How good scores are: what is lost without the first elements, how well their sum foretells the game, and how well
they rank the planted elements, or those of another order of the facts.

An order is (n,) element numbers, most important first; `ranking` makes it of scores. Measures by removal are in the
unit of the game.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from workbench.stats.keeps import ask, draw_masks, without_first
from workbench.stats.meter import Oracle

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


def spearman(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Rank correlation in [-1, 1], ties sharing their mean rank; NaN where one of the two is constant.

    ValueError: not one value of each a pair, or no pairs.

    Examples:
        >>> round(spearman([1, 2, 3], [10, 20, 90]), 6), round(spearman([1, 2, 3], [3, 2, 1]), 6)
        (1.0, -1.0)
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"a rank correlation needs as many values of both, in a row, not {a.shape} and {b.shape}")
    a, b = (ranks - ranks.mean() for ranks in (rankdata(a), rankdata(b)))
    length = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / length, -1, 1)) if length > 0 else float("nan")


def lds(
    game: Oracle,
    scores: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
    masks: int = 100,
    keep: float | np.ndarray = 0.5,
) -> float:
    """Spearman correlation of the kept elements' summed scores with the game's values on fresh random masks.

    1 where the scores (n,) order all masks as the game does; NaN where one of the two is constant. Costs `masks` rows.
    Source: Park et al. 2023 (TRAK); on masked contexts Cohen-Wang et al. 2024 (ContextCite).

    Examples:
        >>> weights = np.array([3.0, 2.0, 1.0])
        >>> def game(keep):
        ...     return keep @ weights
        >>> game.n = 3
        >>> round(lds(game, weights, rng=np.random.default_rng(0)), 6)
        1.0
    """
    weights = np.asarray(scores, dtype=float)
    held_out = draw_masks(masks, len(weights), rng=rng, keep=keep)
    return spearman(held_out @ weights, ask(game, held_out))


def auroc(scores: Sequence[float] | np.ndarray, planted: Sequence[int] | np.ndarray) -> float:
    """Share of (planted, other) pairs that the scores (n,) put in the right order, ties counting half.

    planted: element numbers. NaN where all elements or none are planted. ValueError: a number that is no element.

    Examples:
        >>> auroc([0.9, 0.8, 0.1], [0]), auroc([0.9, 0.8, 0.1], [2])
        (1.0, 0.0)
    """
    values, numbers = np.asarray(scores, dtype=float), np.asarray(planted, dtype=int)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite numbers in a row, one an element, not {values!r}"[:300])
    if ((numbers < 0) | (numbers >= len(values))).any():
        raise ValueError(f"planted must be element numbers in 0..{len(values) - 1}, not {numbers.tolist()}")
    truth = np.isin(np.arange(len(values)), numbers)
    some, others = int(truth.sum()), int((~truth).sum())
    if not some or not others:
        return float("nan")
    # the Mann-Whitney statistic: scikit-learn draws the whole curve, and a notebook asks thousands of times
    return float(rankdata(values)[truth].sum() - some * (some + 1) / 2) / (some * others)
