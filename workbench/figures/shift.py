"""Pictures of a change of weights: its size and shape per module, and its growth."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from workbench.figures.core import SERIES, Figure, house_style, legend_below, live_text, still_text
from workbench.figures.panels import Panels

MARKERS = ("o", "s", "^", "D", "v", "P", "h", "*")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "hexagon", "star")
MAP = "cividis"  # made for colour-blind eyes, and even in grey
MOST_LABELS = 9  # layers in a legend
LAYER = "layer"

_MEASURES = {
    "frobenius": "Frobenius norm",
    "spectral": "spectral norm",
    "stable_rank": "stable rank",
}


@house_style()
def norms(table: pd.DataFrame) -> Figure:
    """Frobenius norm, spectral norm and stable rank over the layers, a line for each projection.

    table: rows of `workbench.shift.spectra`.
    """
    title = "Size and shape of the change s·B·A"
    panels = Panels.row(list(_MEASURES.values()), title=title, height=2.9, same_y=False)
    for i, column in enumerate(_MEASURES):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            name = str(projection)
            x, y, colour = rows["layer"], rows[column], SERIES[k % len(SERIES)]
            panels.axes[i].plot(
                x, y, color=colour, marker=MARKERS[k % len(MARKERS)], ms=5, lw=1.2, label=still_text(name)
            )
            panels.live.add_scatter(
                x=x, y=y, name=live_text(name), legendgroup=name, showlegend=i == 0, mode="lines+markers",
                line={"color": colour}, marker={"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 8}, **panels.on(i),
            )  # fmt: skip
        _whole_layers(panels, i, table["layer"])
        top = float(table[column].max()) or 1.0
        panels.range(i, y=(0, 1.08 * top))
        panels.label(i, x=LAYER, y=_MEASURES[column])
    handles, labels = panels.axes[0].get_legend_handles_labels()
    legend_below(panels.still, handles, labels)
    largest = table.loc[table["frobenius"].idxmax()]
    alt = f"{title} over {table['layer'].nunique()} layers; the largest Frobenius norm is {largest['frobenius']:.3g}"
    return Figure(panels.live, panels.still, f"{alt}, in {largest['projection']} of layer {largest['layer']}.")


def _whole_layers(panels: Panels, i: int, layers: pd.Series) -> None:
    """Layers are whole numbers: no ticks between them."""
    low, high = int(layers.min()), int(layers.max())
    panels.axes[i].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels.axes[i].grid(axis="y")
    room = 0.25 + 0.02 * (high - low)
    panels.range(i, x=(low - room, high + room))
    panels.live.update_layout({f"xaxis{panels.end(i)}": {"dtick": max(1, (high - low) // 6), "tick0": low}})


@house_style()
def growth_curves(table: pd.DataFrame) -> Figure:
    """Frobenius norm of every module at each checkpoint: a panel a projection, a line a layer.

    table: rows of `workbench.shift.growth`.
    """
    title = "Growth of the change in training"
    panels, groups = _projections(table, title=title, height=2.9)
    for i, (_, rows) in enumerate(groups):
        lines = {layer: part.sort_values("step") for layer, part in rows.groupby("layer")}
        curves = [(part["step"].to_numpy(), part["frobenius"].to_numpy()) for part in lines.values()]
        _layer_lines(panels, i, list(lines), curves)
        panels.axes[i].grid(axis="y")
        panels.axes[i].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panels.range(
            i, x=(0, 1.03 * float(table["step"].max())), y=(0, 1.08 * (float(table["frobenius"].max()) or 1.0))
        )
        panels.label(i, x="training step", y="Frobenius norm" if i == 0 else "")
    _layer_legend(panels)
    steps = table["step"].nunique()
    return Figure(
        panels.live, panels.still, f"{title}: Frobenius norms of {table['module'].nunique()} modules at {steps} steps."
    )


def _projections(table: pd.DataFrame, *, title: str, height: float) -> tuple[Panels, list[tuple[str, pd.DataFrame]]]:
    groups = [(str(name), rows) for name, rows in table.groupby("projection")]
    return Panels.row([name for name, _ in groups], title=title, height=height), groups


def _layer_lines(
    panels: Panels, i: int, layers: Sequence[int], curves: Sequence[tuple[np.ndarray, np.ndarray]]
) -> None:
    """One line a layer, from dark (first layer) to light (last)."""
    for k, (layer, (x, y)) in enumerate(zip(layers, curves, strict=True)):
        colour = to_hex(matplotlib.colormaps[MAP](0.92 * k / max(1, len(layers) - 1)))
        name, marker = f"layer {layer}", k % len(MARKERS)
        style = {"color": colour, "lw": 1.3, "marker": MARKERS[marker], "ms": 3.5}
        panels.axes[i].plot(x, y, label=name, **style)
        panels.live.add_scatter(
            x=x, y=y, name=name, legendgroup=name, showlegend=i == 0, mode="lines+markers",
            line={"color": colour, "width": 1.7}, marker={"symbol": SYMBOLS[marker], "size": 5}, **panels.on(i),
        )  # fmt: skip


def _layer_legend(panels: Panels) -> None:
    """At most `MOST_LABELS` layers, evenly chosen; the band first."""
    handles, labels = panels.axes[0].get_legend_handles_labels()
    band = [k for k, label in enumerate(labels) if not label.startswith("layer ")]
    layers = [k for k in range(len(labels)) if k not in band]
    some = sorted({layers[round(k)] for k in np.linspace(0, len(layers) - 1, min(MOST_LABELS, len(layers)))})
    legend_below(panels.still, [handles[k] for k in some + band], [labels[k] for k in some + band], columns=6)
