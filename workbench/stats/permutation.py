"""Rank correlations of many measures of the same elements at once, what they are when values are dealt out anew, and
p-values when many tests are looked at: the chance of one false alarm, or the share of them, held down.

Spearman's and Kendall's coefficient are both inner products of vectors of length 1: of the centred ranks, and of the
signs of all differences (tau-b, which ties do not bias). A permutation only takes these vectors' entries in another
order, so thousands of permutations are a few matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import false_discovery_control, rankdata

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


def permutation_p(found: float, dealt: np.ndarray) -> float:
    """Two-sided p-value: how often `dealt` (draws,) is at least as far from 0 as `found`: (1 + hits) / (1 + draws),
    never 0.

    Examples:
        >>> permutation_p(0.9, np.array([-0.9, 0.1, 0.2, 0.3]))  # (1 + 1) / (1 + 4)
        0.4
    """
    return (1 + int((np.abs(dealt) >= abs(found) - ROUNDING).sum())) / (1 + len(dealt))


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


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (m,): below a level with at most that chance for a single false alarm, however tests depend.

    NaN stands for a test that could not be made: it stays NaN and does not count. Source: Holm 1979.
    ValueError: a value outside [0, 1].

    Examples:
        >>> holm([0.01, 0.04, 0.5]).tolist()
        [0.03, 0.08, 0.5]
    """
    values, known = _checked(p)
    tested = values[known]
    order = np.argsort(tested, kind="stable")
    stepped = np.maximum.accumulate(tested[order] * np.arange(len(tested), 0, -1))
    adjusted = np.empty(len(tested))
    adjusted[order] = np.minimum(stepped, 1)
    return _placed(adjusted, known)


def benjamini_hochberg(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (m,): those below a level hold at most that share of false alarms on average, for tests that
    are independent or positively dependent. NaN as in `holm`. Source: Benjamini, Hochberg 1995.

    Examples:
        >>> benjamini_hochberg([0.01, 0.02, 0.03]).tolist()
        [0.03, 0.03, 0.03]
    """
    values, known = _checked(p)
    return _placed(false_discovery_control(values[known]) if known.any() else np.empty(0), known)


def _checked(p: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(p, dtype=float)
    known = ~np.isnan(values)
    if values.ndim != 1 or ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"p must be p-values in a row, each in [0, 1] or NaN, not {values!r}"[:300])
    return values, known


def _placed(adjusted: np.ndarray, known: np.ndarray) -> np.ndarray:
    out = np.full(len(known), np.nan)
    out[known] = adjusted
    return out
