"""How well a sum of scores foretells a game on masks it was not made from: the linear datamodelling score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from workbench.keeps import ask, draw_masks
from workbench.meter import Oracle


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
