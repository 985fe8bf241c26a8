"""Pictures of an adapter's directions: energy, share of the base, intruders, drift in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from workbench.figures.core import PALE, SERIES, Figure, house_style, legend_below, live_text, still_text
from workbench.figures.panels import Panels
from workbench.figures.shift import MARKERS, SYMBOLS, _layer_legend, _layer_lines, _projections, _whole_layers

RANDOM = "random, 95 % of draws"
CHANCE = "by chance"


@house_style()
def energy_curves(table: pd.DataFrame, random: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Share of the squared norm in the first directions: a panel a projection, a line a layer.

    table: rows of `workbench.shift.spectra` with `more=True`. random: projection -> singular values of random changes
    of the same shape and rank (draws, k), as `random_spectra` gives them; drawn as the band of 95 % of them.
    """
    title = "Energy in the first directions of s·B·A"
    panels, groups = _projections(table, title=title, height=3.1)
    for i, (projection, rows) in enumerate(groups):
        if random and projection in random:
            shares = np.cumsum(random[projection] ** 2, axis=1)
            low, high = np.quantile(shares / np.maximum(shares[:, -1:], 1e-300), [0.025, 0.975], axis=0)
            _band(panels, i, np.arange(1, len(low) + 1), low, high, name=RANDOM)
        curves = [(np.arange(1, len(values) + 1), values) for values in rows["energy"]]
        _layer_lines(panels, i, list(rows["layer"]), curves)
        panels.label(i, x="number of directions", y="share of the squared norm" if i == 0 else "")
        panels.axes[i].grid(axis="y")
        panels.axes[i].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels.range(i, y=(0, 1.02))
    _layer_legend(panels)
    half = [int(np.argmax(values >= 0.5)) + 1 for values in table["energy"] if values[-1] > 0]
    said = f"{min(half)} to {max(half)} directions hold half of it" if half else "all is 0"
    return Figure(panels.live, panels.still, f"{title}: {said}.")


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
    panels = Panels.row([name for name, *_ in columns.values()], title=title, height=2.9, same_y=False)
    for i, (column, (_, unit, chance)) in enumerate(columns.items()):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            _line(panels, i, k, rows["layer"], rows[column], name=str(projection))
            if chance:
                _line(panels, i, k, rows["layer"], rows[chance], name=CHANCE, dotted=True)
        _whole_layers(panels, i, table["layer"])
        shown = table[column].replace(np.inf, np.nan).max()
        panels.range(i, y=(0, 1.02 if chance else 1.08 * (float(shown) if shown > 0 else 1.0)))
        panels.label(i, x="layer", y=unit)
    _legend(panels, 1)
    low, high = table["share_frobenius"].min(), table["share_frobenius"].max()
    return Figure(panels.live, panels.still, f"{title}: {low:.3g} to {high:.3g} of its Frobenius norm.")


@house_style()
def intruder_sweep(sweep: pd.DataFrame) -> Figure:
    """Share of leading vectors that no vector of the base resembles, by threshold: a panel a number of vectors.

    sweep: what `workbench.shift.Intruders.sweep` gave. Grey: random changes of the same size. The dotted line adds the
    vectors that could be intruders, where not all vectors of the base were looked at.
    """
    title = "Intruder dimensions among the first left vectors of each module, by threshold"
    groups = [(int(k), rows) for k, rows in sweep.groupby("k")]
    names = [f"first {k} vectors" if k > 1 else "first vector" for k, _ in groups]
    panels = Panels.row(names, title=title, height=2.9)
    for i, (_, rows) in enumerate(groups):
        of = rows["vectors"].clip(lower=1)
        x = rows["threshold"].to_numpy()
        _band(panels, i, x, rows["null_low"] / of, rows["null_high"] / of, name=RANDOM)
        _line(panels, i, 0, x, rows["intruders"] / of, name="this adapter")
        if rows["undecided"].any():
            _line(panels, i, 0, x, (rows["intruders"] + rows["undecided"]) / of, name="and undecided", dotted=True)
        panels.axes[i].grid(axis="y")
        panels.range(i, y=(-0.03, 1.03))
        panels.label(i, x="threshold of |cos|", y="share of the vectors" if i == 0 else "")
    _legend(panels, 0)
    rows = groups[-1][1]
    last = rows.iloc[(rows["threshold"] - 0.5).abs().argmin()]
    said = f"below {last['threshold']:g}: {last['intruders']:.0f} of {last['vectors']:.0f}"
    random = f"random changes {last['null_low']:.0f} to {last['null_high']:.0f}"
    return Figure(panels.live, panels.still, f"{title}; {said}, {random}.")


_DRIFTS = {
    "relative_norm": "norm / final norm",
    "cosine": "cosine to the final one",
    "column_overlap": "overlap, column spaces",
    "row_overlap": "overlap, row spaces",
}


@house_style()
def drift_curves(table: pd.DataFrame) -> Figure:
    """Every checkpoint beside the final change: norm, cosine, overlap of what is written and of what is read.

    table: rows of `workbench.shift.drift`. A line a projection, the median of its modules; the band reaches from the
    least to the largest of them.
    """
    title = "From the first checkpoint to the final change"
    panels = Panels.row(list(_DRIFTS.values()), title=title, height=2.9)
    top = float(np.nanmax([1.0, table["relative_norm"].max()]))
    for i, column in enumerate(_DRIFTS):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            parts = rows.groupby("step")[column].agg(["median", "min", "max"])
            _band(panels, i, parts.index.to_numpy(), parts["min"], parts["max"], colour=SERIES[k], name="")
            _line(panels, i, k, parts.index.to_numpy(), parts["median"], name=str(projection))
        panels.axes[i].grid(axis="y")
        panels.axes[i].xaxis.set_major_locator(MaxNLocator(4, integer=True))
        least = min(0.0, float(np.nanmin([0.0, table["cosine"].min()])))
        panels.range(i, x=(0, 1.04 * float(table["step"].max())), y=(least, 1.04 * top))
        panels.label(i, x="training step")
    _legend(panels, 0)
    first = table[table["step"] == table["step"].min()]
    said = f"at step {first['step'].iloc[0]} the median cosine to it is {first['cosine'].median():.2f}"
    return Figure(panels.live, panels.still, f"{title}: {said}.")


def _line(panels: Panels, i: int, k: int, x: Any, y: Any, *, name: str, dotted: bool = False) -> None:
    """Line number k of panel i, in both twins; a dotted one has no markers and stands back."""
    colour, x, y = SERIES[k % len(SERIES)], np.asarray(x), np.asarray(y, float)
    y = np.where(np.isfinite(y), y, np.nan)
    style: dict[str, Any] = {"ls": ":", "lw": 1.0} if dotted else {"marker": MARKERS[k % len(MARKERS)], "ms": 4.5}
    panels.axes[i].plot(x, y, color=colour, label=still_text(name), **({"lw": 1.3} | style))
    panels.live.add_scatter(
        x=x, y=y, name=live_text(name), legendgroup=name, showlegend=name not in _named(panels),
        mode="lines" if dotted else "lines+markers", line={"color": colour, "dash": "dot" if dotted else "solid"},
        marker={"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 7}, **panels.on(i),
    )  # fmt: skip


def _band(panels: Panels, i: int, x: np.ndarray, low: Any, high: Any, *, name: str, colour: str = PALE) -> None:
    """A filled band; without a name it is in no legend. A coloured one lets the others be seen."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    shade = 1.0 if colour == PALE else 0.18
    label = {"label": name} if name else {}
    panels.axes[i].fill_between(x, low, high, color=colour, alpha=shade, lw=0, **label)
    panels.live.add_scatter(
        x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=colour, opacity=shade, line={"width": 0},
        mode="lines", name=name, legendgroup=name or None, showlegend=bool(name) and name not in _named(panels),
        hoverinfo="skip", **panels.on(i),
    )  # fmt: skip


def _named(panels: Panels) -> set[str]:
    return {trace.legendgroup for trace in panels.live.data if trace.showlegend}


def _legend(panels: Panels, i: int) -> None:
    """One legend for all panels, of what is drawn in panel i, each name once."""
    handles, labels = panels.axes[i].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    legend_below(panels.still, list(once.values()), list(once), columns=6)
