"""Graphs as drawings: spots and links, drawn the same way by plotly and by matplotlib.

What is removed is red, dashed and crossed out, so that it is told apart without colour too.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.figures import live as by_plotly
from workbench.figures import still as by_matplotlib
from workbench.figures.core import FONT_SIZE, WIDTH, Figure, house_style, legend_below, sheet, stage
from workbench.figures.spots import Link, Spot, curve

LEGEND = 0.8  # inches a live drawing is higher, for its legend


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
    """The drawing as a figure, `width` by `height` inches; title and alt are our own words, labels are data."""
    lines = [curve(link, spots) for link in links]
    still, axes = sheet(height=height, width=width)
    axes.set(xlim=(0, width), ylim=(0, height), title=title)
    axes.set_axis_off()
    by_matplotlib.links(axes, links, lines, font=font)
    by_matplotlib.spots(axes, spots, font=font)
    handles = by_matplotlib.legend(spots, links)
    legend_below(still, handles, [str(handle.get_label()) for handle in handles])
    hidden = {"visible": False}
    live = stage(
        title=title,
        height=height + LEGEND,
        xaxis={**hidden, "range": [0, width]},
        yaxis={**hidden, "range": [0, height]},
        margin={"l": 5, "r": 5, "t": 45, "b": 5},
        legend={"orientation": "h", "y": -0.02},
    )
    by_plotly.links(live, links, lines)
    by_plotly.spots(live, spots)
    return Figure(live, still, alt)
