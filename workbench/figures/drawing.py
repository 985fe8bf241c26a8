"""Graphs as drawings: spots and links, drawn the same way by plotly and by matplotlib.

What is removed is red, dashed and crossed out, so that it is told apart without colour too.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.figures import live as by_plotly
from workbench.figures import still as by_matplotlib
from workbench.figures.core import (
    FONT_SIZE,
    LONGEST_TITLE,
    PIXELS_PER_INCH,
    WIDTH,
    Figure,
    Sheet,
    house_style,
    stage,
    still_text,
)
from workbench.figures.spots import Link, Spot, curve

HEAD, FOOT = 0.3, 0.32  # inches for title and legend, above and below what is drawn


@house_style()
def draw(
    spots: Sequence[Spot],
    links: Sequence[Link],
    *,
    title: str,
    height: float,
    alt: str,
    width: float = WIDTH,
    font: float = FONT_SIZE - 1,
) -> Figure:
    """The drawing as a figure, `width` by `height` inches; text of title and labels is taken as it is."""
    lines = [curve(link, spots) for link in links]
    whole = height + HEAD + FOOT
    still = Sheet(figsize=(width, whole), facecolor="white")
    axes = still.add_axes((0, FOOT / whole, 1, height / whole), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    still.text(0.06 / width, 1 - 0.08 / whole, still_text(title, LONGEST_TITLE), size=FONT_SIZE + 1, va="top")
    by_matplotlib.links(axes, links, lines, font=font)
    by_matplotlib.spots(axes, spots, font=font)
    handles = by_matplotlib.legend(spots, links)
    still.legend(handles=handles, loc="lower left", ncols=8, fontsize=FONT_SIZE - 0.5, borderaxespad=0.2)
    hidden = {"visible": False}
    margin = {"l": 5, "r": 5, "t": 45, "b": 40}
    live = stage(
        title=title,
        height=height + (margin["t"] + margin["b"]) / PIXELS_PER_INCH,
        xaxis={**hidden, "range": [0, width]},
        yaxis={**hidden, "range": [0, height]},
        margin=margin,
        legend={"orientation": "h", "y": 0, "yanchor": "top"},
    )
    by_plotly.links(live, links, lines)
    by_plotly.spots(live, spots, font=font)
    return Figure(live, still, alt)
