"""Pictures of a sweep: parallel coordinates of what was varied and what came out, small multiples with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.figures.core import (
    GREY,
    INK,
    SERIES,
    Figure,
    house_style,
    legend_below,
    live_text,
    sheet,
    stage,
    still_text,
)
from workbench.figures.panels import Panels
from workbench.figures.shift import MARKERS, SYMBOLS

MOST_LINES = 300  # rows drawn as lines; more are thinned evenly
MOST_PANELS = 4  # side by side
MOST_TICKS = 8
LABEL = 22  # characters of an axis' name or of a value beside it


@house_style()
def parallel_coordinates(table: pd.DataFrame, columns: Sequence[str], *, colour: str) -> Figure:
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
    still, axes = sheet(height=3.6)
    live = stage(title=title, height=4.4, showlegend=True, legend={"orientation": "h", "y": -0.2})
    for k, (value, rows) in enumerate(shown.reset_index(drop=True).groupby(colour, dropna=False, sort=True)):
        _lines(axes, live, heights[rows.index], str(value), k)
    for i, (_, ticks) in enumerate(scales):
        _axis(axes, live, i, ticks)
    axes.set(xlim=(-0.3, len(columns) - 0.3), ylim=(-0.04, 1.04), xticks=range(len(columns)), yticks=[])
    axes.set_xticklabels([still_text(_bare(name), LABEL) for name in columns], fontsize=8)
    axes.spines[:].set_visible(False)
    axes.set_title(still_text(title))
    names = [live_text(_bare(name), LABEL) for name in columns]
    live.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=names, showgrid=False, range=[-0.3, len(columns) - 0.3]
    )
    live.update_yaxes(visible=False, range=[-0.04, 1.04])
    handles, labels = axes.get_legend_handles_labels()
    legend_below(still, handles, labels, columns=4)
    said = f"{len(shown)} of {len(table)} rows over {', '.join(_bare(name) for name in columns)}"
    return Figure(live, still, f"Parallel coordinates: {said}, marked by {_bare(colour)}.")


def _lines(axes, live, heights: np.ndarray, value: str, k: int) -> None:
    """One group of rows; heights (rows, columns)."""
    colour, spots = SERIES[k % len(SERIES)], np.arange(heights.shape[1])
    strength = float(np.clip(8 / len(heights), 0.15, 0.9))
    for row, line in enumerate(heights):
        label = still_text(value) if row == 0 else None
        axes.plot(spots, line, color=colour, lw=1, alpha=strength, marker=MARKERS[k % len(MARKERS)], ms=3, label=label)
    gap = np.full((len(heights), 1), np.nan)
    live.add_scatter(
        x=np.tile([*spots, np.nan], len(heights)), y=np.hstack([heights, gap]).ravel(), mode="lines+markers",
        name=live_text(value), line={"color": colour, "width": 1}, opacity=strength, hoverinfo="name",
        marker={"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 5},
    )  # fmt: skip


def _axis(axes, live, i: int, ticks: Sequence[tuple[float, str]]) -> None:
    """The axis of one column, with its values."""
    axes.axvline(i, color=GREY, lw=0.8)
    live.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line={"color": GREY, "width": 1}, layer="below")
    for height, text in ticks:
        axes.text(i + 0.03, height, still_text(text, LABEL), size=6.5, color=INK, va="center")
        live.add_annotation(
            x=i, y=height, text=live_text(text, LABEL), showarrow=False, xanchor="left", xshift=4, font={"size": 10}
        )


def _scale(column: pd.Series):
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
    """Means of one measure with 95 % intervals: a panel for each value of `panels`, a line for each of `lines`, over x.

    means: rows of `workbench.sweep.tables.summary` with the columns named, `mean`, `low`, `high`, `n`. At most
    `MOST_PANELS` panels are drawn. ValueError: the measure has no row.
    """
    rows = means[means["measure"] == measure]
    if rows.empty:
        raise ValueError(f"no row of measure {measure!r}; there are {', '.join(means['measure'].unique())}")
    groups = [(None, rows)] if panels is None else list(rows.groupby(panels, sort=True, dropna=False))[:MOST_PANELS]
    places = sorted(rows[x].map(_told).unique(), key=_by_number)
    title = f"{_bare(measure)} by {_bare(x)}"
    titles = ["" if panels is None else f"{_bare(panels)} {_told(value)}" for value, _ in groups]
    sheet_ = Panels.row(titles, title=title, height=3.0)
    for i, (_, group) in enumerate(groups):
        parts = [(None, group)] if lines is None else group.groupby(lines, sort=True, dropna=False)
        for k, (value, part) in enumerate(parts):
            where = np.array([places.index(_told(one)) for one in part[x]], float) + 0.06 * k
            _means(sheet_, i, where, part, "" if lines is None else _told(value), k)
        shown = [live_text(one, LABEL) for one in places]
        sheet_.axes[i].set_xticks(range(len(places)), [still_text(one, LABEL) for one in places], fontsize=7.5)
        sheet_.live.update_layout({f"xaxis{sheet_.end(i)}": {"tickvals": list(range(len(places))), "ticktext": shown}})
        sheet_.range(i, x=(-0.4, len(places) - 0.4))
        sheet_.label(i, x=_bare(x), y=_bare(measure) if i == 0 else "")
        sheet_.axes[i].grid(axis="y")
    if lines is not None:
        handles, labels = sheet_.axes[0].get_legend_handles_labels()
        legend_below(sheet_.still, handles, labels, columns=4)
    low, high = rows["mean"].min(), rows["mean"].max()
    return Figure(sheet_.live, sheet_.still, f"{title}: means from {low:.3g} to {high:.3g}, with 95 % intervals.")


def _means(panels: Panels, i: int, where: np.ndarray, rows: pd.DataFrame, name: str, k: int) -> None:
    order = np.argsort(where)
    x, (mean, low, high) = where[order], (rows[c].to_numpy(float)[order] for c in ("mean", "low", "high"))
    colour, reach = SERIES[k % len(SERIES)], np.clip([mean - low, high - mean], 0, None)
    panels.axes[i].errorbar(
        x, mean, yerr=reach, color=colour, marker=MARKERS[k % len(MARKERS)], ms=4.5, lw=1, capsize=2.5,
        label=still_text(name) if name else None,
    )  # fmt: skip
    panels.live.add_scatter(
        x=x, y=mean, mode="lines+markers", name=live_text(name), legendgroup=name, showlegend=bool(name) and i == 0,
        line={"color": colour, "width": 1.5}, marker={"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 8},
        error_y={"array": reach[1], "arrayminus": reach[0], "color": colour, "thickness": 1.2},
        hovertext=[f"{m:.3g} [{a:.3g}, {b:.3g}]" for m, a, b in zip(mean, low, high, strict=True)],
        hoverinfo="text+name",
        **panels.on(i),
    )  # fmt: skip


def _bare(name: str) -> str:
    """A column's name without `given.` or `found.`."""
    return name.removeprefix("given.").removeprefix("found.")


def _by_number(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
