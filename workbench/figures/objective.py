"""Pictures of the objective: what every term adds to it while masks are learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from plotly.subplots import make_subplots

from workbench.explain.terms import TERMS, Weights, contributions
from workbench.figures.core import (
    BLACK,
    FONT_SIZE,
    GRID,
    LONGEST_TITLE,
    SERIES,
    Figure,
    house_style,
    legend_below,
    live_text,
    sheet,
    stage,
    still_text,
)
from workbench.figures.live import QUIET
from workbench.figures.training import smoothed

DASHES = ("solid", "dash", "dot")  # of plotly; matplotlib's in the same order
STROKES: tuple[Any, ...] = ("solid", (0, (4, 2)), (0, (1, 1)))


@house_style()
def terms(histories: Mapping[str, Sequence[Mapping[str, float]]], weights: Weights, *, title: str) -> Figure:
    """What every term of `TERMS` adds to the objective over the steps, a panel each, and the objective itself last.

    Thin: every step's sample; thick: moving average, decay 0.9.

    histories: name (of a method or a case) -> rows as `Masks.history` has them.
    """
    names, columns = [*TERMS, "objective"], 4
    rows = -(-len(names) // columns)
    heads = [f"{'+' if t.sign > 0 else '−'} {weights.of(t):g} × {t.name}" for t in TERMS.values()] + ["objective"]
    still, grid = sheet(height=1.75 * rows + 0.5, rows=rows, columns=columns, squeeze=False, sharex=True)
    live = make_subplots(rows, columns, subplot_titles=heads, shared_xaxes=True, horizontal_spacing=0.06)
    base = stage(title=title, height=1.9 * rows + 1.1, legend={"orientation": "h", "y": -0.14})
    live.update_layout({**base.layout.to_plotly_json(), "template": None})
    live.update_annotations(font_size=11)
    for axes, name, head in zip(grid.flat, names, heads, strict=False):
        axes.set_title(head, size=FONT_SIZE - 0.5)
        for number, (method, history) in enumerate(histories.items()):
            y = [row["loss"] if name == "objective" else contributions(row, weights)[name] for row in history]
            x = np.array([row["step"] for row in history], np.int32)
            _lines(axes, live, x, y, panel=names.index(name), columns=columns, name=method, number=number)
    for spare in grid.flat[len(names) :]:
        spare.set_visible(False)
    still.suptitle(still_text(title, LONGEST_TITLE), x=0.01, ha="left", size=11)
    still.supxlabel("step", size=FONT_SIZE)
    legend_below(still, *grid.flat[len(names) - 1].get_legend_handles_labels())
    ends = {name: (h[0]["loss_ema"], h[-1]["loss_ema"], len(h)) for name, h in histories.items() if h}
    said = [f"{name} from {first:.4g} to {last:.4g} in {n} steps" for name, (first, last, n) in ends.items()]
    return Figure(live, still, f"{title}: objective {'; '.join(said)}. Panels: {', '.join(heads)}.")


def _lines(
    axes: Axes, live: Any, x: np.ndarray, y: Sequence[float], *, panel: int, columns: int, name: str, number: int
) -> None:
    """One history in one panel of both twins: as sampled, and smoothed."""
    last = panel == len(TERMS)
    colour = BLACK if last else SERIES[panel % len(SERIES)]
    even = smoothed(y)
    axes.plot(x, y, color=colour, lw=0.5, alpha=0.35)
    axes.plot(x, even, color=colour, ls=STROKES[number % 3], lw=1.4, label=still_text(name))
    axes.grid(axis="y")
    axes.tick_params(labelsize=FONT_SIZE - 1.5)
    place = {"row": panel // columns + 1, "col": panel % columns + 1}
    live.update_xaxes(gridcolor=GRID, zeroline=False, **place)
    live.update_yaxes(gridcolor=GRID, zeroline=False, **place)
    group = {"mode": "lines", "legendgroup": live_text(name), **place}
    live.add_scatter(x=x, y=np.round(y, 4), line={"color": colour, "width": 0.6}, opacity=0.4, **group, **QUIET)
    stroke = {"color": colour, "dash": DASHES[number % 3], "width": 1.8}
    live.add_scatter(x=x, y=even.round(4), line=stroke, name=live_text(name), showlegend=last, **group)
