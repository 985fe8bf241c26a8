"""Parts of the graph: as the explorer draws them along the flow, and what lies nearest to some toolchains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import networkx as nx
import numpy as np
from scipy.stats import rankdata

from workbench.figures.core import BLACK, BLUE, PALE, WIDTH, Figure, wrapped
from workbench.figures.drawing import Link, Place, Spot, columns, draw, places, tall
from workbench.figures.kg import ARROWS as MARKS
from workbench.kg.explore import Part
from workbench.kg.paths import FLOW_RELATIONS

LABELLED, FEWER = 36, 12  # nodes up to which all have their names beside them; of more, so many have
ARROWS = 120  # with more facts there are no arrow heads, and lines are thin
FEWEST = 4  # nodes with the same neighbours that are drawn as one
TALL = 9  # nodes in a column; more stand in several
HEIGHT = 5.6  # inches


@dataclass(frozen=True)
class View:
    """What is drawn of a part. part: with bundles in place of their members. bundles: id -> type and members."""

    part: Part
    bundles: Mapping[str, tuple[str, tuple[str, ...]]]


def collapsed(graph: nx.MultiDiGraph, part: Part, *, at_most: int, opened: Collection[str] = ()) -> tuple[View, Part]:
    """The first `at_most` nodes to draw, and the part of the graph that they stand for.

    A bundle is `FEWEST` nodes or more of one type with the same facts but for themselves; one whose id is in
    `opened` is left apart.
    """
    # node -> (other node, relation, its side of the fact)
    beside: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for head, relation, tail in part.facts:
        beside[head].add((tail, relation, "head"))
        beside[tail].add((head, relation, "tail"))
    alike: dict[str, list[str]] = defaultdict(list)
    for node, step in part.steps.items():
        if step and not part.ways:
            ends = ", ".join(" ".join(one) for one in sorted(beside[node]))
            alike[f"{graph.nodes[node]['type']}: {ends}"].append(node)
    bundles = {key: tuple(some) for key, some in alike.items() if len(some) >= FEWEST and key not in opened}
    place = {node: key for key, some in bundles.items() for node in some}
    drawn = dict(list({place.get(node, node): step for node, step in part.steps.items()}.items())[:at_most])
    real = {node: step for node, step in part.steps.items() if place.get(node, node) in drawn}
    facts = tuple(fact for fact in part.facts if fact[0] in real and fact[2] in real)
    shown = dict.fromkeys((place.get(head, head), relation, place.get(tail, tail)) for head, relation, tail in facts)
    kept = {key: (str(graph.nodes[some[0]]["type"]), some) for key, some in bundles.items() if key in drawn}
    return View(replace(part, steps=drawn, facts=tuple(shown)), kept), replace(part, steps=real, facts=facts)


def explored(graph: nx.MultiDiGraph, view: View, *, title: str, told: str) -> Figure:
    """The view with types as shapes; what carries data is blue. Names are taken as text. told: how much is shown."""
    spots, links = drawing(graph, view)
    few = len(links) <= LABELLED // 2
    said = ", ".join(spot.hover[0] for spot in spots[:LABELLED])
    words = [replace(link, label=link.label if few else "") for link in links]
    return draw(spots, words, title=title, height=tall(spots), alt=f"{title}: {told}. {said}.", marks=MARKS)


def drawing(graph: nx.MultiDiGraph, view: View) -> tuple[list[Spot], list[Link]]:
    """Nodes and facts as they are drawn; the `key` of a node is its number in the view's steps, that of a fact comes
    after them."""
    part, order = view.part, list(view.part.steps)
    number = {node: i for i, node in enumerate(order)}
    facts = [(head, tail) for head, _, tail in part.facts]
    spine = part.steps if part.ways else dict.fromkeys(order[:1], 0)
    column = _split(columns(order, facts, spine), spine)
    at = places(column, facts, order if part.ways else order[:1])
    spots = [_spot(graph, view, node, at[node], i) for node, i in number.items()]
    arrows, links = len(part.facts) <= ARROWS, []
    for key, (head, relation, tail) in enumerate(part.facts, len(order)):
        start, end, flows = number[head], number[tail], relation in FLOW_RELATIONS
        hover = (f"{spots[start].hover[0]} {relation} {spots[end].hover[0]}",)
        colour, width = (BLUE, 1.2) if flows else (PALE, 0.7)
        bend = 0.1 if (tail, head) in facts and head != tail else 0
        wide = width if arrows else 0.3
        links.append(Link(start, end, relation, hover, colour, wide, bend=bend, arrow=arrows, key=key))
    return spots, links


def _split(column: Mapping[str, int], spine: Collection[str]) -> dict[str, int]:
    """The columns, those with more than `TALL` nodes as several beside one another; the spine in the first of them."""
    moved: dict[str, int] = {}
    first = 0
    for i in sorted(set(column.values())):
        some = sorted((node for node in column if column[node] == i), key=lambda node: node not in spine)
        several = -(-len(some) // TALL)
        moved |= {node: first + k * several // len(some) for k, node in enumerate(some)}
        first += several
    return moved


def _spot(graph: nx.MultiDiGraph, view: View, node: str, place: tuple[float, float], i: int) -> Spot:
    whole = len(view.part.steps)
    if node in view.bundles:
        kind, members = view.bundles[node]
        hover: tuple[str, ...] = (f"{len(members):,} × {kind}", "a click shows each of them")
    else:
        kind, name = graph.nodes[node]["type"], str(graph.nodes[node]["name"])
        hover = (name, f"{kind}, {graph.in_degree(node)} facts in, {graph.out_degree(node)} out", node)
    label = wrapped(hover[0], width=12, longest=28) if i < (LABELLED if whole <= LABELLED else FEWER) else ()
    size = 17.0 if node in view.bundles else 13.0 if i == 0 else 11.0 if whole <= LABELLED else 8.0
    return Spot(*place, kind, label, hover, size, "below", key=i)


def neighbourhood(flow: nx.DiGraph, paths: Sequence[Sequence[str]], *, at_most: int = 400, seed: int = 0) -> Figure:
    """The part of a data-flow graph that lies nearest to the paths, which run through it from left to right.

    Every node says its name where the pointer is. Nearest by personalised PageRank from the nodes of the paths, links
    taken both ways; at most `at_most` nodes. The same seed gives the same picture.
    """
    spine = list(dict.fromkeys(node for one in paths for node in one))
    shown = flow.subgraph(nearest(flow, spine, at_most=at_most))
    places = _spring(shown, paths, seed=seed)
    on_path = {pair for one in paths for pair in pairwise(one)}
    order = sorted(shown, key=lambda node: (node in spine, node))  # the paths on top
    number = {node: i for i, node in enumerate(order)}
    spots = [_dot(flow, node, places[node], bold=node in spine) for node in order]
    links = [
        Link(number[a], number[b], colour=BLACK if bold else PALE, width=2.2 if bold else 0.35, arrow=bold)
        for a, b in sorted(shown.edges, key=lambda pair: (pair in on_path, pair))
        for bold in ((a, b) in on_path,)
    ]
    title = f"Data flow around a toolchain: showing {len(shown):,} of {len(flow):,} nodes"
    title += f", {shown.number_of_edges():,} of {flow.number_of_edges():,} facts"
    alt = f"{title}. On the bold lines: {', '.join(flow.nodes[node]['name'] for node in spine)}."
    return draw(spots, links, title=title, height=HEIGHT, alt=alt, touched=True)


def nearest(flow: nx.DiGraph, seeds: Sequence[str], *, at_most: int) -> list[str]:
    """The seeds and what is nearest to them by personalised PageRank, links taken both ways; ties by id."""
    rank = nx.pagerank(flow.to_undirected(as_view=True), personalization=dict.fromkeys(seeds, 1.0))
    return sorted(flow, key=lambda node: (node not in seeds, -rank[node], node))[: max(at_most, len(seeds))]


def _spring(shown: nx.DiGraph, paths: Sequence[Sequence[str]], *, seed: int) -> dict[str, np.ndarray]:
    """Places in inches: the paths held on a line from left to right, everything else by springs around them."""
    rng = np.random.default_rng(seed)
    size = np.array([WIDTH, HEIGHT])
    nodes = sorted(shown)
    start = {node: rng.uniform(0.05, 0.95, 2) for node in nodes}
    held: dict[str, np.ndarray] = {}
    for depth, one in enumerate(paths):
        for i, node in enumerate(one):
            level = 0.5 + (0.1 * (-1) ** depth if i % 2 == 0 else 0)  # commands beside the line of the formats
            held.setdefault(node, np.array([0.08 + 0.84 * i / max(len(one) - 1, 1), level]))
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(sorted(shown.edges))
    places = nx.spring_layout(graph, pos={**start, **held}, fixed=list(held), k=0.06, iterations=60, seed=seed)
    free = [node for node in nodes if node not in held]
    found = np.array([places[node] for node in free]).reshape(-1, 2)
    spread = 0.04 + 0.92 * (rankdata(found, axis=0) - 0.5) / max(len(free), 1)  # by rank: a knot would hide its nodes
    return {node: size * place for node, place in (held | dict(zip(free, spread, strict=True))).items()}


def _dot(flow: nx.DiGraph, node: str, place: np.ndarray, *, bold: bool) -> Spot:
    kind, name = flow.nodes[node]["type"], flow.nodes[node]["name"]
    hover = (name, f"{kind}, {flow.in_degree(node)} in, {flow.out_degree(node)} out", node)
    x, y = place.round(3).tolist()
    if not bold:
        return Spot(x, y, kind, hover=hover, size=4.5)
    side: Place = "below" if kind == "format" or y < HEIGHT / 2 else "above"  # away from the bold lines
    return Spot(x, y, kind, wrapped(name), hover, size=12, place=side)
