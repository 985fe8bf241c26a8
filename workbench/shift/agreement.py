"""Mask, attention and shift of the same elements side by side, and how far they agree over many cases.

Everything is compared within a case, by ranks: the three have different units, and how large they get differs from
case to case. The case is the unit of the statistics; its elements are not independent of one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from workbench.cases import Case, Fact
from workbench.explain import LEARNED, Explanation
from workbench.stats import auroc, bootstrap_mean, spearman

ATTENTION = "attention"


def masks_by_case(explanations: Iterable[Explanation]) -> tuple[list[Case], dict[str, list[tuple[float, ...]]]]:
    """The cases that have a learned mask, and per mask, `mask (paper)` and `mask (in loop)`, its degrees case by case.

    A case that one of the methods present has not explained is left out. Raises ValueError when no case is left.
    """
    found: dict[str, dict[str, Explanation]] = {}
    for one in explanations:
        if one.method in LEARNED:
            found.setdefault(one.method, {})[one.case.id] = one
    shared = set.intersection(*map(set, found.values())) if found else set()
    if not shared:
        raise ValueError(
            f"no case has a mask of {' and '.join(found or LEARNED)}; explain the same cases by each method"
        )
    methods = [name for name in LEARNED if name in found]
    ids = [case for case in found[methods[0]] if case in shared]
    masks = {f"mask ({name.replace('_', ' ')})": [found[name][case].degrees for case in ids] for name in methods}
    return [found[methods[0]][case].case for case in ids], masks


def side_by_side(
    cases: Sequence[Case],
    *,
    masks: Mapping[str, Sequence[Sequence[float]]],
    attention: Sequence[Sequence[float]],
    shift: pd.DataFrame,
    value: str = "context_relative",
) -> pd.DataFrame:
    """One row per element and case: `case, element, kind, node, name, needed`, then one column per measure.

    masks: name of a measure -> per case the degrees of removal (n,). attention: per case (n,). shift: what
    `token_shift` gave for these cases; its column `value` is averaged over the layers, one measure per projection,
    `<projection> shift`. needed: whether the case's answer runs through the element.
    """
    rows = [_description(case, i) for case in cases for i in range(len(case.elements))]
    table = pd.DataFrame(rows, columns=["case", "element", "kind", "node", "name", "needed"])
    for name, values in {**masks, ATTENTION: attention}.items():
        for case, one in zip(cases, values, strict=True):
            if len(one) != len(case.elements):
                raise ValueError(f"{name} of case {case.id!r} must have {len(case.elements)} values, not {len(one)}")
        table[name] = np.concatenate([np.asarray(one, dtype=float) for one in values])
    means = shift.groupby(["case", "element", "projection"])[value].mean().unstack("projection").add_suffix(" shift")
    return table.join(means, on=["case", "element"])


def _description(case: Case, i: int) -> tuple:
    element = case.elements[i]
    if isinstance(element, Fact):
        name = f"{case.names[element.head]} → {case.names[element.tail]}"
        return case.id, i, "fact", "", name, element in case.needed
    return case.id, i, "node", element, case.names[element], element in case.path


def measures_of(table: pd.DataFrame) -> list[str]:
    """The names of the measures in a table of `side_by_side`."""
    return [name for name in table.columns if name not in ("case", "element", "kind", "node", "name", "needed")]


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis of (measures, n), centred and of length 1; a constant row becomes NaN."""
    ranks = rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2
    length = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0)


def case_correlations(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, float]]:
    """Pair of measures -> kind of element -> Spearman correlation among the rows, which are those of one case."""
    parts = {str(kind): rows for kind, rows in table.groupby("kind", sort=False)}
    return {(a, b): {kind: spearman(rows[a], rows[b]) for kind, rows in parts.items()} for a, b in pairs}


def rank_agreement(table: pd.DataFrame, *, kind: str, rng: np.random.Generator, draws: int = 999) -> pd.DataFrame:
    """Mean Spearman correlation over cases of every two measures on the elements of one kind (node or fact).

    Columns: `first, second, mean, low, high, n` (95 % bootstrap over the n cases in which both vary), `random_low,
    random_high` (where 95 % of the means lie when the values of one measure are dealt out anew among the elements of
    each case, `draws` times) and `p` (two-sided, of that permutation). Without such a case, n is 0 and the rest NaN.
    """
    names = measures_of(table)
    found, random = [], []
    for _, group in table[table["kind"] == kind].groupby("case", sort=False):
        ranks = _standard_ranks(group[names].to_numpy(float).T)  # (measures, n)
        deals = rng.permuted(np.tile(np.arange(ranks.shape[1]), (draws, 1)), axis=1)
        found.append(ranks @ ranks.T)
        random.append(np.einsum("ik,jdk->ijd", ranks, ranks[:, deals]))
    rows = []
    for i, j in combinations(range(len(names)), 2):
        values = np.array([case[i, j] for case in found])
        dealt = np.array([case[i, j] for case in random])[~np.isnan(values)]
        rows.append((names[i], names[j], *_summary(values[~np.isnan(values)], dealt, rng)))
    return pd.DataFrame(rows, columns=["first", "second", "mean", "low", "high", "n", "random_low", "random_high", "p"])


def _summary(values: np.ndarray, dealt: np.ndarray, rng: np.random.Generator) -> tuple[float, ...]:
    """values (cases,), dealt (cases, draws) -> mean, low, high, n, random_low, random_high, p."""
    if not len(values):
        return (np.nan, np.nan, np.nan, 0, np.nan, np.nan, np.nan)
    means = dealt.mean(axis=0)
    mean, low, high, n = bootstrap_mean(values.tolist(), rng=rng)
    beyond = int((np.abs(means) >= abs(mean) - 1e-12).sum())
    return (mean, low, high, n, *np.quantile(means, [0.025, 0.975]), (1 + beyond) / (1 + len(means)))


def separation(table: pd.DataFrame, *, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """How well each measure alone tells needed elements from the others: mean area under the ROC curve over cases.

    The area is the share of (needed, not needed) pairs that the measure puts in the right order, ties counting half:
    0.5 is what random values reach. Columns: `measure, mean, low, high, n` (95 % bootstrap over the n cases that have
    elements of both sorts). Without such a case, n is 0 and the rest NaN.
    """
    rows = []
    part = table[table["kind"] == kind]
    for name in measures_of(table):
        groups = (group for _, group in part.groupby("case", sort=False))
        areas = [auroc(group[name].to_numpy(float), np.flatnonzero(group["needed"])) for group in groups]
        known = [area for area in areas if not np.isnan(area)]
        rows.append((name, *(bootstrap_mean(known, rng=rng) if known else (np.nan, np.nan, np.nan, 0))))
    return pd.DataFrame(rows, columns=["measure", "mean", "low", "high", "n"])


def as_records(table: pd.DataFrame, *names: str) -> dict[str, dict[str, float | None]]:
    """A table of `rank_agreement` or `separation` for a manifest: row -> column -> number, None where undefined.

    names: the columns that name a row, joined by ` and `.
    """
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {
        " and ".join(str(row[name]) for name in names): {str(k): v for k, v in row.items() if k not in names}
        for row in rows
    }
