"""Rank correlations of many measures of the same elements at once, and what they are when values are dealt out anew.

Spearman's and Kendall's coefficient are both inner products of vectors of length 1: of the centred ranks, and of the
signs of all differences (tau-b, which ties do not bias). A permutation only takes these vectors' entries in another
order, so thousands of permutations are a few matrix products.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

STATISTICS = ("kendall", "spearman")
Vectors = tuple[np.ndarray, Callable[[int], np.ndarray]]
ROUNDING = 1e-9  # coefficients that are nearer than this are equal


def rank_correlations(values: np.ndarray, *, statistic: str) -> np.ndarray:
    """Coefficients (m, m) float64 of measures (m, n): `kendall` (tau-b) or `spearman`, ties sharing their mean rank.

    NaN where one of the two is constant or holds a NaN. ValueError: another statistic, or not a table.

    Examples:
        >>> rank_correlations(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), statistic="kendall").round(6).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    return dealt_correlations(values, np.arange(np.shape(values)[-1])[None], statistic=statistic)[..., 0]


def dealt_correlations(values: np.ndarray, deals: np.ndarray, *, statistic: str) -> np.ndarray:
    """Coefficients (m, m, draws) float64: of measure i as it is with measure j, its values dealt out anew.

    values: (m, n). deals: (draws, n), permutations of 0 .. n - 1, see `deal`. Both halves are filled from i < j, which
    is the same for the mean and spread over deals. NaN and errors as in `rank_correlations`.

    Examples:
        >>> values = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
        >>> found = dealt_correlations(values, np.array([[0, 1, 2], [2, 1, 0]]), statistic="kendall")
        >>> np.round(found[0, 1], 6).tolist()  # as it is, and turned round
        [1.0, -1.0]
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or statistic not in STATISTICS:
        raise ValueError(f"a table (measures, n) and one of {', '.join(STATISTICS)}, not {table.shape}, {statistic!r}")
    known = np.isfinite(table).all(axis=1)
    table = np.where(known[:, None], table, 0.0)
    fixed, moved = (_ranks if statistic == "spearman" else _signs)(table, deals)
    out = np.empty((len(table), len(table), len(deals)))
    for j in range(len(table)):
        out[: j + 1, j] = (moved(j) @ fixed[: j + 1].T).T  # (draws, features) @ (features, measures)
        out[j, :j] = out[:j, j]
    length = np.linalg.norm(fixed.astype(float), axis=1)
    product = np.outer(length, length)
    product[:, ~known] = product[~known] = 0
    scale = np.divide(1.0, product, out=np.full(product.shape, np.nan), where=product > 0)
    return np.clip(out * scale[..., None], -1, 1)


def deal(n: int, draws: int, *, rng: np.random.Generator, strata: np.ndarray | None = None) -> np.ndarray:
    """Random permutations (draws, n) of 0 .. n - 1; strata (n,): values only change places within equal strata.

    ValueError: strata of another length.

    Examples:
        >>> dealt = deal(4, 10, rng=np.random.default_rng(0), strata=np.array([0, 0, 1, 1]))
        >>> dealt.shape, set(dealt[:, :2].ravel().tolist())
        ((10, 4), {0, 1})
    """
    _, groups = np.unique(np.zeros(n) if strata is None else np.asarray(strata), return_inverse=True)
    if groups.shape != (n,):
        raise ValueError(f"strata must be (n,) = ({n},), not {groups.shape}")
    order = np.argsort(groups, kind="stable")
    out = np.empty((draws, n), dtype=np.int64)
    out[:, order] = np.argsort(groups + rng.random((draws, n)), axis=1)
    return out


def partial(both: np.ndarray, first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """Correlation with a control held fixed, of the coefficients of two measures and of each with the control.

    Holds for Spearman's, Pearson's and Kendall's (Kendall 1942) alike, elementwise; NaN where the control says it all.

    Examples:
        >>> round(float(partial(np.array(0.5), 0.5, 0.5)), 4)
        0.3333
    """
    rest = (1 - np.square(first)) * (1 - np.square(second))
    scale = np.sqrt(np.where(rest > ROUNDING, rest, np.nan))
    return np.clip((both - np.multiply(first, second)) / scale, -1, 1)


def permutation_p(found: float, dealt: np.ndarray, *, complete: bool = False) -> float:
    """Two-sided p-value: how often `dealt` (draws,) is at least as far from 0 as `found`.

    Of drawn permutations it is (1 + hits) / (1 + draws), never 0; complete: `dealt` holds every permutation once.

    Examples:
        >>> permutation_p(0.9, np.array([-0.9, 0.1, 0.2, 0.3]))  # (1 + 1) / (1 + 4)
        0.4
    """
    hits = int((np.abs(dealt) >= abs(found) - ROUNDING).sum())
    return hits / len(dealt) if complete else (1 + hits) / (1 + len(dealt))


def _ranks(table: np.ndarray, deals: np.ndarray) -> Vectors:
    """Centred ranks (m, n), and how to get those of one measure dealt anew, (draws, n)."""
    ranks = rankdata(table, axis=-1) - (table.shape[-1] + 1) / 2
    return ranks, lambda j: ranks[j][deals]


def _signs(table: np.ndarray, deals: np.ndarray) -> Vectors:
    """Signs of the differences (m, n (n - 1) / 2), whole in float32, so that they add up exactly; and dealt anew."""
    n = table.shape[-1]
    i, j = np.triu_indices(n, 1)
    signs = np.sign(table[:, :, None] - table[:, None, :]).astype(np.float32)
    places = (deals[:, i] * n + deals[:, j]).astype(np.int32)
    flat = signs.reshape(len(signs), -1)
    return signs[:, i, j], lambda k: flat[k][places]
