"""Panels side by side and what is drawn in them: bars, lines, bands, maps, names of rows, one legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from workbench.figures.core import DPI, FONT_SIZE, LONGEST, LONGEST_TITLE, SMALL, WIDTH, Sheet, Tip, still_text
from workbench.figures.palette import INK, MARKERS, SERIES

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

    errors: whiskers, (2, n) lengths. within: low and high of a pale band, (2, n).
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
