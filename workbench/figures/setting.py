"""Pictures of one case with the adapter at some dose: margin over doses, switches, an element by all its measures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.figures.agreement import by_measure
from workbench.figures.core import Figure, house_style
from workbench.figures.dose import module_map
from workbench.figures.palette import BLUE, GREY, INK, ORANGE, PALE, RED
from workbench.figures.panels import label, legend, line, row

VALUES = {"margin": "lead, nats", "logprob": "log p, nats"}
MOST = 30  # elements in one picture
FITTING = 5  # panels whose titles have room side by side
BELOW = 0.3  # of a cell: where the cross of a module that is off stands
PICKED = {False: ("", BLUE, ""), True: ("picked", ORANGE, "///")}  # name, colour, hatch


@house_style()
def response(
    grid: Sequence[float], curves: Mapping[str, np.ndarray], *, dose: float, value: float, form: str = "margin"
) -> Figure:
    """A case's value over the dose, a line a series, with the dose that is set and its value. curves: name -> (doses,)
    nats."""
    title = "The answer over the adapter's dose: 0 the base, 1 as trained"
    still, (axes,) = row([f"set: dose {dose:g}, {value:+.2f} nats"], title=title, height=2.7)
    for k, (name, values) in enumerate(curves.items()):
        line(axes, k, grid, values, name=name)
    axes.plot([dose], [value], marker="*", ms=13, ls="", color=RED, mec=INK, label="set now", zorder=5)
    axes.axvline(1.0, color=GREY, lw=0.8, ls="--")
    axes.axhline(0, color=PALE, lw=0.8)
    label(axes, x="dose", y=VALUES[form], grid="y")
    legend(still)
    ends = "; ".join(
        f"{name}: {values[0]:.3g} at 0, {values[-1]:.3g} at {grid[-1]:g}" for name, values in curves.items()
    )
    return Figure(still, f"{title}. Set: dose {dose:g}, {value:.3g} nats. {ends}.")


@house_style()
def switchboard(losses: np.ndarray, places: Sequence[tuple[int | str, str]], *, off: Collection[int] = ()) -> Figure:
    """Layer by projection: nats that go with each module switched off alone; those that are off are crossed out.

    losses: (modules,) of `Settings.losses`, or whole layers or projections; places: their layers and projections.
    """
    title = "What goes with each module switched off alone, nats"
    board = pd.DataFrame(places, columns=["layer", "projection"]).assign(value=losses, said="")
    still, (axes,) = row(["a cross: off now"], title=title, height=1.3 + 0.32 * board["projection"].nunique())
    module_map(axes, board, top=float(np.abs(losses).max()) or 1.0)
    gone = board.iloc[sorted(off)]
    at = [sorted(set(board["layer"])).index(layer) for layer in gone["layer"]]
    below = [list(board["projection"].unique()).index(name) + BELOW for name in gone["projection"]]
    axes.scatter(at, below, marker="X", s=60, c="white", edgecolors=INK, zorder=4)
    best = int(np.argmax(losses))
    alt = f"most goes with {places[best][1]} of layer {places[best][0]}: {losses[best]:.3g}; {len(gone)} are off"
    return Figure(still, f"{title}; {alt}.")


@house_style()
def linked(rows: pd.DataFrame, measures: Sequence[str], *, picked: int | None = None) -> Figure:
    """The same elements by every measure, a panel each; the one that is picked stands out by colour, hatch and arrow.

    rows: of one case and kind, of `workbench.shift.with_measures`; at most `MOST`, the highest in the first measure.
    measures: where they are too many for their titles, the first and one of each other sort are drawn.
    picked: its number in the case.
    """
    some = rows.sort_values(measures[0], ascending=False, kind="stable").head(MOST).iloc[::-1]
    title = f"{len(some)} of {len(rows)} {some['kind'].iloc[0]}s, the highest by {measures[0]}"
    if len(measures) > FITTING:
        title, measures = f"{title}; {FITTING} of {len(measures)} measures", _of_each_sort(measures)
    chosen = some["element"].to_numpy() == picked
    named = some.assign(name=np.where(chosen, "▶ " + some["name"], some["name"]))
    still = by_measure(named, measures, list(chosen), PICKED, title=title, longest=34)
    said = "; ".join(f"{n}: {float(some[n][chosen].iloc[0]):.3g}" for n in measures) if chosen.any() else "none picked"
    return Figure(still, f"{title}. Picked: {said}.")


def _of_each_sort(measures: Sequence[str]) -> list[str]:
    """The first measure, then one of each sort that is not there yet, then others; `FITTING` in all."""
    kept = [measures[0]]
    for sort in ("in loop)", "leave one out", "attention", "shift"):
        if not any(name.endswith(sort) for name in kept):
            kept += [name for name in measures if name.endswith(sort)][:1]
    return [*kept, *(name for name in measures if name not in kept)][:FITTING]
