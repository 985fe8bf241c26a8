"""Drawings by matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from workbench.figures.core import INK, LOOKS, REMOVED, look, still_text
from workbench.figures.spots import SIDES, Link, Points, Spot, middle

DASHED: Any = (0, (3, 2))


def links(axes: Axes, drawn: Sequence[Link], lines: Sequence[Points], *, font: float) -> None:
    """Lines, arrow heads, crosses on what is removed, relation labels."""
    styles: list[Any] = [DASHED if link.dashed else "solid" for link in drawn]
    inks, widths = [link.ink for link in drawn], [link.width for link in drawn]
    axes.add_collection(LineCollection(list(lines), colors=inks, linewidths=widths, linestyles=styles, zorder=1))
    for link, line in zip(drawn, lines, strict=True):
        if link.arrow:
            head = {"arrowstyle": "-|>", "color": link.ink, "lw": 0, "shrinkA": 0, "shrinkB": 0}
            head["mutation_scale"] = 7 + 2 * link.width
            axes.annotate("", xy=line[-1], xytext=line[-3], arrowprops=head, zorder=2)
        if link.removed:
            axes.scatter(*middle(link, line), marker="x", s=28, c=REMOVED, linewidths=1.6, zorder=4)
        if link.label:
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
            style: dict[str, Any] = {"size": font - 0.5, "ha": "center", "va": "center", "bbox": box, "zorder": 3}
            axes.text(*middle(link, line), still_text(link.label), **style)


def spots(axes: Axes, drawn: Sequence[Spot], *, font: float) -> None:
    """Markers by type, red rims, crosses on what is removed, labels."""
    for kind in dict.fromkeys(spot.kind for spot in drawn):
        some = [spot for spot in drawn if spot.kind == kind]
        axes.scatter(
            [spot.x for spot in some],
            [spot.y for spot in some],
            s=[(look(kind).scale * spot.size) ** 2 for spot in some],
            c=look(kind).colour,
            marker=look(kind).marker,
            edgecolors=[REMOVED if spot.ring else INK for spot in some],
            linewidths=[spot.ring or 0.5 for spot in some],
            zorder=5,
        )
    for spot in drawn:
        if spot.removed:
            axes.scatter(spot.x, spot.y, s=1.8 * spot.size**2, marker="x", c=REMOVED, linewidths=2.2, zorder=6)
        if spot.label:
            _label(axes, spot, font)


def _label(axes: Axes, spot: Spot, font: float) -> None:
    side, away = SIDES[spot.place], max(look(spot.kind).scale, 1) * spot.radius + 0.04
    text = "\n".join(still_text(line) for line in spot.label)
    halo = [withStroke(linewidth=2, foreground="white")]
    x, y = spot.x + side.dx * away, spot.y + side.dy * away
    axes.text(x, y, text, size=font, ha=side.ha, va=side.va, zorder=7, path_effects=halo, linespacing=1.05)


def legend(drawn_spots: Iterable[Spot], drawn_links: Iterable[Link]) -> list[Line2D]:
    """Handles for the entity types that occur and, where something is removed, for that."""
    marks, edges = list(drawn_spots), list(drawn_links)
    shown = {spot.kind for spot in marks}
    handles = [
        Line2D([], [], ls="", marker=style.marker, mfc=style.colour, mec=INK, mew=0.5, ms=7.5 * style.scale, label=kind)
        for kind, style in LOOKS.items()
        if kind in shown
    ]
    if any(spot.removed for spot in marks) or any(link.removed for link in edges):
        handles.append(Line2D([], [], ls=DASHED, marker="x", c=REMOVED, mew=2, ms=7, label="removed"))
    if any(link.gone and not link.removed for link in edges):
        handles.append(Line2D([], [], ls=DASHED, c=REMOVED, label="gone with a node"))
    return handles
