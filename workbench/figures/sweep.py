"""Pictures of a sweep: parallel coordinates of what was varied and what came out, small multiples with intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from workbench.cases import FEW
from workbench.figures.core import GREY, MARKERS, SERIES, SMALL, Figure, house_style, still_text
from workbench.figures.panels import label, legend, line, row

MOST_LINES = 300  # rows drawn as lines; more are thinned evenly
MOST_PANELS = 4  # side by side
MOST_TICKS = 8
LABEL = 22  # characters of an axis' name or of a value beside it


@house_style()
def parallel_coordinates(table: pd.DataFrame, columns: list[str], *, colour: str) -> Figure:
    """A line a row, over an axis for each column: the lowest value below, the highest above, texts at even distances.

    table: one row a line; names and texts are data. colour: the column by whose values lines are coloured and marked.
    ValueError: fewer than two columns, or no row.
    """
    if len(columns) < 2 or table.empty:
        raise ValueError(f"parallel coordinates need two columns and a row, not {len(columns)} and {len(table)}")
    title = "Every line is one row of the sweep"
    shown = table.iloc[np.unique(np.linspace(0, len(table) - 1, min(len(table), MOST_LINES)).astype(int))]
    scales = [_scale(table[name]) for name in columns]
    heights = np.column_stack([place(shown[name]) for name, (place, _) in zip(columns, scales, strict=True)])
    still, (axes,) = row([""], title=title, height=3.6)
    for k, (value, rows) in enumerate(shown.reset_index(drop=True).groupby(colour, dropna=False, sort=True)):
        style: Any = {"color": SERIES[k % len(SERIES)], "marker": MARKERS[k % len(MARKERS)], "lw": 1, "ms": 3}
        made = axes.plot(heights[rows.index].T, alpha=float(np.clip(8 / len(rows), 0.15, 0.9)), **style)
        made[0].set_label(still_text(str(value)))
    for i, (_, ticks) in enumerate(scales):
        axes.axvline(i, color=GREY, lw=0.8)
        for height, text in ticks:
            axes.text(i + 0.03, height, still_text(text, LABEL), size=SMALL, va="center")
    axes.set(xlim=(-0.3, len(columns) - 0.3), ylim=(-0.04, 1.04), yticks=[])
    axes.set_xticks(range(len(columns)), [still_text(_bare(name), LABEL) for name in columns], fontsize=SMALL)
    axes.spines[:].set_visible(False)
    legend(still, columns=4)
    said = f"{len(shown)} of {len(table)} rows over {', '.join(_bare(name) for name in columns)}"
    return Figure(still, f"Parallel coordinates: {said}, marked by {_bare(colour)}.")


def _scale(column: pd.Series) -> tuple[Callable[[pd.Series], np.ndarray], list[tuple[float, str]]]:
    """Of a column: values -> heights in [0, 1], and (height, text) of its ticks. What is missing stands at the foot."""
    known = column.dropna()
    if len(known) and pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known):
        low, high = float(known.min()), float(known.max())
        width = high - low or 1.0
        ticks = [(0.5 if high == low else 0.0, f"{low:.3g}"), *([(1.0, f"{high:.3g}")] if high > low else [])]
        middle = 0.5 if high == low else 0.0
        return lambda some: ((some.astype(float) - low) / width + middle).fillna(0).to_numpy(), ticks
    texts = sorted(column.map(_told).unique())
    places = dict(zip(texts, np.linspace(0, 1, len(texts)) if len(texts) > 1 else [0.5], strict=True))
    step = -(-len(texts) // MOST_TICKS)
    return lambda some: some.map(_told).map(places).to_numpy(float), [(places[t], t) for t in texts[::step]]


def _told(value: object) -> str:
    return "none" if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)) else str(value)


@house_style()
def small_multiples(
    means: pd.DataFrame, *, x: str, measure: str, lines: str | None = None, panels: str | None = None
) -> Figure:
    """Means of one measure: a panel for each value of `panels`, a line for each of `lines`, over x; with 95 % intervals
    where they are of enough tasks.

    means: rows of `workbench.hands.sweep.results.summary` with the columns named, `mean`, `low`, `high`, `n`. At most
    `MOST_PANELS` panels are drawn. ValueError: the measure has no row.
    """
    rows = means[means["measure"] == measure]
    if rows.empty:
        raise ValueError(f"no row of measure {measure!r}; there are {', '.join(means['measure'].unique())}")
    groups = [(None, rows)] if panels is None else list(rows.groupby(panels, sort=True, dropna=False))[:MOST_PANELS]
    places = sorted(rows[x].map(_told).unique(), key=_by_number)
    title = f"{_bare(measure)} by {_bare(x)}"
    heads = ["" if panels is None else f"{_bare(panels)} {_told(value)}" for value, _ in groups]
    still, drawn = row(heads, title=title, height=3.0)
    for i, (axes, (_, group)) in enumerate(zip(drawn, groups, strict=True)):
        parts = [(None, group)] if lines is None else group.groupby(lines, sort=True, dropna=False)
        for k, (value, part) in enumerate(parts):
            where = np.array([places.index(_told(one)) for one in part[x]], float) + 0.06 * k
            some = part.assign(where=where).sort_values("where")
            off = np.clip([some["mean"] - some["low"], some["high"] - some["mean"]], 0, None)
            off = np.where(some["n"] < FEW, np.nan, off)
            line(axes, k, some["where"], some["mean"], name="" if lines is None else _told(value), errors=off)
        axes.set_xticks(range(len(places)), [still_text(one, LABEL) for one in places], fontsize=SMALL)
        axes.set_xlim(-0.4, len(places) - 0.4)
        label(axes, x=_bare(x), y=_bare(measure) if i == 0 else "", grid="y")
    if lines is not None:
        legend(still, columns=4)
    low, high = rows["mean"].min(), rows["mean"].max()
    return Figure(still, f"{title}: means from {low:.3g} to {high:.3g}, with 95 % intervals from n = {FEW} on.")


def _bare(name: str) -> str:
    """A column's name without `given.` or `found.`."""
    return name.removeprefix("given.").removeprefix("found.")


def _by_number(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
