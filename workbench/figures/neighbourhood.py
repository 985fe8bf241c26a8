"""A part of the data flow to walk through: what lies nearest to some toolchains, with them as its spine."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import networkx as nx
import numpy as np
from scipy.stats import rankdata

from workbench.figures.core import WIDTH, Figure, wrapped
from workbench.figures.drawing import Link, Place, Spot, draw
from workbench.figures.palette import BLACK, PALE

HEIGHT = 5.6  # inches


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
