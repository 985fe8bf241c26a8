"""Pictures of the elements by every measure: the shift of their tokens, layer by layer and by type and relation; mask,
attention and shift beside one another, in one case and over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from workbench.cases import FEW, Case
from workbench.figures.case_graph import needed
from workbench.figures.core import BLUE, GREY, INK, ORANGE, SMALL, Figure, Sheet, Tip, house_style, short
from workbench.figures.panels import (
    LEVEL,
    MOST_TICKS,
    SEQUENTIAL,
    bars,
    bounded,
    cases,
    cells,
    forest,
    label,
    legend,
    name_rows,
    row,
)

LONGEST = 34  # characters of an element's name
MARK = "\u25cf "  # stands before an element that the answer needs
RELATIVE = "‖sBAh‖ / ‖W₀h‖"
SHOWN = 0.25  # of the cases: a measure known in fewer is not drawn
NEEDED = {True: ("needed for the answer", BLUE, ""), False: ("not needed", ORANGE, "///")}  # name, colour, hatch
HOLM = "not by chance: no false alarm among all pairs (Holm, 0.05)"
BH = "not by chance: few false alarms among those found (Benjamini-Hochberg, 0.05)"
UNITS = {
    "mask": "degree of removal",
    "rollout": "attention rollout",
    "attention": "share of attention",
    "shift": RELATIVE,
}
CORNER = 0.36  # where in a cell the mark stands, from its middle


@house_style()
def element_map(maps: Mapping[str, pd.DataFrame], case: Case) -> Figure:
    """Shift of a case's elements by layers, nodes first, then facts; a panel and a scale for each projection.

    maps: projection -> what `workbench.shift.element_layers` gave for the case. A dot and black letters mark what the
    case's answer runs through; a white line parts the embedding (column e) from the layers. Hover for the numbers.
    """
    title = f"Relative shift {RELATIVE} of the elements; ● needed, e: embedding"
    numbers = list(next(iter(maps.values())).index)
    names = [f"{MARK if needed(case, i) else ''}{case.label(case.elements[i])}" for i in numbers]
    still, panels = row(list(maps), title=title, height=1.7 + 0.17 * len(names))
    tips: list[Tip] = []
    for axes, grid in zip(panels, maps.values(), strict=True):
        values = grid.to_numpy(float)
        columns = ["e", *map(str, grid.columns[1:])]
        said = [[f"{name}, {at}: {v:.3f}" for at, v in zip(grid.columns, line, strict=True)]
                for name, line in zip(names, values, strict=True)]  # fmt: skip
        scale: dict[str, Any] = {"low": 0, "high": float(values.max()) or 1.0, "cmap": SEQUENTIAL}
        tips += cells(axes, values, rows=names, columns=columns, written="", said=said, **scale)
        _layer_ticks(axes, columns, most=MOST_TICKS // len(panels))
        axes.axvline(0.5, color="white", lw=3)
        if 0 < len(case.nodes) < len(numbers):
            axes.axhline(len(case.nodes) - 0.5, color="white", lw=3)
        bar = still.colorbar(axes.images[0], ax=axes, location="bottom", fraction=0.06, pad=0.02)
        bar.outline.set_visible(False)
        bar.locator = MaxNLocator(2)
        label(axes, x="layer")
    name_rows(panels[0], names, longest=LONGEST)
    panels[0].invert_yaxis()
    for name, text in zip(names, panels[0].get_yticklabels(), strict=True):
        text.set(color=INK if name.startswith(MARK) else GREY, size=SMALL)
    top = max(float(np.nanmax(grid.to_numpy(float))) for grid in maps.values())
    alt = f"Relative shift of {len(names)} elements of case {case.id}, layer by layer; the largest is {top:.3g}."
    return Figure(still, alt, tips)


def _layer_ticks(axes: Axes, columns: Sequence[str], *, most: int) -> None:
    """The embedding and at most so many layers, evenly chosen; where not all, without the first, which is too near."""
    step = max(1, -(-(len(columns) - 1) // max(most, 1)))
    at = [0, *range(1 if step == 1 else 1 + step, len(columns), step)]
    axes.set_xticks(at, [columns[k] for k in at])


@house_style()
def group_shift(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean relative shift of groups of elements with 95 % intervals over cases; a panel a projection.

    tables: what a group is (`type`, `relation`) -> rows of `workbench.shift.by_group`. Rows are sorted by the last
    projection, within each table.
    """
    whole = pd.concat([rows.assign(label=f"{what}: " + rows["group"]) for what, rows in tables.items()])
    order = whole[whole["projection"] == whole["projection"].max()]["label"]
    frames = {}
    for projection, rows in whole.groupby("projection"):
        known = rows.set_index("label").loc[order[order.isin(rows["label"])]].reset_index()
        frames[f"{projection}\n({cases(known)})"] = known
    top = 1.06 * (float(bounded(whole)["high"].max()) or 1.0)
    title = f"Relative shift in context by {' and '.join(tables)}, mean over cases"
    return forest(frames, title=title, x=RELATIVE, reach=(-0.02 * top, top), middle=0.0)


@house_style()
def element_bars(table: pd.DataFrame, measures: Sequence[str], *, kind: str = "node") -> Figure:
    """Parallel bars: a panel a measure, a row an element, the first measure sets the order.

    table: rows of one case of `workbench.shift.with_measures`; only elements of `kind` (node or fact) are drawn.
    """
    rows = table[table["kind"] == kind].sort_values(measures[0], ascending=True, kind="stable")
    title = f"The same {kind}s by {len(measures)} measures"
    still = by_measure(rows, measures, list(rows["needed"]), NEEDED, title=title, longest=30 if kind == "node" else 44)
    legend(still)
    alt = f"{title} ({', '.join(measures)}), sorted by {measures[0]}; highest: {short(rows['name'].iloc[-1])}."
    return Figure(still, alt)


def by_measure(
    rows: pd.DataFrame, measures: Sequence[str], sorts: Sequence[Any], looks: Mapping[Any, Any], *, title: str,
    longest: int,
) -> Sheet:  # fmt: skip
    """Bars of the same elements (`name`, from below), a panel a measure with its unit. sorts, looks: as `bars` has."""
    still, panels = row(list(measures), title=title, height=1.35 + 0.185 * len(rows))
    for axes, measure in zip(panels, measures, strict=True):
        values = np.nan_to_num(rows[measure].to_numpy(float))
        bars(axes, values, sorts, looks)
        axes.locator_params(axis="x", nbins=3)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(min(0.0, float(values.min())), 1.06 * (float(values.max()) or 1.0))
        axes.set_xlabel(next((unit for sort, unit in UNITS.items() if sort in measure), measure), size=SMALL)
    name_rows(panels[0], list(rows["name"]), longest=longest)
    return still


@house_style()
def agreement(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean rank correlation of every two measures with its interval, over the band that random values reach.

    tables: panel title -> rows of `workbench.shift.agreement_tests`, the same pairs in each.
    """
    title = "Mean Spearman correlation over cases"
    frames = {
        f"{name} ({cases(rows)})": rows.assign(label=rows["first"] + " · " + rows["second"])
        for name, rows in tables.items()
    }
    return forest(frames, title=title, x="mean Spearman correlation", reach=(-1.05, 1.05), middle=0.0)


@house_style()
def agreement_matrix(tests: pd.DataFrame, *, kind: str = "node") -> Figure:
    """Mean rank correlation over cases of every two measures on elements of one kind, with what survives correction.

    tests: what `workbench.shift.agreement_tests` gave, with both statistics: Kendall stands below the diagonal,
    Spearman above it. Cells without a mark are within what values dealt out by chance reach.
    """
    rows = tests[tests["kind"] == kind]
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    known = rows[rows["n"] > 0]
    title = f"Agreement of measures on {kind}s, mean over cases ({cases(known)})"
    head = ["below the diagonal Kendall's τ, above it Spearman's ρ"]
    still, (axes,) = row(head, title=title, height=1.8 + 0.36 * len(names))
    grid, at, tips = np.full((len(names), len(names)), np.nan), {}, []
    for one in known.itertuples():
        low, high = sorted((names.index(one.first), names.index(one.second)))
        at[one.Index] = y, x = (high, low) if one.statistic == "kendall" else (low, high)
        grid[y, x] = one.mean
        ink = "white" if abs(one.mean) > 0.65 else INK
        axes.text(x, y, _coefficient(one.mean), ha="center", va="center", size=8, color=ink)
        tips.append(Tip(axes, x, y, _told(one)))
    cells(axes, grid, rows=names, columns=names, low=-1, high=1, cmap="PuOr", written="", turned=40)
    strict = known["holm"] < LEVEL
    for chosen, face, said in ((strict, INK, HOLM), (~strict & (known["bh"] < LEVEL), "none", BH)):
        rows, columns = np.array([at[index] for index in known.index[chosen]]).reshape(-1, 2).T
        axes.scatter(columns + CORNER, rows - CORNER, s=9, facecolors=face, edgecolors=INK, linewidths=0.8, label=said)
    label(axes, x="measure")
    legend(still, columns=1)
    best = known[known["statistic"] == "kendall"].sort_values("mean", key=abs).tail(1).itertuples()
    alt = next((f"{one.first} and {one.second} by τ {one.mean:+.2f}" for one in best), "none is defined")
    return Figure(still, f"{title}; the strongest: {alt}.", tips)


def _coefficient(value: float) -> str:
    """On little room: +.56, −.08, +.00."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−").replace("0.", ".")


def _told(one: Any) -> str:
    """A pair of measures with its interval, which few cases lack, its chance and its p-values."""
    interval = f" [{one.low:+.3f}, {one.high:+.3f}]" if one.n >= FEW else ""
    return (
        f"{one.first} · {one.second}\n{one.statistic} {one.mean:+.3f}{interval}, n {one.n}\n"
        f"by chance {one.random_low:+.3f} to {one.random_high:+.3f}\n"
        f"p {one.p:.4f}, Holm {one.holm:.4f}, Benjamini-Hochberg {one.bh:.4f}"
    )


@house_style()
def separation(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Area under the ROC curve, needed elements against the others, of each measure alone.

    tables: panel title -> rows of `workbench.shift.separation`, the same measures in each.
    """
    title = "How well each measure tells needed elements from the others"
    frames = {f"{name} ({cases(rows)})": rows.assign(label=rows["measure"]) for name, rows in tables.items()}
    return forest(frames, title=title, x="area under the ROC curve, 0.5 is chance", reach=(-0.02, 1.02), middle=0.5)


@house_style()
def causal_drop(table: pd.DataFrame, *, outcome: str = "drop", k: int = 3) -> Figure:
    """What deleting each measure's first k elements does, beside elements of the same kind drawn by chance.

    table: what `workbench.shift.causal_check` gave; a panel for each kind. Open points: no different from chance once p
    is adjusted for all rows (Holm). outcome: `drop` (nats) or `flipped` (share of the cases). A measure that ranks the
    kind in fewer than a quarter of the cases is left out: its interval would set the scale.
    """
    rows = table[(table["outcome"] == outcome) & (table["k"] == k)]
    rows = rows[rows["n"] >= SHOWN * rows["n"].max()]
    what = "the answer's log-probability loses" if outcome == "drop" else "how often the toolchain changes"
    title = f"Deleting the first {'element' if k == 1 else f'{k} elements'} of each measure: {what}"
    parts = rows.assign(label=rows["measure"]).groupby("kind", sort=False)
    frames = {f"{kind}s ({cases(part)})": part for kind, part in parts}
    ends = bounded(rows)
    low, high = min(0.0, float(ends["low"].min())), float(ends[["high", "random"]].max().max())
    room = 0.04 * (high - low or 1.0)
    unit = "nats" if outcome == "drop" else "share of cases"
    return forest(frames, title=title, x=unit, reach=(low - room, high + room), middle=0.0)
