"""Token shifts summed up: per element, entity, entity type and relation, and one case's elements layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.cases import Case, Fact
from workbench.explain.baselines import node_type
from workbench.models.adapter_folder import Factors
from workbench.stats import bootstrap_mean

GROUPS = ("entity", "type", "relation")
KEY = ["case", "element"]
EMBEDDING = "emb."  # the column of the bare embedding beside the layers


def by_element(table: pd.DataFrame, *, value: str = "context_relative") -> pd.DataFrame:
    """Mean over the layers: a row a case and element (the index), a column `<projection> shift` each.

    table: what `token_shift` gave; value: the column that is summed up.
    """
    means = table.groupby(["case", "element", "projection"])[value].mean()
    return means.unstack("projection").add_suffix(" shift")


def saliency_shift(
    table: pd.DataFrame, factors: Sequence[Factors], saliency: np.ndarray, *, value: str = "context_relative"
) -> pd.Series:
    """Shift weighted by how much each module matters: a value a case and element (the index), sum over the modules.

    saliency: a number for each module in the order of `factors`, (modules,) for all cases or (cases, modules) in the
    table's order of cases; its size counts, not its sign, and a case's weights are made to sum to 1.
    ValueError: another shape, numbers that are not finite, or a case in which all are 0.
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
    weighted = (
        table[value] * weights.reindex(pd.MultiIndex.from_frame(table[["case", "layer", "projection"]])).to_numpy()
    )
    return weighted.groupby([table["case"], table["element"]]).sum().rename("saliency shift")


def by_entity(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Mean shift of every node over the cases and layers: one row a node, largest in context first.

    table: what `token_shift` gave. Columns: `name`, `cases` (in how many it is shown), then per projection
    `<projection> embedding` and `<projection> context`, relative shifts.
    """
    rows = table[table["kind"] == "node"]
    means = (
        rows.groupby(["node", "projection"])[["embedding_relative", "context_relative"]].mean().unstack("projection")
    )
    means.columns = [f"{projection} {value.removesuffix('_relative')}" for value, projection in means.columns]
    means.insert(0, "cases", rows.groupby("node")["case"].nunique())
    means.insert(0, "name", [names[node] for node in means.index])
    return means.sort_values([c for c in means if c.endswith(" context")][-1], ascending=False)


def by_group(
    table: pd.DataFrame,
    cases: Sequence[Case],
    by: str,
    *,
    rng: np.random.Generator,
    value: str = "context_relative",
    layers: bool = False,
) -> pd.DataFrame:
    """Mean shift of entities, entity types or relations, with a 95 % bootstrap-t over cases; largest first.

    by: `entity` (node id), `type` (of nodes) or `relation` (of facts). A case counts once: the mean over its elements
    of the group. layers: a row a layer, not the mean over them. Columns: `group, projection, mean, low, high, n` (cases
    that show the group) and `elements` (in all of them), `layer` where asked for.
    ValueError: another `by`, or no rows of that kind.
    """
    if by not in GROUPS:
        raise ValueError(f"by must be one of {', '.join(GROUPS)}, not {by!r}")
    keys = ["group", "projection", *(["layer"] if layers else [])]
    rows = table[table["kind"] == ("fact" if by == "relation" else "node")]
    if rows.empty:
        raise ValueError(f"the table has no {'facts' if by == 'relation' else 'nodes'}; give that of token_shift")
    group = rows["node"] if by == "entity" else _groups(cases).reindex(pd.MultiIndex.from_frame(rows[KEY])).to_numpy()
    rows = rows.assign(group=group)
    sizes = rows[[*KEY, "group"]].drop_duplicates()["group"].value_counts()
    found = []
    for key, values in rows.groupby([*keys, "case"])[value].mean().groupby(keys):
        interval = bootstrap_mean(values.to_numpy(), rng=rng)
        found.append((*key, *interval, int(sizes[key[0]])))
    out = pd.DataFrame(found, columns=[*keys, "mean", "low", "high", "n", "elements"])
    return out.sort_values(["projection", "mean"], ascending=[True, False], ignore_index=True)


def _groups(cases: Sequence[Case]) -> pd.Series:
    """(case, element) -> entity type of a node, relation of a fact."""
    rows = {
        (case.id, i): element.relation if isinstance(element, Fact) else node_type(element)
        for case in cases
        for i, element in enumerate(case.elements)
    }
    return pd.Series(rows).rename_axis(KEY)


def element_layers(table: pd.DataFrame, case: Case, projection: str, *, relative: bool = True) -> pd.DataFrame:
    """One case's elements by layers: the bare embedding (mean of the layers' changes), then each layer in context.

    Index: the element's number; columns: `emb.` and the layers. relative: as a share of the base projection's output,
    not as a norm. ValueError: the table has no such case or projection.
    """
    end = "_relative" if relative else ""
    rows = table[(table["case"] == case.id) & (table["projection"] == projection)]
    if rows.empty:
        raise ValueError(f"the table has no {projection!r} of case {case.id!r}; measure it by token_shift first")
    layers = rows.pivot(index="element", columns="layer", values=f"context{end}")
    bare = rows.groupby("element")[f"embedding{end}"].mean().rename(EMBEDDING)
    return pd.concat([bare, layers], axis=1)


def element_name(case: Case, i: int) -> str:
    """An element as a reader knows it: the node's name, or head → tail of the fact.

    Examples:
        >>> fact = Fact("source:sra", "download_from", "format_1930")
        >>> names = {"source:sra": "SRA", "format_1930": "FASTQ"}
        >>> case = Case("one", "source:sra", "format_1930", (fact,), ("source:sra", "format_1930"), names)
        >>> [element_name(case, i) for i in range(3)]
        ['SRA', 'FASTQ', 'SRA → FASTQ']
    """
    element = case.elements[i]
    if isinstance(element, Fact):
        return f"{case.names[element.head]} → {case.names[element.tail]}"
    return case.names[element]
