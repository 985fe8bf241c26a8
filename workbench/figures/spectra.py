"""Pictures of an adapter's change of weights: size, growth, energy, share of the base, intruders, drift in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from workbench.figures.core import BLACK, GREY, MARKERS, PALE, SERIES, Figure, Sheet, house_style
from workbench.figures.panels import SEQUENTIAL, label, legend, line, row

RANDOM = "random, 95 % of draws"
BAND: Any = {"color": PALE, "lw": 0, "label": RANDOM}
MOST_LABELS = 9  # layers in a legend
LAYER = "layer"

_SIZES = {"frobenius": "Frobenius norm", "spectral": "spectral norm", "stable_rank": "stable rank"}
_DRIFTS = {
    "relative_norm": "norm / final norm",
    "cosine": "cosine to the final one",
    "column_overlap": "overlap, column spaces",
    "row_overlap": "overlap, row spaces",
}


@house_style()
def norms(table: pd.DataFrame) -> Figure:
    """Frobenius norm, spectral norm and stable rank over the layers, a line for each projection.

    table: rows of `workbench.shift.spectra`.
    """
    title = "Size and shape of the change s·B·A"
    still, panels = row(list(_SIZES.values()), title=title, height=2.9, same_y=False)
    for axes, (column, name) in zip(panels, _SIZES.items(), strict=True):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            line(axes, k, rows["layer"], rows[column], name=str(projection))
        _over_layers(axes, table["layer"], unit=name, top=table[column].max())
    legend(still)
    largest = table.loc[table["frobenius"].idxmax()]
    alt = f"{title} over {table['layer'].nunique()} layers; the largest Frobenius norm is {largest['frobenius']:.3g}"
    return Figure(still, f"{alt}, in {largest['projection']} of layer {largest['layer']}.")


def _over_layers(axes: Axes, layers: pd.Series, *, unit: str, top: float) -> None:
    """Layers are whole numbers: no ticks between them. top: the largest value, where there is one."""
    low, high = int(layers.min()), int(layers.max())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    room = 0.25 + 0.02 * (high - low)
    axes.set(xlim=(low - room, high + room), ylim=(0, 1.08 * top if top > 0 else 1.0))
    label(axes, x=LAYER, y=unit, grid="y")


@house_style()
def growth_curves(table: pd.DataFrame) -> Figure:
    """Frobenius norm of every module at each checkpoint: a panel a projection, a line a layer.

    table: rows of `workbench.shift.drift`.
    """
    title = "Growth of the change in training"
    still, groups = _projections(table, title=title)
    for i, (axes, _, rows) in enumerate(groups):
        lines = {layer: part.sort_values("step") for layer, part in rows.groupby("layer")}
        _layer_lines(axes, {layer: (part["step"], part["frobenius"]) for layer, part in lines.items()})
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set(xlim=(0, 1.03 * table["step"].max()), ylim=(0, 1.08 * (float(table["frobenius"].max()) or 1.0)))
        label(axes, x="training step", y="Frobenius norm" if i == 0 else "", grid="y")
    _layer_legend(still)
    said = f"Frobenius norms of {table['module'].nunique()} modules at {table['step'].nunique()} steps"
    return Figure(still, f"{title}: {said}.")


def _projections(table: pd.DataFrame, *, title: str) -> tuple[Sheet, list[tuple[Axes, str, pd.DataFrame]]]:
    groups = [(str(name), rows) for name, rows in table.groupby("projection")]
    still, panels = row([name for name, _ in groups], title=title, height=3.0)
    return still, [(axes, *group) for axes, group in zip(panels, groups, strict=True)]


def _layer_lines(axes: Axes, curves: Mapping[int, tuple[Any, Any]]) -> None:
    """One line a layer, from dark (first layer) to light (last)."""
    for k, (layer, (x, y)) in enumerate(curves.items()):
        colour = matplotlib.colormaps[SEQUENTIAL](0.92 * k / max(1, len(curves) - 1))
        axes.plot(x, y, label=f"layer {layer}", color=colour, lw=1.3, marker=MARKERS[k % len(MARKERS)], ms=3.5)


def _layer_legend(still: Sheet) -> None:
    """At most `MOST_LABELS` layers, evenly chosen; then the band."""
    names = list(dict.fromkeys(name for axes in still.axes for name in axes.get_legend_handles_labels()[1]))
    layers = [name for name in names if name != RANDOM]
    some = sorted({round(k) for k in np.linspace(0, len(layers) - 1, min(MOST_LABELS, len(layers)))})
    legend(still, only=[*(layers[k] for k in some), *([RANDOM] if RANDOM in names else [])])


@house_style()
def energy_curves(table: pd.DataFrame, random: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Share of the squared norm in the first directions: a panel a projection, a line a layer.

    table: rows of `workbench.shift.spectra` with `more=True`. random: projection -> singular values of random changes
    of the same shape and rank (draws, k), as `random_spectra` gives them; drawn as the band of 95 % of them.
    """
    title = "Energy in the first directions of s·B·A"
    still, groups = _projections(table, title=title)
    for i, (axes, projection, rows) in enumerate(groups):
        if random and projection in random:
            shares = np.cumsum(random[projection] ** 2, axis=1)
            low, high = np.quantile(shares / np.maximum(shares[:, -1:], 1e-300), [0.025, 0.975], axis=0)
            axes.fill_between(np.arange(1, len(low) + 1), low, high, **BAND)
        curves = zip(rows["layer"], rows["energy"], strict=True)
        _layer_lines(axes, {layer: (np.arange(1, len(values) + 1), values) for layer, values in curves})
        label(axes, x="directions", y="share of the squared norm" if i == 0 else "", grid="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(0, 1.02)
    _layer_legend(still)
    half = [int(np.argmax(values >= 0.5)) + 1 for values in table["energy"] if values[-1] > 0]
    said = f"{min(half)} to {max(half)} directions hold half of it" if half else "all is 0"
    return Figure(still, f"{title}: {said}.")


@house_style()
def base_shares(table: pd.DataFrame) -> Figure:
    """Size of the change beside the base weight, and the part of it in the base's leading directions, over the layers.

    table: rows of `workbench.shift.base_shares`. A line a projection; what random directions reach is dotted.
    """
    title = "The change beside the weight it was added to"
    top = f"the base's first {table['top'].max():.0f} directions"
    columns = {
        "share_frobenius": ("size: ‖sBA‖ / ‖W₀‖\n(Frobenius)", "ratio", None),
        "written_inside": (f"written within\n{top}", "share of the energy", "written_chance"),
        "read_inside": (f"read within\n{top}", "share of the energy", "read_chance"),
    }
    still, panels = row([name for name, *_ in columns.values()], title=title, height=2.9, same_y=False)
    for axes, (column, (_, unit, chance)) in zip(panels, columns.items(), strict=True):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            line(axes, k, rows["layer"], rows[column], name=str(projection))
        for _, rows in table.groupby("projection") if chance else ():  # over the lines, which it may lie on
            line(axes, SERIES.index(BLACK), rows["layer"], rows[chance], name="by chance", dotted=True)
        highest = table[[column, *([chance] if chance else [])]].replace(np.inf, np.nan).max().max()
        _over_layers(axes, table["layer"], unit=unit, top=highest)
    legend(still)
    low, high = table["share_frobenius"].min(), table["share_frobenius"].max()
    return Figure(still, f"{title}: {low:.3g} to {high:.3g} of its Frobenius norm.")


@house_style()
def intruder_sweep(sweep: pd.DataFrame, *, same: str = "size") -> Figure:
    """Share of leading left vectors that no vector of the base resembles, by threshold: a panel a number of vectors of
    each module.

    sweep: what `workbench.shift.Intruders.sweep` gave. Grey: random changes, their mean dotted, which is seen where a
    single one leaves no band; same: what these share with the adapter's. The other dotted line adds the vectors that
    could be intruders, where not all vectors of the base were looked at.
    """
    title = f"Intruder dimensions beside random changes of the same {same}"
    groups = [(int(k), rows) for k, rows in sweep.groupby("k")]
    names = [f"first {k} vectors" if k > 1 else "first vector" for k, _ in groups]
    still, panels = row(names, title=title, height=2.9)
    for i, (axes, (_, rows)) in enumerate(zip(panels, groups, strict=True)):
        of, x = rows["vectors"].clip(lower=1), rows["threshold"]
        axes.fill_between(x, rows["null_low"] / of, rows["null_high"] / of, **BAND)
        line(axes, 0, x, rows["intruders"] / of, name="this adapter")
        if rows["undecided"].any():
            line(axes, 0, x, (rows["intruders"] + rows["undecided"]) / of, name="and undecided", dotted=True)
        line(axes, SERIES.index(GREY), x, rows["null_mean"] / of, name="random, mean", dotted=True)
        axes.set_ylim(-0.03, 1.03)
        label(axes, x="threshold of |cos|", y="share of the vectors" if i == 0 else "", grid="y")
    legend(still)
    rows = groups[-1][1]
    last = rows.iloc[(rows["threshold"] - 0.5).abs().argmin()]
    said = f"below {last['threshold']:g}: {last['intruders']:.0f} of {last['vectors']:.0f}"
    return Figure(still, f"{title}; {said}, random changes {last['null_low']:.0f} to {last['null_high']:.0f}.")


@house_style()
def drift_curves(table: pd.DataFrame) -> Figure:
    """Every checkpoint beside the final change: norm, cosine, overlap of what is written and of what is read.

    table: rows of `workbench.shift.drift`. A line a projection, the median of its modules; the band reaches from the
    least to the largest of them.
    """
    title = "From the first checkpoint to the final change"
    still, panels = row(list(_DRIFTS.values()), title=title, height=2.9)
    top, least = max(1.0, table["relative_norm"].max()), min(0.0, table["cosine"].min())
    for axes, column in zip(panels, _DRIFTS, strict=True):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            parts = rows.groupby("step")[column].agg(["median", "min", "max"])
            line(axes, k, parts.index, parts["median"], name=str(projection), within=[parts["min"], parts["max"]])
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set(xlim=(0, 1.04 * table["step"].max()), ylim=(least, 1.04 * top))
        label(axes, x="training step", grid="y")
    legend(still)
    first = table[table["step"] == table["step"].min()]
    said = f"at step {first['step'].iloc[0]} the median cosine to it is {first['cosine'].median():.2f}"
    return Figure(still, f"{title}: {said}.")
