"""How good scores are: what is lost without the first elements, how well their sum foretells the game, and how well
they rank the planted elements, or those of another order of the facts. Rank correlations of many measures of the same
elements at once, what they are when values are dealt out anew, and p-values when many tests are looked at: the chance
of one false alarm, or the share of them, held down.

An order is (n,) element numbers, most important first; `ranking` makes it of scores. Measures by removal are in the
unit of the game.

Spearman's and Kendall's coefficient are both inner products of vectors of length 1: of the centred ranks, and of the
signs of all differences (tau-b, which ties do not bias). A permutation only takes these vectors' entries in another
order, so thousands of permutations are a few matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, rankdata

from workbench.stats.games import Oracle, ask, draw_masks, without_first

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)  # of the elements: the bins of ERASER
STATISTICS = ("kendall", "spearman")
Vectors = tuple[np.ndarray, Callable[[int], np.ndarray]]
ROUNDING = 1e-9  # coefficients that are nearer than this are equal


def ranking(scores: ArrayLike, *, rng: np.random.Generator | None = None) -> np.ndarray:
    """Element numbers (n,), highest score first. Equal scores: in random order with rng, else in that of the elements.

    ValueError: scores that are not (n,) finite numbers.

    Examples:
        >>> ranking([0.1, 0.9, 0.5]).tolist()
        [1, 2, 0]
    """
    values = _finite(scores)
    if rng is None:
        return np.argsort(-values, kind="stable")
    return np.lexsort((rng.random(len(values)), -values))


def _finite(scores: ArrayLike) -> np.ndarray:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite numbers in a row, one an element, not {values!r}"[:300])
    return values


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


def spearman(first: ArrayLike, second: ArrayLike) -> float:
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
    game: Oracle, scores: ArrayLike, *, rng: np.random.Generator, masks: int = 100, keep: float | np.ndarray = 0.5
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


def auroc(scores: ArrayLike, planted: Sequence[int] | np.ndarray) -> float:
    """Share of (planted, other) pairs that the scores (n,) put in the right order, ties counting half.

    planted: element numbers. NaN where all elements or none are planted. ValueError: a number that is no element.

    Examples:
        >>> auroc([0.9, 0.8, 0.1], [0]), auroc([0.9, 0.8, 0.1], [2])
        (1.0, 0.0)
    """
    values, numbers = _finite(scores), np.asarray(planted, dtype=int)
    if ((numbers < 0) | (numbers >= len(values))).any():
        raise ValueError(f"planted must be element numbers in 0..{len(values) - 1}, not {numbers.tolist()}")
    truth = np.isin(np.arange(len(values)), numbers)
    some, others = int(truth.sum()), int((~truth).sum())
    if not some or not others:
        return float("nan")
    # the Mann-Whitney statistic: scikit-learn draws the whole curve, and a notebook asks thousands of times
    return float(rankdata(values)[truth].sum() - some * (some + 1) / 2) / (some * others)


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


def holm(p: ArrayLike) -> np.ndarray:
    """Adjusted p-values (m,): below a level with at most that chance for a single false alarm, however tests depend.

    NaN stands for a test that could not be made: it stays NaN and does not count. Source: Holm 1979.
    ValueError: a value outside [0, 1].

    Examples:
        >>> holm([0.01, 0.04, 0.5]).tolist()
        [0.03, 0.08, 0.5]
    """
    values, known = _tested(p)
    tested = values[known]
    order = np.argsort(tested, kind="stable")
    stepped = np.maximum.accumulate(tested[order] * np.arange(len(tested), 0, -1))
    values[np.flatnonzero(known)[order]] = np.minimum(stepped, 1)
    return values


def benjamini_hochberg(p: ArrayLike) -> np.ndarray:
    """Adjusted p-values (m,): those below a level hold at most that share of false alarms on average, for tests that
    are independent or positively dependent. NaN as in `holm`. Source: Benjamini, Hochberg 1995.

    Examples:
        >>> benjamini_hochberg([0.01, 0.02, 0.03]).tolist()
        [0.03, 0.03, 0.03]
    """
    values, known = _tested(p)
    if known.any():
        values[known] = false_discovery_control(values[known])
    return values


def _tested(p: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """A copy of the p-values (m,), and which of them are known."""
    values = np.array(p, dtype=float)
    known = ~np.isnan(values)
    if values.ndim != 1 or ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"p must be p-values in a row, each in [0, 1] or NaN, not {values!r}"[:300])
    return values, known
