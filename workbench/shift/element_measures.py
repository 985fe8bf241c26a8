"""Measures of the same elements side by side; token shifts summed up per element, entity, entity type and relation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.cases import Case, Fact
from workbench.explain import LEARNED, Explanation
from workbench.explain.baselines import node_type
from workbench.models.adapter_folder import Factors
from workbench.stats import auroc, bootstrap_mean

Values = Sequence[Sequence[float] | np.ndarray | None]
"""A measure: per case the values of its elements (n,); None where it is not known."""

DESCRIPTION = ("case", "element", "kind", "node", "name", "needed", "degree")  # of an element; other columns measure it


def masks_by_case(explanations: Iterable[Explanation]) -> tuple[list[Case], dict[str, list[tuple[float, ...]]]]:
    """The cases that have a learned mask, and per mask, `mask (paper)` and `mask (in loop)`, its degrees case by case.

    A case that one of the methods present has not explained is left out. Raises ValueError when no case is left.

    Examples:
        >>> from dataclasses import replace
        >>> from workbench.explain import explain
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> cases, masks = masks_by_case([replace(found, method="paper")])
        >>> [case.id for case in cases], list(masks)
        (['one'], ['mask (paper)'])
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
    ends together for a fact, as in `workbench.attribution.method`.

    Examples:
        >>> fact = Fact("source:sra", "download_from", "format_1930")
        >>> names = {"source:sra": "SRA", "format_1930": "FASTQ"}
        >>> case = Case("one", "source:sra", "format_1930", (fact,), ("source:sra", "format_1930"), names)
        >>> element_rows([case])["kind"].tolist()
        ['node', 'node', 'fact']
    """
    rows: list[tuple] = []
    for case in cases:
        degree = Counter(end for fact in case.facts for end in (fact.head, fact.tail))
        for i, one in enumerate(case.elements):
            if isinstance(one, Fact):
                own = "fact", "", case.label(one), one in case.needed, degree[one.head] + degree[one.tail]
            else:
                own = "node", one, case.label(one), one in case.path, degree[one]
            rows.append((case.id, i, *own))
    return pd.DataFrame(rows, columns=list(DESCRIPTION))


def with_measures(table: pd.DataFrame, cases: Sequence[Case], measures: Mapping[str, Values]) -> pd.DataFrame:
    """The table with a column for each measure: name -> per case (n,), or None where it is not known (NaN).

    ValueError: values that do not fit their case.

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> with_measures(element_rows([case]), [case], {"degree": [range(7)]})["degree"].tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
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
    elements of both sorts and the measure). Without such a case, or of a measure that is constant in every case and so
    ranks nothing, n is 0 and the rest NaN.

    Examples:
        >>> from workbench.cases import example_case
        >>> cases = [example_case()]
        >>> rows = element_rows(cases).assign(needed=[True, True, False, False, True, True, False])
        >>> table = with_measures(rows, cases, {"shift": [[4, 3, 2, 1, 4, 2, 3]]})
        >>> separation(table, kind="fact", rng=np.random.default_rng(0))["mean"].tolist()  # one of two pairs
        [0.5]
    """
    rows = []
    part = table[table["kind"] == kind]
    for name in measures_of(table):
        cases = part[part[name].notna()].groupby("case", sort=False)
        groups = [group for _, group in cases] if (cases[name].nunique() > 1).any() else []
        areas = [auroc(group[name].to_numpy(float), np.flatnonzero(group["needed"])) for group in groups]
        known = [area for area in areas if not np.isnan(area)]
        rows.append((name, *(bootstrap_mean(known, rng=rng, within=(0, 1)) if known else (np.nan, np.nan, np.nan, 0))))
    return pd.DataFrame(rows, columns=["measure", "mean", "low", "high", "n"])


def over_cases(table: pd.DataFrame, by: Sequence[str], *, value: str, rng: np.random.Generator) -> pd.DataFrame:
    """Mean of `value` over the cases for each group of `by`, with a 95 % interval, bootstrap-t: `*by, mean, low,
    high, n`.

    A case counts once: the rows it has in a group are averaged first.

    Examples:
        >>> columns = {"dose": [0, 0, 1, 1], "case": ["a", "b", "a", "b"], "value": [0.0, 2.0, 1.0, 3.0]}
        >>> table = pd.DataFrame(columns)
        >>> found = over_cases(table, ["dose"], value="value", rng=np.random.default_rng(0))
        >>> found["mean"].tolist(), found["n"].tolist()
        ([1.0, 2.0], [2, 2])
    """
    means = table.groupby([*by, "case"], sort=False)[value].mean()
    rows = []
    for key, values in means.groupby(level=list(by), sort=True):
        key = key if isinstance(key, tuple) else (key,)
        rows.append((*key, *bootstrap_mean(values.to_numpy(float), rng=rng)))
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "n"])


GROUPS = ("entity", "type", "relation")
KEY = ["case", "element"]
EMBEDDING = "emb."  # the column of the bare embedding beside the layers


def by_element(table: pd.DataFrame, *, value: str = "context_relative") -> pd.DataFrame:
    """Mean over the layers: a row a case and element (the index), a column `<projection> shift` each.

    table: what `token_shift` gave; value: the column that is summed up.

    Examples:
        >>> places = {"case": "one", "kind": "node", "node": "format_1930", "element": 1, "projection": "q_proj"}
        >>> table = pd.DataFrame([{**places, "layer": layer, "context_relative": layer + 1.0} for layer in (0, 1)])
        >>> by_element(table)["q_proj shift"].tolist()  # mean over two layers
        [1.5]
    """
    means = table.groupby(["case", "element", "projection"])[value].mean()
    return means.unstack("projection").add_suffix(" shift")


def saliency_shift(table: pd.DataFrame, factors: Sequence[Factors], saliency: np.ndarray) -> pd.Series:
    """Shift weighted by how much each module matters: a value a case and element (the index), sum over the modules.

    saliency: a number for each module in the order of `factors`, (modules,) for all cases or (cases, modules) in the
    table's order of cases; its size counts, not its sign, and a case's weights are made to sum to 1.
    ValueError: another shape, numbers that are not finite, or a case in which all are 0.

    Examples:
        >>> places = {"case": "one", "kind": "node", "node": "format_1930", "element": 1, "projection": "q_proj"}
        >>> table = pd.DataFrame([{**places, "layer": layer, "context_relative": layer + 1.0} for layer in (0, 1)])
        >>> factors = [Factors("", layer, "q_proj", 1, 1.0, np.ones((1, 1)), np.ones((1, 1))) for layer in (0, 1)]
        >>> saliency_shift(table, factors, np.array([1.0, 3.0])).tolist()  # a quarter of 1 and three of 2
        [1.75]
    """
    cases, size = table["case"].unique(), np.abs(np.asarray(saliency, dtype=float))
    fits = size.shape in ((len(factors),), (len(cases), len(factors)))
    if not fits or not np.isfinite(size).all() or not (size.sum(axis=-1) > 0).all():
        raise ValueError(
            f"saliency must be {len(factors)} finite numbers, one a module, or as many for each of {len(cases)} cases, "
            f"some of them not 0; not {saliency!r}"[:300]
        )
    whole = np.broadcast_to(size / size.sum(axis=-1, keepdims=True), (len(cases), len(factors)))
    places = pd.MultiIndex.from_tuples([(one.layer, one.projection) for one in factors])
    weights = pd.DataFrame(whole, index=cases, columns=places).stack([0, 1], future_stack=True)
    where = pd.MultiIndex.from_frame(table[["case", "layer", "projection"]])
    weighted = table["context_relative"] * weights.reindex(where).to_numpy()
    return weighted.groupby([table["case"], table["element"]]).sum().rename("saliency shift")


def by_entity(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Mean shift of every node over the cases and layers: one row a node, largest in context first.

    table: what `token_shift` gave. Columns: `name`, `cases` (in how many it is shown), then per projection
    `<projection> embedding` and `<projection> context`, relative shifts.

    Examples:
        >>> places = {"case": "one", "kind": "node", "node": "format_1930", "element": 1, "projection": "q_proj"}
        >>> table = pd.DataFrame([{**places, "layer": layer, "context_relative": layer + 1.0} for layer in (0, 1)])
        >>> table = table.assign(embedding_relative=0.0)
        >>> by_entity(table, {"format_1930": "FASTQ"})[["name", "cases", "q_proj context"]].values.tolist()
        [['FASTQ', 1, 1.5]]
    """
    rows = table[table["kind"] == "node"]
    means = (
        rows.groupby(["node", "projection"])[["embedding_relative", "context_relative"]].mean().unstack("projection")
    )
    means.columns = [f"{projection} {value.removesuffix('_relative')}" for value, projection in means.columns]
    means.insert(0, "cases", rows.groupby("node")["case"].nunique())
    means.insert(0, "name", [names[node] for node in means.index])
    return means.sort_values([c for c in means if c.endswith(" context")][-1], ascending=False)


def by_group(table: pd.DataFrame, cases: Sequence[Case], by: str, *, rng: np.random.Generator) -> pd.DataFrame:
    """Mean shift of entities, entity types or relations, with a 95 % bootstrap-t over cases; largest first.

    by: `entity` (node id), `type` (of nodes) or `relation` (of facts). A case counts once: the mean over its elements
    of the group. Columns: `group, projection, mean, low, high, n` (cases that show the group) and `elements` (in all of
    them).
    ValueError: another `by`, or no rows of that kind.

    Examples:
        >>> places = {"case": "one", "kind": "node", "node": "format_1930", "element": 1, "projection": "q_proj"}
        >>> table = pd.DataFrame([{**places, "layer": layer, "context_relative": layer + 1.0} for layer in (0, 1)])
        >>> from workbench.cases import example_case
        >>> found = by_group(table, [example_case()], "type", rng=np.random.default_rng(0))
        >>> found[["group", "mean", "n"]].values.tolist()
        [['format', 1.5, 1]]
    """
    if by not in GROUPS:
        raise ValueError(f"by must be one of {', '.join(GROUPS)}, not {by!r}")
    rows = table[table["kind"] == ("fact" if by == "relation" else "node")]
    if rows.empty:
        raise ValueError(f"the table has no {'facts' if by == 'relation' else 'nodes'}; give that of token_shift")
    group = rows["node"] if by == "entity" else _groups(cases).reindex(pd.MultiIndex.from_frame(rows[KEY])).to_numpy()
    rows = rows.assign(group=group).sort_values("case", kind="stable")
    sizes = rows[[*KEY, "group"]].drop_duplicates()["group"].value_counts()
    found = over_cases(rows, ["group", "projection"], value="context_relative", rng=rng)
    found["elements"] = found["group"].map(sizes)
    return found.sort_values(["projection", "mean"], ascending=[True, False], ignore_index=True)


def _groups(cases: Sequence[Case]) -> pd.Series:
    """(case, element) -> entity type of a node, relation of a fact."""
    rows = {
        (case.id, i): element.relation if isinstance(element, Fact) else node_type(element)
        for case in cases
        for i, element in enumerate(case.elements)
    }
    return pd.Series(rows).rename_axis(KEY)


def element_layers(table: pd.DataFrame, case: Case, projection: str) -> pd.DataFrame:
    """One case's elements by layers: the bare embedding (mean of the layers' changes), then each layer in context.

    Index: the element's number; columns: `emb.` and the layers; as shares of the base projection's output.
    ValueError: the table has no such case or projection.

    Examples:
        >>> places = {"case": "one", "kind": "node", "node": "format_1930", "element": 1, "projection": "q_proj"}
        >>> table = pd.DataFrame([{**places, "layer": layer, "context_relative": layer + 1.0} for layer in (0, 1)])
        >>> from workbench.cases import example_case
        >>> element_layers(table.assign(embedding_relative=0.5), example_case(), "q_proj").values.tolist()
        [[0.5, 1.0, 2.0]]
    """
    rows = table[(table["case"] == case.id) & (table["projection"] == projection)]
    if rows.empty:
        raise ValueError(f"the table has no {projection!r} of case {case.id!r}; measure it by token_shift first")
    layers = rows.pivot(index="element", columns="layer", values="context_relative")
    bare = rows.groupby("element")["embedding_relative"].mean().rename(EMBEDDING)
    return pd.concat([bare, layers], axis=1)
