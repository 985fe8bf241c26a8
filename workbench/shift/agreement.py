"""Mask, attention and shift of the same elements side by side, and how well each tells the elements that are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.cases import Case, Fact
from workbench.explain import LEARNED, Explanation
from workbench.shift.groups import element_name
from workbench.stats import auroc, bootstrap_mean

Values = Sequence[Sequence[float] | np.ndarray | None]
"""A measure: per case the values of its elements (n,); None where it is not known."""

DESCRIPTION = ("case", "element", "kind", "node", "name", "needed", "degree")  # of an element; other columns measure it


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


def element_rows(cases: Sequence[Case]) -> pd.DataFrame:
    """One row per element and case, the columns of `DESCRIPTION`.

    needed: whether the case's answer runs through the element. degree: the shown facts of a node; those of both its
    ends together for a fact, as in `workbench.attribution.chance`.

    Examples:
        >>> fact = Fact("source:sra", "download_from", "format_1930")
        >>> names = {"source:sra": "SRA", "format_1930": "FASTQ"}
        >>> case = Case("one", "source:sra", "format_1930", (fact,), ("source:sra", "format_1930"), names)
        >>> element_rows([case])["kind"].tolist()
        ['node', 'node', 'fact']
    """
    rows = [row for case in cases for row in _descriptions(case)]
    return pd.DataFrame(rows, columns=list(DESCRIPTION))


def with_measures(table: pd.DataFrame, cases: Sequence[Case], measures: Mapping[str, Values]) -> pd.DataFrame:
    """The table with a column for each measure: name -> per case (n,), or None where it is not known (NaN).

    ValueError: values that do not fit their case.
    """
    columns = {}
    for name, values in measures.items():
        parts = []
        for case, one in zip(cases, values, strict=True):
            part = np.full(len(case.elements), np.nan) if one is None else np.asarray(one, dtype=float)
            if len(part) != len(case.elements):
                raise ValueError(f"{name} of case {case.id!r} must have {len(case.elements)} values, not {len(part)}")
            parts.append(part)
        columns[name] = np.concatenate(parts)
    return table.assign(**columns)


def _descriptions(case: Case) -> list[tuple]:
    degree = Counter(end for fact in case.facts for end in (fact.head, fact.tail))
    rows: list[tuple] = []
    for i, element in enumerate(case.elements):
        if isinstance(element, Fact):
            kind, node, needed = "fact", "", element in case.needed
            size = degree[element.head] + degree[element.tail]
        else:
            kind, node, needed, size = "node", element, element in case.path, degree[element]
        rows.append((case.id, i, kind, node, element_name(case, i), needed, size))
    return rows


def measures_of(table: pd.DataFrame) -> list[str]:
    """The names of the measures in a table of `Measurement.table`.

    Examples:
        >>> measures_of(pd.DataFrame(columns=[*DESCRIPTION, "attention"]))
        ['attention']
    """
    return [name for name in table.columns if name not in DESCRIPTION]


def separation(table: pd.DataFrame, *, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """How well each measure alone tells needed elements from the others: mean area under the ROC curve over cases.

    The area is the share of (needed, not needed) pairs that the measure puts in the right order, ties counting half:
    0.5 is what random values reach. Columns: `measure, mean, low, high, n` (95 % bootstrap-t over the n cases that have
    elements of both sorts and the measure). Without such a case, n is 0 and the rest NaN.
    """
    rows = []
    part = table[table["kind"] == kind]
    for name in measures_of(table):
        groups = (group for _, group in part[part[name].notna()].groupby("case", sort=False))
        areas = [auroc(group[name].to_numpy(float), np.flatnonzero(group["needed"])) for group in groups]
        known = [area for area in areas if not np.isnan(area)]
        rows.append((name, *(bootstrap_mean(known, rng=rng, within=(0, 1)) if known else (np.nan, np.nan, np.nan, 0))))
    return pd.DataFrame(rows, columns=["measure", "mean", "low", "high", "n"])


def as_records(table: pd.DataFrame, *names: str) -> dict[str, dict[str, float | None]]:
    """A table of `agreement_tests` or `separation` for a manifest: row -> column -> number, None where undefined.

    names: the columns that name a row, joined by ` and `.

    Examples:
        >>> as_records(pd.DataFrame({"measure": ["shift"], "mean": [0.7]}), "measure")
        {'shift': {'mean': 0.7}}
    """
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {
        " and ".join(str(row[name]) for name in names): {str(k): v for k, v in row.items() if k not in names}
        for row in rows
    }
