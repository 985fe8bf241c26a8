"""Graphs as drawings: spots and links, placed in inches, and how they look on paper.

What is removed is red, dashed and crossed out, so that it is told apart without colour too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from workbench.figures import core
from workbench.figures.core import FONT_SIZE, GREY, INK, LOOKS, REMOVED, SMALL, WIDTH, Figure, Tip, look, still_text

Place = Literal["above", "below"]
Points = np.ndarray  # (n, 2) float, inches
Mark = dict[str, Any]  # the style of an entry of the legend, for a line of matplotlib

POINTS_PER_INCH = 72
GAP = 0.05  # inches between a link's end and its spot
LETTER, LINE = 0.064, 0.14  # inches of a label: a letter's mean width, a line's height
BOWED = 0.35  # of the way: where the label of a bowed link stands, beside that of the way back
HEAD, KEY = 0.3, 0.24  # inches: for the title above what is drawn, and for a line of the legend below it
KEYS = 5  # entries in a line of the legend
DASHED: Any = (0, (3, 2))
ROW = 0.72  # inches between two nodes of a column
BOW = 0.5  # rows that every other column stands higher: neighbouring labels would meet on one height


@dataclass(frozen=True)
class Spot:
    """A node at (x, y) inches. size: points across; ring: width of a red rim, points; label, hover: lines of text."""

    x: float
    y: float
    kind: str
    label: tuple[str, ...] = ()
    hover: tuple[str, ...] = ()
    size: float = 11
    place: Place = "above"
    ring: float = 0
    removed: bool = False
    key: int = -1  # what a click on it means to a panel

    @property
    def radius(self) -> float:
        """Inches."""
        return self.size / POINTS_PER_INCH / 2


@dataclass(frozen=True)
class Link:
    """An edge between two spots (their numbers). bend: height of its bow over its length; width: points.

    loop: where a link from a spot to itself goes, degrees counter-clockwise from the right.
    """

    start: int
    end: int
    label: str = ""
    hover: tuple[str, ...] = ()
    colour: str = GREY
    width: float = 1
    bend: float = 0
    loop: float = 90
    arrow: bool = True
    removed: bool = False
    key: int = -1
    gone: bool = False  # not removed itself, but with an end that is
    strong: bool = False  # in full ink in a panel, whatever its colour on paper

    @property
    def ink(self) -> str:
        """The colour it is drawn in: red once it is no longer there."""
        return REMOVED if self.dashed else self.colour

    @property
    def dashed(self) -> bool:
        """Whether it is no longer there."""
        return self.removed or self.gone


def curve(link: Link, spots: Sequence[Spot]) -> Points:
    """The link's line from rim to rim: (n, 2) inches; a bow when it bends, a loop when both ends are one spot. An arrow
    ends before a label that would hide its head."""
    here, there = spots[link.start], spots[link.end]
    if link.start == link.end:
        angle, turn = np.linspace(0.75, -0.75, 24) * np.pi, np.deg2rad(link.loop)
        far = here.radius + 1.1 * here.radius * (0.7 + np.cos(angle))  # away from the spot
        side = 1.3 * here.radius * np.sin(angle)
        x = here.x + far * np.cos(turn) - side * np.sin(turn)
        return np.stack([x, here.y + far * np.sin(turn) + side * np.cos(turn)], 1)
    a, b = np.array([here.x, here.y]), np.array([there.x, there.y])
    control = (a + b) / 2 + 2 * link.bend * np.array([a[1] - b[1], b[0] - a[0]])
    t = np.linspace(0, 1, 41 if link.bend else 21)[:, None]
    points = (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * b
    off = np.hypot(*(points - a).T) > here.radius + GAP
    off &= np.hypot(*(points - b).T) > there.radius + GAP
    if link.arrow:
        off &= ~np.logical_or.accumulate(_behind_label(points, there))
    return points[off] if off.sum() > 2 else points


def _behind_label(points: Points, spot: Spot) -> np.ndarray:
    """Which points (n,) the label of a spot hides."""
    down = (points[:, 1] - spot.y) * (1 if spot.place == "above" else -1)
    wide, high = LETTER * max(map(len, spot.label), default=0), LINE * len(spot.label)
    return (abs(points[:, 0] - spot.x) < wide / 2) & (down > _away(spot)) & (down < _away(spot) + high)


def _away(spot: Spot) -> float:
    """Inches from the middle of a spot to its label."""
    return max(look(spot.kind).scale, 1) * spot.radius + 0.04


def columns(nodes: Sequence[str], facts: Collection[tuple[str, str]], spine: Mapping[str, int]) -> dict[str, int]:
    """Node -> column, 0 for the leftmost: those of the spine in theirs, every other node beside its neighbours.

    facts: (head, tail), head before tail along the flow.
    """
    column, flow = dict(spine), nx.DiGraph(facts)
    flow.add_nodes_from(nodes)
    left = [node for node in nodes if node not in column]
    while left:
        found = {}
        for node in left:
            heads = [column[one] + 1 for one in flow.predecessors(node) if one in column]
            tails = [column[one] - 1 for one in flow.successors(node) if one in column]
            if heads or tails:
                found[node] = min(heads) if heads else max(tails)
        column |= found or {left[0]: 0}
        left = [node for node in left if node not in column]
    first = min(column.values(), default=0)
    return {node: i - first for node, i in column.items()}


def places(
    column: Mapping[str, int], facts: Collection[tuple[str, str]], spine: Collection[str]
) -> dict[str, tuple[float, float]]:
    """Inches: the spine on a line, the other nodes of a column above and below it, near to their neighbours."""
    last = max(column.values(), default=0)
    beside: dict[str, list[str]] = {node: [] for node in column}
    for head, tail in facts:
        beside[head].append(tail)
        beside[tail].append(head)
    rows: dict[str, float] = {}
    for i in range(last + 1):
        held = [node for node in spine if column.get(node) == i][:1]  # of several ways the first runs on the line
        rest = [node for node in column if column[node] == i and node not in held]
        rest.sort(key=lambda node: (-_height(beside[node], rows), node))
        above = (len(rest) + 1) // 2 if i % 2 else len(rest) // 2
        slots = [0] * len(held) + [k - above for k in range(len(rest) + bool(held)) if k != above or not held]
        rows |= {node: BOW * (i % 2) - slot for node, slot in zip([*held, *rest], slots, strict=True)}
    lowest = min(rows.values(), default=0)
    step = (WIDTH - 1.1) / max(last, 1)
    return {node: (0.55 + column[node] * step, 0.6 + (row - lowest) * ROW) for node, row in rows.items()}


def _height(others: Sequence[str], rows: Mapping[str, float]) -> float:
    """Mean row of the neighbours that have one."""
    known = [rows[other] for other in others if other in rows]
    return float(np.mean(known)) if known else 0.0


def tall(spots: Sequence[Spot]) -> float:
    """Inches that a drawing of these nodes needs, labels included."""
    return max(spot.y for spot in spots) + 0.2


@core.house_style()
def draw(
    spots: Sequence[Spot], links: Sequence[Link], *, title: str, height: float, alt: str,
    marks: Mapping[str, Mark] | None = None, below: float = 0.0, touched: bool = False,
) -> Figure:  # fmt: skip
    """The drawing as a figure, `height` inches high; text of title and labels is taken as it is.

    marks: name -> style of more entries for the legend, so that it names every mark. below: inches left free at the
    foot, where the figure's second axes are. touched: whether the pointer brings up the hover texts of the spots.
    """
    entries = {**_marks(spots, links), **(marks or {})}
    foot = below + 0.08 + KEY * -(-len(entries) // KEYS)
    whole = height + HEAD + foot
    still = core.Sheet(figsize=(WIDTH, whole), dpi=core.DPI, facecolor="white")
    axes = still.add_axes((0, foot / whole, 1, height / whole), xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    still.text(0.06 / WIDTH, 1 - 0.08 / whole, still_text(title, core.LONGEST_TITLE), size=FONT_SIZE + 1, va="top")
    _links(axes, links, [curve(link, spots) for link in links])
    _spots(axes, spots)
    handles = [Line2D([], [], label=name, **mark) for name, mark in entries.items()]
    still.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, below / whole), ncols=KEYS, fontsize=SMALL,
        borderaxespad=0.2, handlelength=2.4, columnspacing=1.6,
    )  # fmt: skip
    if below:
        still.add_axes((0.13, 0.04 / whole, 0.87, (below - 0.04) / whole))
    tips = [Tip(axes, spot.x, spot.y, "\n".join(spot.hover)) for spot in spots if touched and spot.hover]
    return Figure(still, alt, tips)


def _links(axes: Axes, drawn: Sequence[Link], lines: Sequence[Points]) -> None:
    """Lines, arrow heads, crosses on what is removed, relation labels."""
    styles: list[Any] = [DASHED if link.dashed else "solid" for link in drawn]
    inks, widths = [link.ink for link in drawn], [link.width for link in drawn]
    axes.add_collection(LineCollection(list(lines), colors=inks, linewidths=widths, linestyles=styles, zorder=1))
    for link, line in zip(drawn, lines, strict=True):
        x, y = line[len(line) // 2]
        if link.arrow:
            head = {"arrowstyle": "-|>", "color": link.ink, "lw": 0, "shrinkA": 0, "shrinkB": 0}
            head["mutation_scale"] = 7 + 2 * link.width
            axes.annotate("", xy=line[-1], xytext=line[-3], arrowprops=head, zorder=2)
        if link.removed:
            axes.scatter(x, y, marker="x", s=28, c=REMOVED, linewidths=1.6, zorder=4)
        if link.label:  # beside the far end of a loop
            x, y = line[int((BOWED if link.bend else 0.5) * len(line))]
            beside = 0.45 * np.cos(np.deg2rad(link.loop)) if link.start == link.end else 0
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
            style: dict[str, Any] = {"size": SMALL, "ha": "center", "va": "center", "bbox": box, "zorder": 3}
            axes.text(x + beside, y, still_text(link.label), **style)


def _spots(axes: Axes, drawn: Sequence[Spot]) -> None:
    """Markers by type, red rims, crosses on what is removed, labels."""
    for kind in dict.fromkeys(spot.kind for spot in drawn):
        some = [spot for spot in drawn if spot.kind == kind]
        x, y, sizes = zip(*((spot.x, spot.y, (look(kind).scale * spot.size) ** 2) for spot in some), strict=True)
        rims: dict[str, Any] = {"edgecolors": [REMOVED if spot.ring else INK for spot in some]}
        rims["linewidths"] = [spot.ring or 0.5 for spot in some]
        axes.scatter(x, y, s=sizes, c=look(kind).colour, marker=look(kind).marker, zorder=5, **rims)
    for spot in drawn:
        if spot.removed:
            axes.scatter(spot.x, spot.y, s=1.8 * spot.size**2, marker="x", c=REMOVED, linewidths=2.2, zorder=6)
        if spot.label:
            _label(axes, spot)


def _label(axes: Axes, spot: Spot) -> None:
    away = _away(spot)
    y, va = (spot.y + away, "bottom") if spot.place == "above" else (spot.y - away, "top")
    text = "\n".join(still_text(line) for line in spot.label)
    halo = [withStroke(linewidth=2, foreground="white")]
    axes.text(spot.x, y, text, size=SMALL, ha="center", va=va, zorder=7, path_effects=halo, linespacing=1.05)


def _marks(spots: Sequence[Spot], links: Sequence[Link]) -> dict[str, Mark]:
    """Entries for the entity types that occur and, where something is removed, for that."""
    shown = {spot.kind for spot in spots}
    out: dict[str, Mark] = {
        kind: {"ls": "", "marker": one.marker, "mfc": one.colour, "mec": INK, "mew": 0.5, "ms": 7.5 * one.scale}
        for kind, one in LOOKS.items()
        if kind in shown
    }
    if any(spot.removed for spot in spots) or any(link.removed for link in links):
        out["removed"] = {"ls": DASHED, "marker": "x", "c": REMOVED, "mew": 2, "ms": 7}
    if any(link.gone and not link.removed for link in links):
        out["gone with a node"] = {"ls": DASHED, "c": REMOVED}
    return out
