"""Pictures of the knowledge graph: its schema, its statistics, toolchains, and a part of it to walk through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np

from workbench.figures.core import (
    BLUE,
    FONT_SIZE,
    GRID,
    INK,
    LONGEST_TITLE,
    LOOKS,
    ORANGE,
    PALE,
    SKY,
    WIDTH,
    Figure,
    house_style,
    legend_below,
    live_text,
    look,
    sheet,
    stage,
    still_text,
    wrapped,
)
from workbench.figures.drawing import draw
from workbench.figures.spots import Link, Place, Spot
from workbench.kg.agreement import AgreementRow

FLOW = ("download_from", "input", "output", "output_data")  # what carries the data
PLACES = {  # entity type -> inches, so that few of the 14 relations cross
    "source": (0.55, 1.75),
    "format": (2.2, 2.75),
    "data": (2.2, 0.75),
    "command": (4.1, 1.75),
    "tool": (5.75, 2.35),
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
    links = [
        Link(
            kinds.index(head),
            kinds.index(tail),
            f"{relation} {count:,}",
            bend=BOWS.get(relation, 0),
            loop=LOOPS.get(head, 90),
            width=1.1,
        )
        for (head, relation, tail), count in sorted(facts.items())
    ]
    relations = len({relation for _, relation, _ in facts})
    title = f"{len(kinds)} entity types, {relations} relations, {sum(facts.values()):,} facts"
    said = "; ".join(f"{head} {relation} {tail}: {n:,}" for (head, relation, tail), n in sorted(facts.items()))
    return draw(spots, links, title=title, height=3.55, alt=f"Schema: {title}. {said}.")


def _places(types: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Where the types that occur stand: those of another domain below the others, side by side."""
    usual = {kind: place for kind, place in PLACES.items() if kind in types}
    others = sorted(set(types) - set(PLACES))
    return usual | {kind: (3.1 + 1.5 * column, 0.15) for column, kind in enumerate(others)}


@house_style()
def type_statistics(graph: nx.MultiDiGraph) -> Figure:
    """How many nodes of each entity type and facts of each relation there are, as two panels of bars."""
    types = Counter(str(kind) for _, kind in graph.nodes(data="type"))
    relations = Counter(relation for *_, relation in graph.edges(keys=True))
    title = f"{graph.number_of_nodes():,} nodes by type, {graph.number_of_edges():,} facts by relation"
    still, panels = sheet(height=3.4, columns=2)
    live = stage(title=title, height=4.2, showlegend=False)
    _count_bars(panels[0], live, types, [look(name).colour for name in _rising(types)], unit="nodes", panel=0)
    colours = [BLUE if name in FLOW else PALE for name in _rising(relations)]
    _count_bars(panels[1], live, relations, colours, unit="facts (dark: what carries the data flow)", panel=1)
    still.suptitle(still_text(title, LONGEST_TITLE), x=0.01, ha="left", size=11)
    return Figure(live, still, f"{title}: {_listed(types)}; {_listed(relations)}.")


def _rising(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (counts[name], name))


def _count_bars(
    axes: Any, live: Any, counts: Mapping[str, int], colours: Sequence[str], *, unit: str, panel: int
) -> None:
    """Horizontal bars with their counts, the longest on top, in one panel of both twins."""
    names, end = _rising(counts), "" if panel == 0 else str(panel + 1)
    values, places = [counts[name] for name in names], list(range(len(names)))
    bars = axes.barh(places, values, color=colours, edgecolor=INK, linewidth=0.4)
    axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, size=FONT_SIZE - 1)
    axes.set_yticks(places, [still_text(name) for name in names])
    axes.set(xlabel=unit, xlim=(0, 1.15 * max(values, default=1)))
    axes.grid(axis="x")
    ticks = {"tickvals": places, "ticktext": [live_text(name) for name in names], "ticks": "outside"}
    domain = [0.1 + 0.52 * panel, 0.46 + 0.52 * panel]
    live.update_layout({f"xaxis{end}": {"domain": domain, "anchor": f"y{end}", "title": {"text": unit}}})
    live.update_layout({f"yaxis{end}": {**ticks, "anchor": f"x{end}", "showgrid": False}})
    live.add_bar(
        x=values,
        y=places,
        orientation="h",
        marker={"color": colours, "line": {"color": INK, "width": 0.5}},
        text=[f"{value:,}" for value in values],
        textposition="outside",
        cliponaxis=False,
        xaxis=f"x{end}",
        yaxis=f"y{end}",
        hoverinfo="skip",
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


@house_style()
def degree_statistics(graph: nx.MultiDiGraph) -> Figure:
    """Share of the nodes of each type that take part in k facts or more, both axes logarithmic."""
    title = "How many facts a node takes part in, by entity type"
    labels = ("facts of a node, k", "share of nodes with k or more")
    still, axes = sheet(height=3.6)
    live = stage(title=title, height=4.4, legend={"orientation": "h", "y": -0.22})
    kinds = {str(kind) for _, kind in graph.nodes(data="type")}
    for kind, style in {**LOOKS, **{kind: look(kind) for kind in sorted(kinds - LOOKS.keys())}}.items():
        degrees = np.sort([d for node, d in graph.degree() if graph.nodes[node]["type"] == kind and d > 0])
        if not len(degrees):
            continue
        k = np.unique(degrees)
        share = 1 - np.searchsorted(degrees, k) / len(degrees)
        name = f"{kind} (median {np.median(degrees):g})"
        line = {"color": style.colour, "marker": style.marker, "ms": 4.5, "lw": 1, "mec": INK, "mew": 0.3}
        axes.plot(k, share, label=name, **line)
        marker = {"symbol": style.symbol, "size": 7, "line": {"color": INK, "width": 0.4}}
        ink = {"color": style.colour, "width": 1.2}
        live.add_scatter(x=k, y=share.round(4), name=name, mode="lines+markers", marker=marker, line=ink)
    axes.set(xscale="log", yscale="log", xlabel=labels[0], ylabel=labels[1], title=title)
    axes.grid(which="major")
    handles, names = axes.get_legend_handles_labels()
    legend_below(still, handles, names, columns=4)
    live.update_xaxes(type="log", title_text=labels[0], dtick=1)
    live.update_yaxes(type="log", title_text=labels[1], dtick=1)
    return Figure(live, still, f"{title}: {'; '.join(names)}.")


def path(graph: nx.Graph, paths: Sequence[Sequence[str]], *, title: str) -> Figure:
    """Toolchains (node ids, source first) from left to right, each arrow with its relation.

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
        return next((relation for relation in FLOW if relation in found), "")
    return str(found.get("relation", ""))


@house_style()
def registry_agreement(rows: Sequence[AgreementRow]) -> Figure:
    """Facts of each relation as one bar: said the same by the registries, nearly the same, otherwise, or not at all."""
    title = "What public registries say about the same facts"
    parts: dict[str, tuple[str, str, Callable[[AgreementRow], int]]] = {
        "the same": (BLUE, "", lambda row: row.exact),
        "a term above or below": (SKY, "///", lambda row: row.related),
        "something else": (ORANGE, "xxx", lambda row: row.checked - row.exact - row.related),
        "nothing": (GRID, "", lambda row: row.unknown),
    }
    rows = list(rows)[::-1]
    names, places = [row.relation for row in rows], list(range(len(rows)))
    still, axes = sheet(height=1.1 + 0.24 * len(rows))
    live = stage(title=title, height=1.9 + 0.24 * len(rows), barmode="stack", legend={"orientation": "h", "y": -0.16})
    left = np.zeros(len(rows))
    for part, (colour, hatch, count) in parts.items():
        share = np.array([count(row) / max(row.facts, 1) for row in rows])
        axes.barh(places, share, left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=part)
        pattern = {"shape": hatch[:1], "fillmode": "overlay", "fgcolor": "white", "size": 6}
        hover = [f"{part}: {count(row):,} of {row.facts:,}" for row in rows]
        bar = {"marker": {"color": colour, "pattern": pattern}, "hovertext": hover, "hoverinfo": "text"}
        live.add_bar(x=share.round(4), y=places, orientation="h", name=part, **bar)
        left += share
    axes.set_yticks(places, [still_text(name) for name in names])
    axes.set(xlim=(0, 1), xlabel="share of the facts", title=title)
    live.update_xaxes(range=[0, 1], title_text="share of the facts")
    live.update_yaxes(tickvals=places, ticktext=[live_text(name) for name in names], showgrid=False)
    legend_below(still, *axes.get_legend_handles_labels())
    said = [f"{row.relation} {row.share:.2f} of {row.checked:,}" for row in rows[::-1] if row.share is not None]
    return Figure(live, still, f"{title}. Confirmed share of what could be checked: {'; '.join(said)}.")
