"""How far every two measures of the same elements agree over many cases, against values dealt out by chance.

Everything is compared within a case, by ranks: measures have different units, and how large they get differs from case
to case. The case is the unit of the statistics; its elements are not independent of one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.shift.agreement import measures_of
from workbench.stats import (
    STATISTICS,
    benjamini_hochberg,
    bootstrap_mean,
    deal,
    dealt_correlations,
    holm,
    partial,
    permutation_p,
    rank_correlations,
)

KINDS = ("node", "fact")
COLUMNS = ("mean", "low", "high", "n", "random_low", "random_high", "p")
BLOCK = 1000  # permutations held at once


def agreement_tests(
    table: pd.DataFrame,
    *,
    rng: np.random.Generator,
    kinds: Sequence[str] = KINDS,
    statistics: Sequence[str] = STATISTICS,
    draws: int = 4999,
    control: str | None = None,
) -> pd.DataFrame:
    """Mean rank correlation of every two measures on the elements of each kind, with what chance would reach.

    table: what `Measurement.table` gave; a case counts for a pair where both measures are known of
    all its elements of the kind and neither is constant. statistics: `kendall` (tau-b), `spearman`.
    control: a column, say `degree`, that is held fixed: coefficients are partial ones, and values are dealt out anew
    among elements that are equal in it.

    A row a statistic, kind and pair: `statistic, kind, first, second, mean, low, high, n` (95 % bootstrap-t over the n
    cases), `random_low, random_high` (where 95 % of the means lie when in each case the second measure's values are
    dealt out anew among its elements, `draws` times: what vectors of the same values would reach), `p` (two-sided, of
    that permutation, never below 1 / (draws + 1)), and `holm`, `bh`: p adjusted for all pairs and kinds of the same
    statistic (false alarms at all, share of false alarms). `holm` cannot fall below pairs x kinds / (draws + 1): draw
    enough. Without a case, n is 0 and the rest NaN.
    """
    found = []
    for kind in kinds:
        for statistic, rows in _of_kind(table, kind, statistics, rng=rng, draws=draws, control=control).items():
            found.append(rows.assign(statistic=statistic, kind=kind))
    whole = pd.concat(found, ignore_index=True)
    for name, adjust in (("holm", holm), ("bh", benjamini_hochberg)):
        whole[name] = whole.groupby("statistic", sort=False)["p"].transform(lambda p, f=adjust: f(p.to_numpy()))
    return whole[["statistic", "kind", "first", "second", *COLUMNS, "holm", "bh"]]


def _of_kind(
    table: pd.DataFrame,
    kind: str,
    statistics: Sequence[str],
    *,
    rng: np.random.Generator,
    draws: int,
    control: str | None,
) -> dict[str, pd.DataFrame]:
    """statistic -> a row a pair of measures."""
    names = measures_of(table)
    sums = {name: _Sums(len(names), draws) for name in statistics}
    for _, group in table[table["kind"] == kind].groupby("case", sort=False):
        values = group[names].to_numpy(float).T  # (measures, n)
        fixed = None if control is None else group[control].to_numpy(float)
        for block in _blocks(draws):
            deals = deal(values.shape[1], len(block), rng=rng, strata=fixed)
            for name, one in sums.items():
                one.add(dealt_correlations(values, deals, statistic=name), values, fixed, name, block)
        for name, one in sums.items():
            one.close(values, fixed, name)
    return {name: _rows(names, one, rng) for name, one in sums.items()}


class _Sums:
    """What adds up over the cases, per pair i < j of measures.

    found: per case (pairs,), NaN where undefined. dealt: (pairs, draws), sums over the cases where the pair is defined.
    """

    def __init__(self, measures: int, draws: int):
        self.pairs = np.triu_indices(measures, 1)
        self.found: list[np.ndarray] = []
        self.dealt = np.zeros((len(self.pairs[0]), draws))

    def add(
        self, dealt: np.ndarray, values: np.ndarray, fixed: np.ndarray | None, statistic: str, block: range
    ) -> None:
        """Adds a case's coefficients (measures, measures, draws) under a block of deals."""
        rows = self._of_pairs(dealt, values, fixed, statistic)
        self.dealt[:, block.start : block.stop] += np.nan_to_num(rows, nan=0.0)

    def close(self, values: np.ndarray, fixed: np.ndarray | None, statistic: str) -> None:
        """Ends a case: its own coefficients."""
        own = rank_correlations(values, statistic=statistic)[..., None]
        self.found.append(self._of_pairs(own, values, fixed, statistic)[:, 0])

    def _of_pairs(self, matrix: np.ndarray, values: np.ndarray, fixed: np.ndarray | None, statistic: str) -> np.ndarray:
        """(pairs, draws) of (measures, measures, draws), the control held fixed where there is one."""
        i, j = self.pairs
        if fixed is None or not np.ptp(fixed):
            return matrix[i, j]
        # within strata of the control no deal changes how a measure goes with it
        with_control = rank_correlations(np.vstack([values, fixed]), statistic=statistic)[-1, :-1, None]
        return partial(matrix[i, j], with_control[i], with_control[j])


def _rows(names: Sequence[str], sums: _Sums, rng: np.random.Generator) -> pd.DataFrame:
    found = np.array(sums.found).reshape(-1, len(sums.dealt))  # (cases, pairs)
    rows = []
    for k, (first, second) in enumerate(combinations(names, 2)):
        known = found[~np.isnan(found[:, k]), k]
        rows.append((first, second, *_summary(known, sums.dealt[k], rng)))
    return pd.DataFrame(rows, columns=["first", "second", *COLUMNS])


def _summary(values: np.ndarray, dealt: np.ndarray, rng: np.random.Generator) -> tuple[float, ...]:
    """values (cases,), dealt (draws,), summed over the cases -> mean, low, high, n, random_low, random_high, p."""
    if not len(values):
        return (np.nan, np.nan, np.nan, 0, np.nan, np.nan, np.nan)
    means = dealt / len(values)
    mean, low, high, n = bootstrap_mean(values, rng=rng, within=(-1, 1))
    return (mean, low, high, n, *np.quantile(means, [0.025, 0.975]), permutation_p(mean, means))


def _blocks(draws: int) -> list[range]:
    return [range(start, min(start + BLOCK, draws)) for start in range(0, draws, BLOCK)]
