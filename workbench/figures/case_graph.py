"""The graph of one case, from its source on the left to its target on the right, and what a mask does to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from workbench.cases import Case, Fact
from workbench.figures.core import BLACK, GREY, RED, WIDTH, Figure, kind_of, wrapped
from workbench.figures.drawing import draw
from workbench.figures.spots import Link, Place, Spot

ROW = 0.62  # inches between two nodes of a column
FAINT = 0.05  # degrees of removal below this are not drawn


def case_graph(
    case: Case,
    *,
    title: str,
    degrees: Sequence[float] | np.ndarray | None = None,
    removed: Collection[str | Fact] = (),
) -> Figure:
    """The shown facts of a case as arrows; the black arrows are those of the right answer.

    degrees: degree of removal, 0 to 1, in the order of `case.elements`: the redder and wider, the higher. removed:
    elements that are taken out; they are crossed out, and what goes with a removed node is dashed.
    """
    m = dict(zip(case.elements, np.zeros(len(case.elements)) if degrees is None else degrees, strict=True))
    layers = columns(case)
    places = _places(case, layers)
    number = {node: i for i, node in enumerate(case.nodes)}
    step = (WIDTH - 1.1) / max(max(layers.values(), default=0), 1)
    fewer = 12 if step > 0.55 else 9
    spots = [_spot(case, node, places[node], float(m[node]), node in removed, fewer) for node in case.nodes]
    needed = set(case.needed)
    links = [_link(case, fact, number, float(m[fact]), removed, needed) for fact in case.facts]
    height = max(spot.y for spot in spots) + 0.5
    out = [label(case, element) for element in removed]
    alt = f"{title}: {len(case.facts)} facts between {len(case.nodes)} nodes; removed: {', '.join(out) or 'nothing'}."
    return draw(spots, links, title=title, height=height, alt=alt, font=7)


def label(case: Case, element: str | Fact) -> str:
    """An element in words: a node's name, or a fact as `FASTQ → hisat2`."""
    if isinstance(element, str):
        return case.names[element]
    return f"{case.names[element.head]} → {case.names[element.tail]}"


def columns(case: Case) -> dict[str, int]:
    """Node -> column, 0 for the source: steps from the source, and for what it does not reach, beside a neighbour."""
    layer = {case.source: 0} if case.source in case.nodes else {}
    layer |= {node: i for i, node in enumerate(case.path) if node in case.nodes}
    open_nodes = [node for node in case.nodes if node not in layer]
    while open_nodes:
        found = {}
        for node in open_nodes:
            after = [layer[f.head] + 1 for f in case.facts if f.tail == node and f.head in layer]
            before = [layer[f.tail] - 1 for f in case.facts if f.head == node and f.tail in layer]
            if after or before:
                found[node] = min(after) if after else max(min(before), 0)
        if not found:
            found = {open_nodes[0]: 0}
        layer |= found
        open_nodes = [node for node in open_nodes if node not in layer]
    return layer


def _places(case: Case, layers: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Inches: the right answer on a line in the middle, other nodes of a column above and below it in turn."""
    deepest = max(layers.values(), default=0)
    step = (WIDTH - 1.1) / max(deepest, 1)
    rows: dict[str, float] = {}
    for column in range(deepest + 1):
        spine = [node for node in case.path if layers.get(node) == column]
        rest = [node for node in case.nodes if layers[node] == column and node not in spine]
        slots = [0] * bool(spine) + [(-1) ** i * (i // 2 + 1) for i in range(len(rest))]
        bow = 0.28 if column % 2 else 0.0  # neighbouring labels would meet on one height
        rows |= {node: slot + bow for node, slot in zip([*spine, *rest], slots, strict=True)}
    lowest = min(rows.values(), default=0)
    return {node: (0.55 + layers[node] * step, 0.55 + (row - lowest) * ROW) for node, row in rows.items()}


def _spot(case: Case, node: str, place: tuple[float, float], degree: float, removed: bool, width: int) -> Spot:
    ends = {case.source: ", start of the question", case.target: ", what is asked for"}
    kind, name = kind_of(node), case.names[node]
    hover = (name, f"{kind}{ends.get(node, '')}", f"degree of removal {degree:.2f}")
    side: Place = "below"
    ring = 3.2 * degree if degree > FAINT else 0
    lines = wrapped(name, width=width, longest=26)
    return Spot(*place, kind, lines, hover, size=14, place=side, ring=ring, removed=removed)


def _link(
    case: Case, fact: Fact, number: dict[str, int], degree: float, removed: Collection[str | Fact], needed: set[Fact]
) -> Link:
    told = (f"{case.names[fact.head]} {fact.relation} {case.names[fact.tail]}", f"degree of removal {degree:.2f}")
    back = any(other.head == fact.tail and other.tail == fact.head for other in case.facts)
    return Link(
        number[fact.head],
        number[fact.tail],
        hover=told,
        colour=blend(BLACK if fact in needed else GREY, RED, degree),
        width=(1.6 if fact in needed else 0.8) + 1.6 * degree * (degree > FAINT),
        bend=0.12 if back else 0,
        removed=fact in removed,
        gone=fact.head in removed or fact.tail in removed,
    )


def blend(low: str, high: str, share: float) -> str:
    """The colour `share` of the way from one hex colour to another."""
    a, b = (np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in (low, high))
    mixed = np.round(a + float(np.clip(share, 0, 1)) * (b - a)).astype(int).tolist()
    return "#" + "".join(f"{value:02X}" for value in mixed)
