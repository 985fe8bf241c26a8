"""An adapter at some dose with some modules off: answers, maps of modules, and elements by every measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from workbench.cases import FEW
from workbench.figures.core import BLUE, GREY, GRID, INK, ORANGE, PALE, RED, Figure, Tip, house_style, short
from workbench.figures.elements import by_measure
from workbench.figures.panels import bounded, cases, cells, forest, label, legend, line, row
from workbench.shift.saliency import MEMORY, READING, gain_shares
from workbench.shift.switches import ALL, place_words, unit_of

FEW_TICKS = 9  # of the columns of three maps side by side
SHARED = ("column_overlap", "column_null")
VALUES = {"margin": "lead, nats", "logprob": "log p, nats"}
MOST = 30  # elements in one picture
FITTING = 5  # panels whose titles have room side by side
BELOW = 0.3  # of a cell: where the cross of a module that is off stands
PICKED = {False: ("", BLUE, ""), True: ("picked", ORANGE, "///")}  # name, colour, hatch


@house_style()
def dose_curves(curves: Mapping[str, Mapping[str, pd.DataFrame]], *, units: Mapping[str, str] | None = None) -> Figure:
    """Means over cases as the adapter is scaled: a panel a quantity, a line a series, in a band their 95 % intervals;
    of few cases without.

    curves: panel -> series -> rows of `workbench.shift.over_cases` by `dose`. units: panel -> what its numbers are,
    nats without. The trained adapter, dose 1, is marked.
    """
    title = "Response to the adapter's dose: 0 the base, 1 as trained"
    heads = [f"{name}\n({cases(pd.concat(lines.values()))})" for name, lines in curves.items()]
    still, panels = row(heads, title=title, height=3.2, same_y=False)
    every = list(dict.fromkeys(series for lines in curves.values() for series in lines))
    said = []
    for axes, (name, lines) in zip(panels, curves.items(), strict=True):
        for series, rows in lines.items():
            k, ends = every.index(series), rows.set_index("dose")["mean"]
            line(axes, k, rows["dose"], rows["mean"], name=series, within=_band(rows))
            told = [f"{value:.3g} at {dose:g}" for dose, value in ends.iloc[[0, -1]].items()]
            said.append(f"{name}, {series}: {', '.join(told)}")
        axes.axvline(1.0, color=GREY, lw=0.8, ls="--")
        label(axes, x="dose", y=(units or {}).get(name, "nats"), grid="y")
    legend(still, columns=4)
    return Figure(still, f"{title}. {'; '.join(said)}.")


def _band(rows: pd.DataFrame) -> list[pd.Series]:
    """The ends of the intervals, none where these are of few cases."""
    return [rows[end].mask(rows["n"] < FEW) for end in ("low", "high")]


@house_style()
def switch_maps(shares: pd.DataFrame) -> Figure:
    """Layer by projection: the share of Delta that goes with a module switched off, and that comes with it alone, each
    on a scale of its own.

    shares: what `workbench.shift.switch_shares` gave, or `looked_into`: then whole layers and projections stand at the
    edges, and what was not asked is grey. Hover for the intervals, which few cases lack.
    """
    title = f"Share of Δ = v(tuned) − v(base) by {_units(shares['layer'], shares['projection'])}"
    heads = {"off": "switched off alone: what goes", "on": "switched on alone: what comes"}
    tops = {column: float(np.nanmax(np.abs(shares[column].to_numpy()))) or 1.0 for column in heads}
    scales = [f"{head}\n−{tops[column]:.2g} to {tops[column]:.2g}" for column, head in heads.items()]
    still, panels = row(scales, title=title, height=1.65 + 0.3 * shares["projection"].nunique())
    rows, tips = shares.to_dict("records"), list[Tip]()
    for axes, (column, top) in zip(panels, tops.items(), strict=True):
        said = [f"{one['module']}\n{_share(one, column, '+.3f')}" for one in rows]
        tips += module_map(axes, shares.assign(value=shares[column], said=said), top=top)
    best = max(rows, key=lambda one: one["off"])
    alt = f"most goes with {place_words(best['layer'], best['projection'])}: {_share(best, 'off', '.2f')}"
    return Figure(still, f"{title}; {alt}.", tips)


def _share(one: Mapping[Any, Any], column: str, form: str) -> str:
    """A share with its interval, or with how few cases it is of."""
    if one["n"] < FEW:
        return f"{one[column]:{form}} (n = {one['n']})"
    return f"{one[column]:{form}} [{one[f'{column}_low']:{form}}, {one[f'{column}_high']:{form}}]"


def _units(layers: Sequence[Any] | pd.Series, projections: Sequence[str] | pd.Series) -> str:
    """What is switched at these places: `module`, or `layer, projection and module`."""
    found = {unit_of(*place) for place in zip(layers, projections, strict=True)}
    known = [unit for unit in ("layer", "projection", "module") if unit in found]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def module_map(axes: Axes, rows: pd.DataFrame, *, top: float) -> list[Tip]:
    """A map, a row a projection and a column a layer, from -top to top; grey where there is no value. rows: `layer,
    projection, value, said`."""
    places = {"index": "projection", "columns": "layer"}
    # whole ones at the edges
    layers = sorted(rows["layer"].unique(), key=lambda layer: (isinstance(layer, str), layer))
    order = sorted(dict.fromkeys(rows["projection"]), key=lambda name: name == ALL)
    asked = rows.assign(layer=rows["layer"].astype(object))
    values, said = (asked.pivot(values=c, **places).reindex(index=order, columns=layers) for c in ("value", "said"))
    names: dict[str, Any] = {"rows": list(values.index), "columns": list(map(str, values.columns))}
    label(axes, x="layer")
    axes.set_facecolor(GRID)
    return cells(axes, values.to_numpy(float), low=-top, high=top, said=said.to_numpy().tolist(), **names)


@house_style()
def adapter_maps(sides: pd.DataFrame, gains: pd.DataFrame) -> Figure:
    """Two adapters of one base, layer by projection: how alike their changes are, and for each how much more of its
    gain a module carries where names are made up (purple), or where needed facts are withheld (orange).

    sides: rows of `workbench.shift.compare`; gains: rows of `workbench.shift.saliency` with the column `adapter`.
    """
    title = "Two adapters of one base, module by module"
    said = [f"{m}\noverlap {o:.2f}, chance {c:.2f}" for m, o, c in sides[["module", *SHARED]].to_numpy()]
    maps = [sides.assign(value=sides[SHARED[0]], said=said)]
    for _, rows in gains.groupby("adapter", sort=False):
        shares = gain_shares(rows, by=["module", "layer", "projection"]).reset_index()
        said = [f"{m}\nmemory {a:.3f}, reading {b:.3f}" for m, a, b in shares[["module", MEMORY, READING]].to_numpy()]
        maps.append(shares.assign(value=shares[MEMORY] - shares[READING], said=said))
    top = max(float(one["value"].abs().max()) for one in maps[1:]) or 1.0
    names = list(dict.fromkeys(gains["adapter"]))
    heads = [f"{name}: share of memory's gain\nless reading's, −{top:.2f} to {top:.2f}" for name in names]
    height = 1.7 + 0.3 * sides["projection"].nunique()
    still, panels = row(["directions written into that\nboth share, 0 to 1", *heads], title=title, height=height)
    tips: list[Tip] = []
    for axes, one, highest in zip(panels, maps, (1.0, top, top), strict=True):
        tips += module_map(axes, one, top=highest)
        axes.set_xticks(axes.get_xticks()[:: 3 if len(axes.get_xticks()) > FEW_TICKS else 1])
    ends = [one.loc[one["value"].idxmax(), "module"] for one in maps[1:]]
    most = [f"{name} {_place(module)}" for name, module in zip(names, ends, strict=True)]
    alt = f"{title}; overlap {sides[SHARED[0]].median():.2f} in the median; most towards memory: {', '.join(most)}."
    return Figure(still, alt, tips)


@house_style()
def removed_shares(rows: pd.DataFrame) -> Figure:
    """Share of Delta that goes with sets of units, with 95 % intervals: a panel a unit, a row a set.

    rows: `unit, share` (of the units, as it was asked for), `off, of` (how many that is), `by` (what the set was chosen
    by), `mean, low, high, n`, as `workbench.shift.delta_share` gives them.
    """
    title = "Share of Δ that goes when units are switched off together"
    frames = {}
    for unit, part in rows.groupby("unit", sort=False):
        counts = ", ".join(dict.fromkeys(f"{off} of {of}" for off, of in zip(part["off"], part["of"], strict=True)))
        labels = [f"{share:.0%}, {by}" for share, by in zip(part["share"], part["by"], strict=True)]
        frames[f"{short(unit, 14)}s: {counts} ({cases(part)})"] = part.assign(label=labels)
    ends = bounded(rows)
    low, high = min(0.0, float(ends["low"].min())), max(1.0, float(ends["high"].max()))
    return forest(frames, title=title, x="share of Δ", reach=(low - 0.04, high + 0.04), middle=0.0)


@house_style()
def interaction_matrix(values: np.ndarray, modules: Sequence[str], *, unit: str = "module") -> Figure:
    """What two modules do together beyond each alone, as the mean over cases: purple below 0, orange above.

    values: (cases, k, k) of `workbench.shift.interactions`, nats. modules: their k names; unit: what they are. Hover
    for the interval (twice the standard error), which few cases lack.
    """
    title = f"Interaction of {unit}s: v(both off) − v(one off) − v(other off) + v(on), nats"
    mean, n = values.mean(axis=0), len(values)
    error = 2 * values.std(axis=0, ddof=min(1, n - 1)) / np.sqrt(n)
    form = "{:+.3g} ± {:.2g}" if n >= FEW else "{:+.3g}"
    labels = [_place(name) for name in modules]
    grid = np.where(np.eye(len(modules), dtype=bool), np.nan, mean)
    said = [
        [f"{a} · {b}\n{form.format(mean[i, j], error[i, j])}" for j, b in enumerate(labels)]
        for i, a in enumerate(labels)
    ]
    head = [f"mean of {n} case{'s' * (n > 1)}; below 0: each can stand in for the other"]
    still, (axes,) = row(head, title=title, height=1.6 + 0.34 * len(modules))
    top = float(np.nan_to_num(np.abs(grid)).max()) or 1.0
    tips = cells(axes, grid, rows=labels, columns=labels, low=-top, high=top, said=said)
    label(axes, x=unit)
    i, j = np.unravel_index(int(np.nan_to_num(np.abs(grid)).argmax()), grid.shape)
    return Figure(still, f"{title}; the strongest: {labels[i]} and {labels[j]}, {mean[i, j]:+.3g}.", tips)


def _place(module: str) -> str:
    """`model.layers.3.self_attn.q_proj` as `3 q_proj`."""
    parts = module.split(".")
    return f"{next((p for p in parts if p.isdecimal()), '')} {parts[-1]}".strip()


@house_style()
def kept_curves(tables: Mapping[str, pd.DataFrame], *, enough: float | None = None) -> Figure:
    """Share of right answers over the part of the adapter that is kept, a line an order of its units, in a band the
    intervals, which few cases lack.

    tables: series -> rows of `workbench.shift.kept_accuracy`. enough: the share wanted, as a dashed line.
    """
    title, whole = "Right answers with only a part of the adapter", pd.concat(tables.values())
    known = "95 % intervals over cases" if (whole["n"] >= FEW).any() else "shares of cases"
    still, (axes,) = row([f"{known} ({cases(whole)})"], title=title, height=3.2)
    said = []
    for k, (name, rows) in enumerate(tables.items()):
        line(axes, k, 100 * rows["part"], rows["exact"], name=name, within=_band(rows))
        least = rows[rows["exact"] >= (enough or rows["exact"].iloc[-1])]["part"].min()
        said.append(f"{name}: {rows['exact'].iloc[0]:.2f} with none, {rows['exact'].iloc[-1]:.2f} with all")
        said[-1] += f", {enough:.2f} or more from {least:.0%} on" if enough is not None and least == least else ""
    if enough is not None:
        line(axes, 6, [0, 100], [enough, enough], name=f"wanted: {enough:.2f}", dotted=True)
    highest = float(bounded(whole.assign(mean=whole["exact"]))["high"].max())
    axes.set(xlim=(-2, 102), ylim=(0, 1.02 * max(highest, enough or 0.0) or 1.0))
    label(axes, x="parameters kept, % of the adapter", y="share of cases", grid="y")
    legend(still, columns=4)
    return Figure(still, f"{title}. {'; '.join(said)}.")


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
    ends = [f"{name}: {values[0]:.3g} at 0, {values[-1]:.3g} at {grid[-1]:g}" for name, values in curves.items()]
    return Figure(still, f"{title}. Set: dose {dose:g}, {value:.3g} nats. {'; '.join(ends)}.")


@house_style()
def switchboard(losses: np.ndarray, places: Sequence[tuple[int | str, str]], *, off: Collection[int] = ()) -> Figure:
    """Layer by projection: nats that go with each module switched off alone; those that are off are crossed out.

    losses: (modules,) of `Settings.losses`, or whole layers or projections; places: their layers and projections.
    """
    board = pd.DataFrame(places, columns=["layer", "projection"]).assign(value=losses, said="")
    title = f"What goes with each {_units(board['layer'], board['projection'])} switched off alone, nats"
    top = float(np.abs(losses).max()) or 1.0
    head = [f"−{top:.2g} to {top:.2g}; a cross: off now"]
    still, (axes,) = row(head, title=title, height=1.3 + 0.32 * board["projection"].nunique())
    module_map(axes, board, top=top)
    gone = board.iloc[sorted(off)]
    at = [sorted(set(board["layer"])).index(layer) for layer in gone["layer"]]
    below = [list(board["projection"].unique()).index(name) + BELOW for name in gone["projection"]]
    axes.scatter(at, below, marker="X", s=60, c="white", edgecolors=INK, zorder=4)
    best = int(np.argmax(losses))
    alt = f"most goes with {place_words(*places[best])}: {losses[best]:.3g}; {len(gone)} are off"
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
