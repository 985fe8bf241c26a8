"""The graph of one case, from its source on the left to its target on the right, and what a mask does to it; its
prompt, line by line; the answers before and after something is taken out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from workbench.cases import Case, Fact, aligned
from workbench.figures.core import (
    BLACK,
    GREY,
    INK,
    RED,
    SLACK,
    SMALL,
    WIDTH,
    Figure,
    house_style,
    kind_of,
    short,
    still_text,
    wrapped,
)
from workbench.figures.drawing import LETTER, Link, Mark, Spot, columns, draw, places, tall
from workbench.figures.panels import row

if TYPE_CHECKING:
    from workbench.models.prompts import Segment


LINES = 3  # of a label, the most that fits between two rows
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
    out = [case.label(element) for element in removed]
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
    at, last = places(column, facts, case.path), max(column.values(), default=0)
    fewer = int(np.clip((WIDTH - 1.1) / max(last, 1) / LETTER, 9, 18))  # characters a line
    outer = min(fewer, int(1.1 / LETTER) - SLACK)  # nearer to the edge
    spots = [
        _spot(case, i, at[node], float(m[node]), node in removed, outer if column[node] in (0, last) else fewer)
        for i, node in enumerate(case.nodes)
    ]
    links = [
        _link(case, i, float(m[fact]), removed, level=column[fact.head] == column[fact.tail])
        for i, fact in enumerate(case.facts)
    ]
    return spots, links


def needed(case: Case, i: int) -> bool:
    """Whether the right answer runs through the element with this number."""
    element = case.elements[i]
    return element in case.needed if isinstance(element, Fact) else element in case.path


def _spot(case: Case, key: int, place: tuple[float, float], degree: float, removed: bool, width: int) -> Spot:
    node = case.nodes[key]
    ends = {case.source: ", start of the question", case.target: ", what is asked for"}
    kind, name = kind_of(node), case.names[node]
    hover = (name, f"{kind}{ends.get(node, '')}", f"degree of removal {degree:.2f}")
    ring = RING * degree if degree > FAINT else 0
    lines = wrapped(name, width=width, longest=26)
    if len(lines) > LINES:
        lines = (*lines[: LINES - 1], f"{lines[LINES - 1]}…")
    return Spot(*place, kind, lines, hover, size=14, place="below", ring=ring, removed=removed, key=key)


def _link(case: Case, i: int, degree: float, removed: Collection[str | Fact], *, level: bool) -> Link:
    fact, nodes, on_path = case.facts[i], case.nodes, case.needed
    told = (f"{case.names[fact.head]} {fact.relation} {case.names[fact.tail]}", f"degree of removal {degree:.2f}")
    bow = 0.12 if any(other[::2] == fact[::-2] for other in case.facts) else 0.25 if level else 0
    return Link(
        nodes.index(fact.head),
        nodes.index(fact.tail),
        hover=told,
        colour=blend(BLACK if fact in on_path else GREY, RED, degree),
        width=(1.6 if fact in on_path else 0.8) + WIDER * degree * (degree > FAINT),
        bend=bow,
        removed=fact in removed,
        key=len(nodes) + i,
        strong=fact in on_path,
        gone=fact.head in removed or fact.tail in removed,
    )


def blend(low: str, high: str, share: float) -> str:
    """The colour `share` of the way from one hex colour to another."""
    a, b = np.array([to_rgb(low), to_rgb(high)])
    return to_hex(a + float(np.clip(share, 0, 1)) * (b - a)).upper()


ROOM = 0.84 * WIDTH  # inches for the boxes of a row
MORE = 0.8  # of these, for how many are not shown
TALL = 0.29  # inches of a row
BOXED, PAD = 0.068, 0.24  # inches, of a letter in a box and of what stands around it
STRUCK = 0.055  # inches of the line through a letter
LOOKS = {"": ("", GREY, "-"), "other": ("≠ ", RED, "--"), "new": ("+ ", RED, "--"), "lost": ("− ", RED, ":")}
"""Mark -> what stands before the name, colour and line of the rim."""
KEY = "≠ not in the right answer    + new on Gc    − struck: no longer there"
LINE = 0.17  # inches
LONGEST = 84  # characters of a line
MONO, WIDE = "DejaVu Sans Mono", 0.602  # the font, width of a letter over its size
FRAME = 6  # lines of the frame that are shown


@house_style()
def answers(case: Case, toolchains: Mapping[str, Sequence[str]], names: Mapping[str, str], *, title: str) -> Figure:
    """Toolchains as rows of boxes. An answer on G has a `≠` at what the right answer has not; one on Gc stands below
    the same model's on G, step under step, with a `+` at what is new and a struck `−` at what is no longer there.

    toolchains: `tuned_full`, `tuned_changed`, `base_full`, `base_changed` -> command ids. names: node id -> name.
    """
    still, (axes,) = row([""], title=title, height=0.35 + tall_answers(toolchains))
    return Figure(still, f"{title}. {draw_answers(axes, case, toolchains, names)}.")


def tall_answers(toolchains: Mapping[str, Sequence[str]]) -> float:
    """Inches that `draw_answers` needs."""
    return TALL * (2 + len(toolchains))


def draw_answers(axes: Axes, case: Case, toolchains: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> str:
    """Draws the rows into empty axes, and says them in words."""
    rows: dict[str, Sequence[str]] = {"right answer": case.toolchain}
    rows |= {f"{key.split('_')[0]} on {'G' if key.endswith('full') else 'Gc'}": toolchains[key] for key in toolchains}
    axes.set(xlim=(0, ROOM), ylim=(len(rows) + 0.5, -0.6), xticks=[])
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.text(0, len(rows), KEY, size=SMALL, va="center")
    _boxes(axes, [0], [(node, "") for node in case.toolchain], (), names)
    for model in ("tuned", "base"):
        if f"{model}_full" in toolchains:
            at = [list(rows).index(f"{model} on {graph}") for graph in ("G", "Gc")]
            steps = aligned(toolchains[f"{model}_full"], toolchains[f"{model}_changed"])
            _boxes(axes, at, steps, case.toolchain, names)
    return "; ".join(f"{name}: {', '.join(names.get(n, n) for n in chain) or 'none'}" for name, chain in rows.items())


def _boxes(
    axes: Axes, at: Sequence[int], steps: Sequence[tuple[str, str]], right: Sequence[str], names: Mapping[str, str]
) -> None:
    """One answer, or an answer before and after as two rows (`at`), as many steps as there is room for."""
    runs = counted(steps, names, longest=22)
    x = 0.0
    for i, (node, mark, text) in enumerate(runs):
        width = PAD + BOXED * (len(text) + 2)
        if x + width > ROOM - (MORE if i < len(runs) - 1 else 0):
            _box(axes, x, at[-1], f"… {len(runs) - i} more", "")
            return
        if mark != "new":
            _box(axes, x, at[0], text, "other" if right and node not in right else "")
        if len(at) > 1:
            _box(axes, x, at[1], text, mark)
        x += width
    for y, gone in zip(at, ("new", "lost"), strict=False):
        if all(mark == gone for _, mark in steps):
            _box(axes, x if gone == "lost" else 0.0, y, "(no command)", "")


def counted(steps: Iterable[tuple[str, str]], names: Mapping[str, str], *, longest: int) -> list[tuple[str, str, str]]:
    """Commands with their marks and names; what follows itself stands once, with how often."""
    runs = [(*step, len(list(same))) for step, same in groupby(steps)]
    return [
        (node, mark, f"{short(names.get(node, node), longest)}{f' × {times}' if times > 1 else ''}")
        for node, mark, times in runs
    ]


def _box(axes: Axes, x: float, y: int, text: str, mark: str) -> None:
    sign, rim, style = LOOKS[mark]
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": rim, "linestyle": style}
    words = f"{sign}{still_text(text)}"
    axes.text(x + 0.05, y, words, size=SMALL, va="center", color=INK, bbox=box)
    if mark == "lost":
        end = x + 0.05 + STRUCK * len(f"{sign}{text}")
        axes.plot([x + 0.05, end], [y, y], color=RED, lw=0.8, zorder=4)


def lines(segments: Sequence[Segment]) -> list[tuple[str, int]]:
    """The prompt's lines: their text and the number of the fact they state, -1 for the frame."""
    runs = ((fact, "".join(one.text for one in some)) for fact, some in groupby(segments, key=lambda one: one.fact))
    return [(text.strip("\n"), fact) for fact, text in runs if fact >= 0 or text.strip()]


@house_style()
def prompt(case: Case, segments: Sequence[Segment], *, title: str, removed: Collection[str | Fact] = ()) -> Figure:
    """The prompt as a picture. A struck line is taken out itself; `gone` stands where it goes with one of its nodes."""
    rows: list[tuple[str, bool]] = []
    for text, fact in lines(segments):
        if fact < 0:
            rows += [(line, False) for line in text.split("\n")[:FRAME]]
            continue
        one = case.facts[fact]
        lost, gone = one in removed, one.head in removed or one.tail in removed
        rows.append((f"{'✕ ' if lost else '✕ gone: ' if gone else '   '}{text}", lost or gone))
    still, (axes,) = row([""], title=title, height=0.55 + LINE * len(rows))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    for y, (text, lost) in enumerate(rows):
        ink = RED if lost else INK
        axes.text(0, y, still_text(text, LONGEST), size=SMALL, va="center", color=ink, family=MONO)
        if lost:
            line = {"arrowstyle": "-", "color": ink, "lw": 1, "shrinkA": 0, "shrinkB": 0}
            across = (WIDE * SMALL * len(short(text, LONGEST)), 0)
            axes.annotate("", (0, y), across, textcoords="offset points", arrowprops=line)
    return Figure(still, f"{title}: {sum(lost for _, lost in rows)} of {len(case.facts)} facts are left out.")
