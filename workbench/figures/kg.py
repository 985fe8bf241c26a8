"""Pictures of the knowledge graph: its schema, its statistics, toolchains, and a part of it to walk through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes

from workbench.figures.core import (
    BLUE,
    GRID,
    INK,
    LOOKS,
    ORANGE,
    PALE,
    SKY,
    SMALL,
    WIDTH,
    Figure,
    house_style,
    look,
    wrapped,
)
from workbench.figures.drawing import Link, Mark, Place, Spot, draw
from workbench.figures.panels import label, legend, name_rows, row
from workbench.kg.agreement import AgreementRow
from workbench.kg.paths import FLOW_RELATIONS

ARROWS: dict[str, Mark] = {
    "carries data": {"c": BLUE, "marker": ">", "ms": 5, "lw": 1.2},
    "says what something is": {"c": PALE, "marker": ">", "ms": 5, "lw": 1.1},
}
PLACES = {  # entity type -> inches, so that few of the 14 relations cross
    "source": (0.55, 1.75),
    "format": (2.2, 2.75),
    "data": (2.2, 0.75),
    "command": (4.1, 1.75),
    "tool": (5.75, 2.5),
    "operation": (5.75, 0.85),
    "topic": (7.1, 2.9),
    "license": (7.1, 1.75),
}
BOWS = {"input": 0.13, "output": 0.13, "input_data": 0.13, "output_data": 0.13}  # there and back side by side
LOOPS = {"format": 165, "data": 195, "operation": 0, "topic": 90}  # degrees
LABELS_ABOVE = ("format", "source")


def schema(graph: nx.MultiDiGraph) -> Figure:
    """Entity types as nodes and relations as arrows, each with its count in `graph`."""
    types = Counter(str(kind) for _, kind in graph.nodes(data="type"))
    ends = graph.nodes.data("type")
    facts = Counter((ends[head], relation, ends[tail]) for head, tail, relation in graph.edges(keys=True))
    places = _places(types)
    kinds = list(places)
    sides: dict[str, Place] = dict.fromkeys(LABELS_ABOVE, "above")
    spots = [
        Spot(*places[kind], kind, (kind, f"{types[kind]:,}"), size=26, place=sides.get(kind, "below")) for kind in kinds
    ]
    links = []
    for (head, relation, tail), count in sorted(facts.items()):
        ends, colour = (kinds.index(head), kinds.index(tail)), BLUE if relation in FLOW_RELATIONS else PALE
        bend, loop = BOWS.get(relation, 0), LOOPS.get(head, 90)
        links.append(Link(*ends, f"{relation} {count:,}", colour=colour, width=1.2, bend=bend, loop=loop))
    relations = len({relation for _, relation, _ in facts})
    title = f"{len(kinds)} entity types, {relations} relations, {sum(facts.values()):,} facts"
    said = "; ".join(f"{head} {relation} {tail}: {n:,}" for (head, relation, tail), n in sorted(facts.items()))
    return draw(spots, links, title=title, height=3.55, alt=f"Schema: {title}. {said}.", marks=ARROWS)


def _places(types: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Where the types that occur stand: those of another domain below the others, side by side."""
    usual = {kind: place for kind, place in PLACES.items() if kind in types}
    others = sorted(set(types) - set(PLACES))
    return usual | {kind: (3.1 + 1.5 * column, 0.15) for column, kind in enumerate(others)}


@house_style()
def type_statistics(graph: nx.MultiDiGraph) -> Figure:
    """How many nodes of each entity type and facts of each relation there are, as two panels of bars."""
    types = Counter(str(kind) for _, kind in graph.nodes(data="type"))
    relations = Counter(str(relation) for *_, relation in graph.edges(keys=True))
    title = f"{graph.number_of_nodes():,} nodes by type, {graph.number_of_edges():,} facts by relation"
    still, (left, right) = row(["", ""], title=title, height=3.4, same_y=False)
    _count_bars(left, types, {name: look(name).colour for name in types}, unit="nodes")
    colours = {name: BLUE if name in FLOW_RELATIONS else PALE for name in relations}
    _count_bars(right, relations, colours, unit="facts (dark: what carries the data flow)")
    return Figure(still, f"{title}: {_listed(types)}; {_listed(relations)}.")


def _count_bars(axes: Axes, counts: Mapping[str, int], colours: Mapping[str, str], *, unit: str) -> None:
    """Horizontal bars with their counts, the longest on top."""
    names = sorted(counts, key=lambda name: (counts[name], name))
    values = [counts[name] for name in names]
    bars = axes.barh(range(len(names)), values, color=[colours[name] for name in names], edgecolor=INK, linewidth=0.4)
    axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, size=SMALL)
    name_rows(axes, names)
    axes.set_xlim(0, 1.2 * max(values, default=1))
    label(axes, x=unit, grid="x")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


@house_style()
def degree_statistics(graph: nx.MultiDiGraph) -> Figure:
    """Share of the nodes of each type that take part in k facts or more, both axes logarithmic."""
    title = "How many facts a node takes part in, by entity type"
    still, (axes,) = row([""], title=title, height=3.6)
    kinds = {str(kind) for _, kind in graph.nodes(data="type")}
    said = []
    for kind in (*LOOKS, *sorted(kinds - LOOKS.keys())):
        degrees = np.sort([d for node, d in graph.degree() if graph.nodes[node]["type"] == kind and d > 0])
        if not len(degrees):
            continue
        k, style = np.unique(degrees), look(kind)
        said.append(f"{kind} (median {np.median(degrees):g})")
        drawn: Any = {"color": style.colour, "marker": style.marker, "ms": 4.5, "lw": 1, "mec": INK, "mew": 0.3}
        axes.plot(k, 1 - np.searchsorted(degrees, k) / len(degrees), label=said[-1], **drawn)
    axes.set(xscale="log", yscale="log")
    label(axes, x="facts of a node, k", y="share of nodes with k or more", grid="both")
    legend(still, columns=4)
    return Figure(still, f"{title}: {'; '.join(said)}.")


def path(graph: nx.Graph, paths: Sequence[Sequence[str]], *, title: str) -> Figure:
    """Toolchains (node ids, source first) of a flow or whole graph from left to right, each arrow with its relation.

    Formats stand in the middle, commands below them; where the paths part, the second choice stands above.
    """
    longest = max(len(one) for one in paths)
    columns = [list(dict.fromkeys(one[i] for one in paths if i < len(one))) for i in range(longest)]
    deepest = max(len(column) for column in columns)
    line = 1.75 + 0.75 * max(deepest - 2, 0)  # height of the formats, inches
    step = (WIDTH - 1.1) / max(longest - 1, 1)
    places: dict[str, Spot] = {}
    for i, column in enumerate(columns):
        for depth, node in enumerate(column):
            kind, name = graph.nodes[node]["type"], graph.nodes[node]["name"]
            off = 0.0 if kind in ("format", "data") else (-1.05, 1.05)[depth % 2] * (1 + 0.7 * (depth // 2))
            style: Place = "below" if off < 0 else "above"
            places[node] = Spot(0.55 + i * step, line + off, kind, wrapped(name), (name, node), size=17, place=style)
    number = {node: i for i, node in enumerate(places)}
    steps = list(dict.fromkeys(pair for one in paths for pair in pairwise(one)))
    links = [Link(number[a], number[b], _relation(graph, a, b), width=1.3) for a, b in steps]
    said = "; or ".join(" to ".join(graph.nodes[node]["name"] for node in one) for one in paths)
    height = line + (0.75 if deepest == 1 else 1.6 + 0.75 * max(deepest - 3, 0))
    return draw(list(places.values()), links, title=title, height=height, alt=f"{title}: {said}.")


def _relation(graph: nx.Graph, head: str, tail: str) -> str:
    """The data-flow relation between two nodes of a flow graph or of the whole graph."""
    found = graph.get_edge_data(head, tail) or {}
    if graph.is_multigraph():
        return next((relation for relation in FLOW_RELATIONS if relation in found), "")
    return str(found.get("relation", ""))


@house_style()
def registry_agreement(rows: Sequence[AgreementRow]) -> Figure:
    """Facts of each relation as one bar: said the same by the registries, nearly the same, otherwise, or not at all."""
    title = "What public registries say about the same facts"
    parts: dict[str, tuple[str, str, Callable[[AgreementRow], int]]] = {
        "the same": (BLUE, "", lambda one: one.exact),
        "a term above or below": (SKY, "///", lambda one: one.related),
        "something else": (ORANGE, "xxx", lambda one: one.checked - one.exact - one.related),
        "nothing": (GRID, "", lambda one: one.unknown),
    }
    rows = list(rows)[::-1]
    still, (axes,) = row([""], title=title, height=1.2 + 0.24 * len(rows))
    left = np.zeros(len(rows))
    for part, (colour, hatch, count) in parts.items():
        share = np.array([count(one) / max(one.facts, 1) for one in rows])
        style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.barh(range(len(rows)), share, left=left, label=part, **style)
        left += share
    name_rows(axes, [f"{one.relation} (n = {one.facts:,})" for one in rows])
    axes.set_xlim(0, 1)
    label(axes, x="share of the facts")
    legend(still)
    said = [f"{one.relation} {one.share:.2f} of {one.checked:,}" for one in rows[::-1] if one.share is not None]
    return Figure(still, f"{title}. Confirmed share of what could be checked: {'; '.join(said)}.")
