"""A part of the graph as the explorer draws it: rings around a node, ways from left to right, or all as a disc."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np

from workbench.figures.core import WIDTH, Figure, wrapped
from workbench.figures.drawing import Link, Spot, draw
from workbench.figures.kg import ARROWS as MARKS
from workbench.figures.palette import BLUE, PALE
from workbench.kg.explore import Part
from workbench.kg.paths import FLOW_RELATIONS

HEIGHT = 4.6  # inches
LABELLED, FEWER = 36, 12  # nodes up to which all have their names beside them; of more, so many have
ARROWS = 120  # with more facts there are no arrow heads, and lines are thin
GOLDEN = np.pi * (3 - np.sqrt(5))  # the angle by which seeds of a sunflower follow one another
STAGGER = 26  # nodes on a ring that stand on one line


def explored(graph: nx.MultiDiGraph, part: Part, *, title: str) -> Figure:
    """The part with types as shapes; what carries data is blue. Names are taken as text."""
    spots, links = drawing(graph, part)
    few = len(part.steps) <= LABELLED // 2
    said = ", ".join(str(graph.nodes[node]["name"]) for node in list(part.steps)[:LABELLED])
    words = [Link(**{**vars(link), "label": link.label if few else ""}) for link in links]
    return draw(spots, words, title=title, height=HEIGHT, alt=f"{title}: {part.told(graph)}. {said}.", marks=MARKS)


def drawing(graph: nx.MultiDiGraph, part: Part) -> tuple[list[Spot], list[Link]]:
    """Nodes and facts as they are drawn; the `key` of a node is its number in `part.steps`, that of a fact comes after
    them."""
    order = list(part.steps)
    number = {node: i for i, node in enumerate(order)}
    places = _places(graph, part)
    spots = [_spot(graph, node, places[node], i, whole=len(order)) for node, i in number.items()]
    arrows, links = len(part.facts) <= ARROWS, []
    both = {(head, tail) for head, _, tail in part.facts}
    for i, (head, relation, tail) in enumerate(part.facts):
        names = [graph.nodes[node]["name"] for node in (head, tail)]
        flows = relation in FLOW_RELATIONS
        links.append(
            Link(
                number[head],
                number[tail],
                relation,
                (f"{names[0]} {relation} {names[1]}",),
                BLUE if flows else PALE,
                (1.2 if flows else 0.7) if arrows else 0.3,
                bend=0.1 if (tail, head) in both and head != tail else 0,
                arrow=arrows,
                key=len(order) + i,
            )
        )
    return spots, links


def _spot(graph: nx.MultiDiGraph, node: str, place: tuple[float, float], i: int, *, whole: int) -> Spot:
    kind, name = graph.nodes[node]["type"], str(graph.nodes[node]["name"])
    hover = (name, f"{kind}, {graph.in_degree(node)} facts in, {graph.out_degree(node)} out", node)
    label = wrapped(name, width=14, longest=28) if i < (LABELLED if whole <= LABELLED else FEWER) else ()
    size = 13.0 if i == 0 else float(np.clip(60 / np.sqrt(whole), 4, 11))
    return Spot(*place, kind, label, hover, size, "below", key=i)


def _places(graph: nx.MultiDiGraph, part: Part) -> dict[str, tuple[float, float]]:
    if part.ways:
        places = _columns(part)
    elif max(part.steps.values(), default=0):
        places = _rings(graph, part)
    else:
        places = _disc(part)
    half = np.array([WIDTH / 2 - 0.6, HEIGHT / 2 - 0.45])
    centre = np.array([WIDTH / 2, HEIGHT / 2 + 0.12])
    moved = {node: (centre + half * place).round(3).tolist() for node, place in places.items()}
    return {node: (x, y) for node, (x, y) in moved.items()}


def _rings(graph: nx.MultiDiGraph, part: Part) -> dict[str, np.ndarray]:
    """The centre, and a ring a step, in [-1, 1]²: every node near the direction of those it was reached from."""
    last, angles = max(part.steps.values()), {next(iter(part.steps)): 0.0}
    places = {next(iter(part.steps)): np.zeros(2)}
    beside: dict[str, list[str]] = {node: [] for node in part.steps}
    for head, _, tail in part.facts:
        beside[head].append(tail)
        beside[tail].append(head)
    for step in range(1, last + 1):
        ring = [node for node, at in part.steps.items() if at == step]
        inward = {n: [angles[m] for m in beside[n] if part.steps[m] == step - 1 and m in angles] for n in ring}
        kinds = {node: str(graph.nodes[node]["type"]) for node in ring}
        ring.sort(key=lambda n: (_mean(inward[n]) if step > 1 else 0.0, kinds[n], n))
        for i, node in enumerate(ring):
            angles[node] = 2 * np.pi * (i + 0.5) / (len(ring) | 1)  # odd: no two opposite one another
            inner = 0.22 / last * (i % 3) if len(ring) > STAGGER else 0.0  # crowded: on three lines
            radius = step / last - inner
            places[node] = radius * np.array([np.cos(angles[node]), np.sin(angles[node])])
    return places


def _mean(angles: list[float]) -> float:
    """The mean direction, 0 to 2π."""
    return float(np.angle(np.exp(1j * np.array(angles)).sum()) % (2 * np.pi)) if angles else 0.0


def _disc(part: Part) -> dict[str, np.ndarray]:
    """A sunflower in [-1, 1]²: the first in the middle."""
    count = max(len(part.steps), 1)
    return {
        node: np.sqrt(i / count) * np.array([np.cos(i * GOLDEN), np.sin(i * GOLDEN)])
        for i, node in enumerate(part.steps)
    }


def _columns(part: Part) -> dict[str, np.ndarray]:
    """Ways from left to right, in [-1, 1]²; nodes of one place below one another."""
    last = max(max(part.steps.values()), 1)
    columns: Mapping[int, list[str]] = {
        i: [node for node, at in part.steps.items() if at == i] for i in range(last + 1)
    }
    most = max(max(map(len, columns.values())), 2)
    return {
        node: np.array([2 * i / last - 1, 1.6 * ((len(nodes) - 1) / 2 - k) / (most - 1) + 0.1 * (-1) ** i])
        for i, nodes in columns.items()
        for k, node in enumerate(nodes)
    }
