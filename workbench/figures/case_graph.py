"""The graph of one case, from its source on the left to its target on the right, and what a mask does to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from workbench.cases import Case, Fact
from workbench.figures.answers import draw_answers, tall_answers
from workbench.figures.core import WIDTH, Figure, wrapped
from workbench.figures.drawing import Link, Mark, Spot, draw
from workbench.figures.palette import BLACK, GREY, RED, kind_of

ROW = 0.72  # inches between two nodes of a column
BOW = 0.5  # rows that every other column stands higher: neighbouring labels would meet on one height
LINES = 3  # of a label, the most that fits between two rows
LETTER = 0.064  # inches, of a label
FAINT = 0.05  # degrees of removal below this are not drawn
RING, WIDER = 2.4, 1.6  # points that the highest degree adds to a rim and to an arrow
ARROW: Mark = {"marker": ">", "ms": 5, "lw": 1.6}


def case_graph(
    case: Case, *, title: str, degrees: Sequence[float] | np.ndarray | None = None,
    removed: Collection[str | Fact] = (), toolchains: Mapping[str, Sequence[str]] | None = None,
    names: Mapping[str, str] | None = None,
) -> Figure:  # fmt: skip
    """The shown facts of a case as arrows; the black arrows are those of the right answer.

    degrees: degree of removal, 0 to 1, in the order of `case.elements`: the redder and wider, the higher. removed:
    elements that are taken out; they are crossed out, and what goes with a removed node is dashed. toolchains, names:
    answers to be drawn below, as `answers` takes them.
    """
    spots, links = drawing(case, degrees=degrees, removed=removed)
    marks: dict[str, Mark] = {"right answer": {**ARROW, "c": BLACK}}
    if set(case.facts) - set(case.needed):
        marks["another fact"] = {**ARROW, "c": GREY, "lw": 0.8}
    if degrees is not None and max(degrees, default=0) > FAINT:
        rim = {"marker": "o", "ms": 8, "mfc": "white", "mec": RED, "mew": RING}
        marks["degree of removal: wider is higher"] = {**rim, "c": RED, "lw": 1 + WIDER}
    out = [named(case, element) for element in removed]
    alt = f"{title}: {len(case.facts)} facts between {len(case.nodes)} nodes; removed: {', '.join(out) or 'nothing'}."
    below = tall_answers(toolchains) if toolchains else 0.0
    made = draw(spots, links, title=title, height=tall(spots), alt=alt, marks=marks, below=below)
    if not toolchains:
        return made
    said = draw_answers(made.still.axes[1], case, toolchains, names or case.names)
    return replace(made, alt=f"{alt} {said}.")


def drawing(
    case: Case, *, degrees: Sequence[float] | np.ndarray | None = None, removed: Collection[str | Fact] = ()
) -> tuple[list[Spot], list[Link]]:
    """Nodes and facts as they are drawn; `key` is the number of the element in `case.elements`."""
    m = dict(zip(case.elements, np.zeros(len(case.elements)) if degrees is None else degrees, strict=True))
    column = columns(case)
    places = _places(case, column)
    number = {node: i for i, node in enumerate(case.nodes)}
    step = (WIDTH - 1.1) / max(max(column.values(), default=0), 1)
    fewer = int(np.clip(step / LETTER, 9, 18))  # characters a line
    spots = [_spot(case, node, places[node], float(m[node]), node in removed, fewer) for node in case.nodes]
    links = [
        _link(case, fact, number, float(m[fact]), removed, level=column[fact.head] == column[fact.tail])
        for fact in case.facts
    ]
    spots = [replace(spot, key=i) for i, spot in enumerate(spots)]
    return spots, [replace(link, key=len(spots) + i) for i, link in enumerate(links)]


def tall(spots: Sequence[Spot]) -> float:
    """Inches that a drawing of these nodes needs, labels included."""
    return max(spot.y for spot in spots) + 0.2


def named(case: Case, element: str | Fact) -> str:
    """An element in words: a node's name, or a fact as `FASTQ → hisat2`."""
    if isinstance(element, str):
        return case.names[element]
    return f"{case.names[element.head]} → {case.names[element.tail]}"


def needed(case: Case, i: int) -> bool:
    """Whether the right answer runs through the element with this number."""
    element = case.elements[i]
    return element in case.needed if isinstance(element, Fact) else element in case.path


def columns(case: Case) -> dict[str, int]:
    """Node -> column, 0 for the leftmost: the right answer in order, every other node beside its neighbours."""
    column = {node: i for i, node in enumerate(case.path) if node in case.nodes}
    left = [node for node in case.nodes if node not in column]
    while left:
        found = {}
        for node in left:
            after = [column[f.head] + 1 for f in case.facts if f.tail == node and f.head in column]
            before = [column[f.tail] - 1 for f in case.facts if f.head == node and f.tail in column]
            if after or before:
                found[node] = min(after) if after else max(before)
        column |= found or {left[0]: 0}
        left = [node for node in left if node not in column]
    first = min(column.values(), default=0)
    return {node: i - first for node, i in column.items()}


def _places(case: Case, column: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Inches: the right answer on a line, the other nodes of a column above and below it, near to their neighbours."""
    last = max(column.values(), default=0)
    rows: dict[str, float] = {}
    for i in range(last + 1):
        spine = [node for node in case.path if column.get(node) == i]
        rest = [node for node in case.nodes if column[node] == i and node not in spine]
        rest.sort(key=lambda node: (-_height(case, node, rows), node))
        above = (len(rest) + 1) // 2 if i % 2 else len(rest) // 2
        slots = [0] * len(spine) + [k - above for k in range(len(rest) + bool(spine)) if k != above or not spine]
        rows |= {node: BOW * (i % 2) - slot for node, slot in zip([*spine, *rest], slots, strict=True)}
    lowest = min(rows.values(), default=0)
    step = (WIDTH - 1.1) / max(last, 1)
    return {node: (0.55 + column[node] * step, 0.6 + (row - lowest) * ROW) for node, row in rows.items()}


def _height(case: Case, node: str, rows: dict[str, float]) -> float:
    """Mean row of the neighbours that have one."""
    others = [f.tail if f.head == node else f.head for f in case.facts if node in (f.head, f.tail)]
    known = [rows[other] for other in others if other in rows]
    return float(np.mean(known)) if known else 0.0


def _spot(case: Case, node: str, place: tuple[float, float], degree: float, removed: bool, width: int) -> Spot:
    ends = {case.source: ", start of the question", case.target: ", what is asked for"}
    kind, name = kind_of(node), case.names[node]
    hover = (name, f"{kind}{ends.get(node, '')}", f"degree of removal {degree:.2f}")
    ring = RING * degree if degree > FAINT else 0
    lines = wrapped(name, width=width, longest=26)
    if len(lines) > LINES:
        lines = (*lines[: LINES - 1], f"{lines[LINES - 1]}…")
    return Spot(*place, kind, lines, hover, size=14, place="below", ring=ring, removed=removed)


def _link(
    case: Case, fact: Fact, number: dict[str, int], degree: float, removed: Collection[str | Fact], *, level: bool
) -> Link:
    on_path = case.needed
    told = (f"{case.names[fact.head]} {fact.relation} {case.names[fact.tail]}", f"degree of removal {degree:.2f}")
    bow = 0.12 if any(other[::2] == fact[::-2] for other in case.facts) else 0.25 if level else 0
    return Link(
        number[fact.head],
        number[fact.tail],
        hover=told,
        colour=blend(BLACK if fact in on_path else GREY, RED, degree),
        width=(1.6 if fact in on_path else 0.8) + WIDER * degree * (degree > FAINT),
        bend=bow,
        removed=fact in removed,
        gone=fact.head in removed or fact.tail in removed,
    )


def blend(low: str, high: str, share: float) -> str:
    """The colour `share` of the way from one hex colour to another."""
    a, b = (np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in (low, high))
    mixed = np.round(a + float(np.clip(share, 0, 1)) * (b - a)).astype(int).tolist()
    return "#" + "".join(f"{value:02X}" for value in mixed)
