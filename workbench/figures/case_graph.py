"""The graph of one case, from its source on the left to its target on the right, and what a mask does to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from workbench.cases import Case, Fact
from workbench.figures.core import WIDTH, Figure, wrapped
from workbench.figures.drawing import Link, Mark, Spot, columns, draw, places, tall
from workbench.figures.explain import draw_answers, tall_answers
from workbench.figures.palette import BLACK, GREY, RED, kind_of

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
    facts = [(fact.head, fact.tail) for fact in case.facts]
    column = columns(case.nodes, facts, {node: i for i, node in enumerate(case.path) if node in case.nodes})
    at = places(column, facts, case.path)
    number = {node: i for i, node in enumerate(case.nodes)}
    step = (WIDTH - 1.1) / max(max(column.values(), default=0), 1)
    fewer = int(np.clip(step / LETTER, 9, 18))  # characters a line
    spots = [_spot(case, node, at[node], float(m[node]), node in removed, fewer) for node in case.nodes]
    links = [
        _link(case, fact, number, float(m[fact]), removed, level=column[fact.head] == column[fact.tail])
        for fact in case.facts
    ]
    spots = [replace(spot, key=i) for i, spot in enumerate(spots)]
    return spots, [replace(link, key=len(spots) + i) for i, link in enumerate(links)]


def named(case: Case, element: str | Fact) -> str:
    """An element in words: a node's name, or a fact as `FASTQ → hisat2`."""
    if isinstance(element, str):
        return case.names[element]
    return f"{case.names[element.head]} → {case.names[element.tail]}"


def needed(case: Case, i: int) -> bool:
    """Whether the right answer runs through the element with this number."""
    element = case.elements[i]
    return element in case.needed if isinstance(element, Fact) else element in case.path


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
