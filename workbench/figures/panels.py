"""Panels side by side and what is drawn in them: bars, lines, bands, maps, means with intervals, names of rows, one
legend."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from workbench.cases import FEW
from workbench.figures.core import (
    BLUE,
    DPI,
    FONT_SIZE,
    GREY,
    INK,
    LONGEST,
    LONGEST_TITLE,
    MARKERS,
    PALE,
    SERIES,
    SMALL,
    WIDTH,
    Figure,
    Sheet,
    Tip,
    still_text,
)

MOST = 5  # panels beside one another; more go into a second row
LINE = 60  # characters of a line above a panel or at an axis
EDGE = 0.1  # inches left free at the sides: letters are a little wider in print than they are measured
MOST_TICKS = 16  # of the columns of a map
WRITTEN = 12  # columns of a map up to which its cells carry their numbers
DIVERGING, SEQUENTIAL = "PuOr_r", "cividis"  # told apart by every eye; the first is white in the middle


def row(
    titles: Sequence[str], *, title: str, height: float, same_y: bool = True, **grid: Any
) -> tuple[Sheet, list[Axes]]:
    """A sheet with a panel under each title (data; a line break is one), `height` inches high. In `house_style`.

    More than `MOST` stand in rows of `height` each. same_y: the panels share their y axis. grid: more for
    `Figure.subplots`.
    """
    rows = -(-len(titles) // MOST)
    still = Sheet(figsize=(WIDTH, height * rows), dpi=DPI, layout="constrained", facecolor="white")
    across = -(-len(titles) // rows)
    places = still.subplots(rows, across, sharey=same_y, squeeze=False, **grid)
    still.get_layout_engine().set(w_pad=EDGE)  # type: ignore[union-attr, call-arg]
    for left_over in places.flat[len(titles) :]:
        left_over.remove()
    panels = list(places.flat[: len(titles)])
    for axes, name in zip(panels, titles, strict=True):
        axes.set_title("\n".join(still_text(line, LINE) for line in name.split("\n")), size=FONT_SIZE)
    still.suptitle(still_text(title, LONGEST_TITLE), x=0.01, ha="left", size=FONT_SIZE + 1)
    return still, panels


def label(axes: Axes, *, x: str = "", y: str = "", grid: str = "") -> None:
    """Names of the axes (data), and lines of a grid along `x` or `y`."""
    axes.set(xlabel="\n".join(still_text(line, LINE) for line in x.split("\n")), ylabel=still_text(y, LINE))
    if grid:
        axes.grid(axis=grid)  # type: ignore[arg-type]


def legend(still: Sheet, *, columns: int = 6, only: Iterable[str] | None = None) -> None:
    """One legend below the panels, of every mark in any of them once. only: these labels alone."""
    found: dict[str, Any] = {}
    for axes in still.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    shown = {name: found[name] for name in (found if only is None else only)}
    still.legend(shown.values(), shown.keys(), loc="outside lower left", ncols=columns, fontsize=FONT_SIZE - 0.5)


def name_rows(axes: Axes, names: Sequence[str], *, longest: int = LONGEST) -> None:
    """Names (data) of rows at 0, 1, ... from below, and their range."""
    axes.set_yticks(range(len(names)), [still_text(name, longest) for name in names], size=SMALL)
    axes.set_ylim(-0.7, len(names) - 0.3)


def bars(
    axes: Axes, values: np.ndarray, sorts: Sequence[Any], looks: Mapping[Any, tuple[str, str, str]], *,
    errors: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Horizontal bars at 0, 1, ... from below. sorts: what each one is; looks: sort -> (name, colour, hatch)."""
    places = np.arange(len(values))
    for sort, (name, colour, hatch) in looks.items():
        some = np.array([one == sort for one in sorts], bool)
        if not some.any():  # no bars would leave a key of another colour in the legend
            continue
        style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.barh(places[some], values[some], 0.75, label=name, **style)
    if errors is not None:
        axes.errorbar(values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=1.5)
    axes.grid(axis="x")


def line(
    axes: Axes, k: int, x: Any, y: Any, *, name: str, dotted: bool = False, errors: Any = None, within: Any = None
) -> None:
    """Line number k, with the colour and the marker of that number; a dotted one has no markers and stands back.

    errors: whiskers, (2, n) lengths. within: low and high of a pale band, (2, n); NaN leaves a gap.
    """
    y = np.where(np.isfinite(np.asarray(y, float)), np.asarray(y, float), np.nan)
    style: dict[str, Any] = {"ls": ":", "lw": 1.0} if dotted else {"marker": MARKERS[k % len(MARKERS)], "ms": 4.5}
    style = {"lw": 1.3, "color": SERIES[k % len(SERIES)], "label": still_text(name), **style}
    axes.errorbar(np.asarray(x), y, yerr=errors, capsize=2.5, elinewidth=1, **style)
    if within is not None:
        axes.fill_between(np.asarray(x), *np.asarray(within, float), color=style["color"], alpha=0.18, lw=0)


def cells(
    axes: Axes, grid: np.ndarray, *, rows: Sequence[str], columns: Sequence[str], low: float, high: float,
    cmap: str = DIVERGING, written: str = "{:.2g}", said: Sequence[Sequence[str]] = (), turned: int = 0,
) -> list[Tip]:  # fmt: skip
    """A map with names and, where there is room, numbers in its cells (`written`, a format); NaN stays white.

    rows and columns are data, the first row above; turned: degrees of the
    columns' names, then all of them are there. said: what the pointer brings up, by row and column.
    """
    picture = axes.imshow(grid, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    step = 1 if turned else -(-len(columns) // MOST_TICKS)
    style: dict[str, Any] = {"rotation": turned, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(range(0, len(columns), step), [still_text(name, 24) for name in columns[::step]], **style)
    axes.set_yticks(range(len(rows)), [still_text(name) for name in rows], size=SMALL)
    known = list(zip(*np.nonzero(~np.isnan(grid)), strict=True))
    for y, x in known if written and len(columns) <= WRITTEN else ():
        red, green, blue, _ = picture.to_rgba(grid[y, x])
        ink = INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        text = written.format(grid[y, x] + 0.0).replace("-", "−")
        axes.text(x, y, text, ha="center", va="center", size=SMALL, color=ink)
    return [Tip(axes, int(x), int(y), said[y][x]) for y, x in known if said]


LEVEL = 0.05  # of the adjusted p-values: points above it are open
LONGEST_ROW = 42  # characters of a row's name in a forest
SORTS = ({"fmt": "D", "color": BLUE}, {"fmt": "o", "color": GREY})  # looks of what a column `sort` tells apart


def forest(
    frames: Mapping[str, pd.DataFrame], *, title: str, x: str | Mapping[str, str],
    reach: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    middle: float | Mapping[str, float] | None = None,
) -> Figure:  # fmt: skip
    """Points with intervals, those of few cases without. Call it in `house_style`.

    frames: panel title -> rows with `label, mean, low, high, n`; rows of n = 0 stay empty. Where there are the columns
    `random_low` and `random_high`, a band shows them; a diamond shows `random`; points are open where `holm` is not
    below 0.05; `sort` (two at most) tells points apart. x: what the axis says. reach: its ends, None: those of the
    intervals. middle: where a line marks that there is nothing. All three may differ by panel.
    """
    labels = list(dict.fromkeys(name for rows in frames.values() for name in rows["label"]))[::-1]
    lines = max(text.count("\n") for text in [*frames, *(x.values() if isinstance(x, Mapping) else [x])])
    still, panels = row(list(frames), title=title, height=1.3 + 0.15 * lines + 0.24 * len(labels))
    told = _interval(pd.concat([rows["n"] for rows in frames.values()]))
    for axes, (name, rows) in zip(panels, frames.items(), strict=True):
        known = rows[rows["n"] > 0]
        where = np.array([labels.index(one) for one in known["label"]], float)
        nothing = middle[name] if isinstance(middle, Mapping) else middle
        if nothing is not None:
            axes.axvline(nothing, color=GREY, lw=1, ls=":" if isinstance(middle, Mapping) else "-")
        _chance(axes, known, where)
        for some, look in _looks(known, told):
            mean, low, high = (known[key].to_numpy(float)[some] for key in ("mean", "low", "high"))
            off = np.where(known["n"].to_numpy()[some] < FEW, np.nan, np.clip([mean - low, high - mean], 0, None))
            axes.errorbar(mean, where[some], xerr=off, ecolor=INK, elinewidth=1.2, capsize=2.5, **look)
        label(axes, x=x[name] if isinstance(x, Mapping) else x, grid="x")
        axes.xaxis.label.set_fontsize(SMALL if isinstance(x, Mapping) else FONT_SIZE)
        if reach is not None:
            axes.set_xlim(reach[name] if isinstance(reach, Mapping) else reach)
    high = -(-len(panels) // MOST)  # rows of panels, see `row`
    for first in panels[:: -(-len(panels) // high)]:
        name_rows(first, labels, longest=LONGEST_ROW)
    legend(still)
    said = [
        f"{one} of {name}: {value:.2f}"
        for name, rows in frames.items()
        for one, value in zip(rows["label"], rows["mean"], strict=True)
    ]
    return Figure(still, f"{title}: {'; '.join(said)}.")


def methods(
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]], measures: Collection[str], *, sort: Callable[[str], str]
) -> dict[str, pd.DataFrame]:
    """Measure -> the rows of its panel: one a method, labelled with the n of the first measure.

    cells: method -> measure -> row.
    """
    told = next(iter(measures))
    names = [{"label": f"{name} (n = {one[told]['n']:g})", "sort": sort(name)} for name, one in cells.items()]
    rows = list(zip(cells.values(), names, strict=True))
    return {measure: pd.DataFrame([{**one[measure], **name} for one, name in rows]) for measure in measures}


def bounded(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with `mean, low, high, n`: where these are few cases, the ends are the mean, so that they set no scale."""
    few = rows["n"] < FEW
    return rows.assign(low=rows["low"].mask(few, rows["mean"]), high=rows["high"].mask(few, rows["mean"]))


def cases(rows: pd.DataFrame) -> str:
    """How many cases stand behind a table's rows, for the title of its panel."""
    counts = sorted({int(n) for n in rows["n"] if n} or {0})
    told = "–".join(map(str, (counts[0], counts[-1]) if len(counts) > 1 else counts))
    return f"n = {told} case{'s' * (counts[-1] != 1)}"


def _chance(axes: Axes, rows: pd.DataFrame, where: np.ndarray) -> None:
    """Grey bars behind the points: where 95 % of random means lie; diamonds: the mean of chance sets."""
    if "random_low" in rows:
        low, high = rows["random_low"].to_numpy(float), rows["random_high"].to_numpy(float)
        axes.barh(where, high - low, 0.7, left=low, color=PALE, label="random values, 95 %")
    if "random" in rows:
        style: dict[str, Any] = {"s": 26, "marker": "D", "facecolors": "none", "edgecolors": GREY, "zorder": 3}
        axes.scatter(rows["random"].to_numpy(float), where, label="drawn by chance", **style)


def _interval(counts: pd.Series) -> str:
    """What a point and its whisker are, by the numbers of cases of all points."""
    few = counts[counts > 0] < FEW
    return "mean" if few.all() else f"mean, 95 % interval{f' from n = {FEW} on' if few.any() else ''}"


def _looks(rows: pd.DataFrame, told: str) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """The points that look alike, with their look. told: what a point is."""
    if "sort" in rows:
        for sort, look in zip(dict.fromkeys(rows["sort"]), SORTS, strict=False):
            yield (rows["sort"] == sort).to_numpy(), {**look, "label": f"{sort}: {told}"}
        return
    sure = rows["holm"].to_numpy(float) < LEVEL if "holm" in rows else np.ones(len(rows), bool)
    yield sure, {"fmt": "o", "color": BLUE, "label": told}
    if not sure.all():
        same = "the same, not told from chance (Holm, 0.05)"
        yield ~sure, {"fmt": "o", "color": BLUE, "mfc": "white", "label": same}
