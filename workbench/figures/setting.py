"""Pictures of one case with the adapter at some dose: margin over doses, switches, an element by all its measures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.figures.agreement import _unit
from workbench.figures.core import BLUE, INK, ORANGE, PALE, RED, Figure, house_style, live_text, still_text
from workbench.figures.dose import _cells, _ticks, _upright, _whole_legend
from workbench.figures.panels import Panels
from workbench.figures.spectra import _line

VALUES = {"margin": "lead, nats", "logprob": "log p, nats"}
MOST = 30  # elements in one picture
FITTING = 5  # panels whose titles have room side by side
BELOW = 0.3  # of a cell: where the cross of a module that is off stands


@house_style()
def response(
    grid: Sequence[float], curves: Mapping[str, np.ndarray], *, dose: float, value: float, form: str = "margin"
) -> Figure:
    """A case's value over the dose, a line a series, with the dose that is set and its value. curves: name -> (doses,)
    nats."""
    title = "The answer over the adapter's dose: 0 the base, 1 as trained"
    panels = Panels.row([f"set: dose {dose:g}, {value:+.2f} nats"], title=title, height=2.7)
    for k, (name, values) in enumerate(curves.items()):
        _line(panels, 0, k, grid, values, name=name)
    panels.axes[0].plot([dose], [value], marker="*", ms=13, ls="", color=RED, mec=INK, label="set now", zorder=5)
    marker = {"symbol": "star", "size": 15, "color": RED, "line": {"color": INK, "width": 1}}
    panels.live.add_scatter(x=[dose], y=[value], mode="markers", name="set now", marker=marker, **panels.on(0))
    _upright(panels, 0, 1.0)
    panels.axes[0].axhline(0, color=PALE, lw=0.8)
    panels.axes[0].grid(axis="y")
    panels.label(0, x="dose", y=VALUES[form])
    _whole_legend(panels)
    ends = "; ".join(
        f"{name}: {values[0]:.3g} at 0, {values[-1]:.3g} at {grid[-1]:g}" for name, values in curves.items()
    )
    return Figure(panels.live, panels.still, f"{title}. Set: dose {dose:g}, {value:.3g} nats. {ends}.")


@house_style()
def switchboard(losses: np.ndarray, places: Sequence[tuple[int | str, str]], *, off: Collection[int] = ()) -> Figure:
    """Layer by projection: nats that go with each module switched off alone; those that are off are crossed out.

    losses: (modules,) of `Settings.losses`, or whole layers or projections; places: their layers and projections.
    """
    title = "What goes with each module switched off alone, nats"
    layers = sorted({layer for layer, _ in places})
    projections = list(dict.fromkeys(name for _, name in places))
    grid = np.full((len(projections), len(layers)), np.nan)
    said = [[""] * len(layers) for _ in projections]
    panels = Panels.row(["a cross: off now"], title=title, height=1.3 + 0.32 * len(projections), legend=False)
    cells = [(projections.index(name), layers.index(layer)) for layer, name in places]
    for k, (y, x) in enumerate(cells):
        grid[y, x] = losses[k]
        said[y][x] = f"layer {layers[x]}, {live_text(projections[y])}: {losses[k]:+.3g}{', off' if k in off else ''}"
    _cells(panels, 0, grid, said, top=float(np.nanmax(np.abs(grid))) or 1.0)
    gone = np.array([cells[k] for k in off]).reshape(-1, 2)
    if len(gone):
        panels.axes[0].scatter(gone[:, 1], gone[:, 0] + BELOW, marker="X", s=60, c="white", edgecolors=INK, zorder=4)
        marker = {"symbol": "x", "size": 11, "color": "white", "line": {"color": INK, "width": 1}}
        panels.live.add_scatter(
            x=gone[:, 1],
            y=gone[:, 0] + BELOW,
            mode="markers",
            marker=marker,
            hoverinfo="skip",
            showlegend=False,
            **panels.on(0),
        )
    _ticks(panels, 0, [str(layer) for layer in layers], projections)
    panels.label(0, x="layer")
    best = int(np.argmax(losses))
    alt = f"most goes with {places[best][1]} of layer {places[best][0]}: {losses[best]:.3g}; {len(gone)} are off"
    return Figure(panels.live, panels.still, f"{title}; {alt}.")


@house_style()
def linked(rows: pd.DataFrame, measures: Sequence[str], *, picked: int | None = None) -> Figure:
    """The same elements by every measure, a panel each; the one that is picked stands out by colour, hatch and rim.

    rows: of one case and kind, of `workbench.shift.side_by_side`; at most `MOST`, the highest in the first measure.
    measures: where they are too many for their titles, the first and one of each other sort are drawn.
    picked: its number in the case.
    """
    some = rows.sort_values(measures[0], ascending=False, kind="stable").head(MOST).iloc[::-1]
    title = f"{len(some)} of {len(rows)} {some['kind'].iloc[0]}s, the highest by {measures[0]}"
    if len(measures) > FITTING:
        title, measures = f"{title}; {FITTING} of {len(measures)} measures", _of_each_sort(measures)
    panels = Panels.row(list(measures), title=title, height=1.2 + 0.17 * len(some), legend=False, barmode="overlay")
    where, chosen = np.arange(len(some)), some["element"].to_numpy() == picked
    for i, name in enumerate(measures):
        values = np.nan_to_num(some[name].to_numpy(float))
        for one, colour, hatch, rim in ((False, BLUE, "", "white"), (True, ORANGE, "///", INK)):
            part = chosen == one
            panels.axes[i].barh(where[part], values[part], 0.75, color=colour, hatch=hatch, edgecolor=rim)
            pattern = {"shape": hatch[:1], "fillmode": "overlay", "fgcolor": "white", "size": 6}
            panels.live.add_bar(
                x=values[part], y=where[part], width=0.75, orientation="h",
                marker={"color": colour, "pattern": pattern, "line": {"color": rim, "width": 1}},
                hovertext=[live_text(n) for n in some["name"][part]],
                hovertemplate="%{hovertext}: %{x:.4g}<extra></extra>", **panels.on(i),
            )  # fmt: skip
        panels.axes[i].locator_params(axis="x", nbins=3)
        panels.range(i, x=(min(0.0, values.min()), 1.06 * (float(values.max()) or 1.0)), y=(-0.6, len(some) - 0.4))
        panels.label(i, x=_unit(name))
    names = [f"▶ {name}" if one else name for name, one in zip(some["name"], chosen, strict=True)]
    panels.axes[0].set_yticks(where, [still_text(name, 34) for name in names], size=7.5)
    panels.live.update_layout(yaxis={"tickvals": where.tolist(), "ticktext": [live_text(name, 34) for name in names]})
    said = "; ".join(f"{n}: {float(some[n][chosen].iloc[0]):.3g}" for n in measures) if chosen.any() else "none picked"
    return Figure(panels.live, panels.still, f"{title}. Picked: {said}.")


def _of_each_sort(measures: Sequence[str]) -> list[str]:
    """The first measure, then one of each sort that is not there yet, then others; `FITTING` in all."""
    kept = [measures[0]]
    for sort in ("in loop)", "leave one out", "attention", "shift"):
        if not any(name.endswith(sort) for name in kept):
            kept += [name for name in measures if name.endswith(sort)][:1]
    return [*kept, *(name for name in measures if name not in kept)][:FITTING]
