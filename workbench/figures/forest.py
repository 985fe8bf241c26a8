"""Means with intervals, one below the other: a row a label, a panel a table, the same rows in every panel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from workbench.figures.core import FONT_SIZE, SMALL, Figure
from workbench.figures.palette import BLUE, GREY, INK, PALE
from workbench.figures.panels import label, legend, name_rows, row

LEVEL = 0.05  # of the adjusted p-values: points above it are open
LONGEST = 42  # characters of a row's name
SORTS = ({"fmt": "D", "color": BLUE}, {"fmt": "o", "color": GREY})  # looks of what a column `sort` tells apart


def forest(
    frames: Mapping[str, pd.DataFrame], *, title: str, x: str | Mapping[str, str],
    reach: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    middle: float | Mapping[str, float] | None = None,
) -> Figure:  # fmt: skip
    """Points with intervals. Call it in `house_style`.

    frames: panel title -> rows with `label, mean, low, high, n`; rows of n = 0 stay empty. Where there are the columns
    `random_low` and `random_high`, a band shows them; a diamond shows `random`; points are open where `holm` is not
    below 0.05; `sort` (two at most) tells points apart. x: what the axis says. reach: its ends, None: those of the
    intervals. middle: where a line marks that there is nothing. All three may differ by panel.
    """
    labels = list(dict.fromkeys(name for rows in frames.values() for name in rows["label"]))[::-1]
    lines = max(text.count("\n") for text in [*frames, *(x.values() if isinstance(x, Mapping) else [x])])
    still, panels = row(list(frames), title=title, height=1.3 + 0.15 * lines + 0.24 * len(labels))
    for axes, (name, rows) in zip(panels, frames.items(), strict=True):
        known = rows[rows["n"] > 0]
        where = np.array([labels.index(one) for one in known["label"]], float)
        nothing = middle[name] if isinstance(middle, Mapping) else middle
        if nothing is not None:
            axes.axvline(nothing, color=GREY, lw=1, ls=":" if isinstance(middle, Mapping) else "-")
        _chance(axes, known, where)
        for some, look in _looks(known):
            mean, low, high = (known[key].to_numpy(float)[some] for key in ("mean", "low", "high"))
            off = np.clip([mean - low, high - mean], 0, None)
            axes.errorbar(mean, where[some], xerr=off, ecolor=INK, elinewidth=1.2, capsize=2.5, **look)
        label(axes, x=x[name] if isinstance(x, Mapping) else x, grid="x")
        axes.xaxis.label.set_fontsize(SMALL if isinstance(x, Mapping) else FONT_SIZE)
        if reach is not None:
            axes.set_xlim(reach[name] if isinstance(reach, Mapping) else reach)
    name_rows(panels[0], labels, longest=LONGEST)
    legend(still)
    said = [
        f"{one} of {name}: {value:.2f}"
        for name, rows in frames.items()
        for one, value in zip(rows["label"], rows["mean"], strict=True)
    ]
    return Figure(still, f"{title}: {'; '.join(said)}.")


def methods(
    cells: Mapping[str, Mapping[str, Mapping[str, float]]], measure: str, *, told: str, sort: Callable[[str], str]
) -> pd.DataFrame:
    """The rows of a panel: one a method, labelled with the n of the measure `told`. cells: method -> measure -> row."""
    rows = [
        {**one[measure], "label": f"{name} (n = {one[told]['n']:g})", "sort": sort(name)} for name, one in cells.items()
    ]
    return pd.DataFrame(rows)


def cases(rows: pd.DataFrame) -> str:
    """How many cases stand behind a table's rows, for the title of its panel."""
    counts = sorted({int(n) for n in rows["n"]})
    return f"n = {'–'.join(map(str, (counts[0], counts[-1]) if len(counts) > 1 else counts))} cases"


def _chance(axes: Axes, rows: pd.DataFrame, where: np.ndarray) -> None:
    """Grey bars behind the points: where 95 % of random means lie; diamonds: the mean of chance sets."""
    if "random_low" in rows:
        low, high = rows["random_low"].to_numpy(float), rows["random_high"].to_numpy(float)
        axes.barh(where, high - low, 0.7, left=low, color=PALE, label="random values, 95 %")
    if "random" in rows:
        style: dict[str, Any] = {"s": 26, "marker": "D", "facecolors": "none", "edgecolors": GREY, "zorder": 3}
        axes.scatter(rows["random"].to_numpy(float), where, label="drawn by chance", **style)


def _looks(rows: pd.DataFrame) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """The points that look alike, with their look."""
    if "sort" in rows:
        for sort, look in zip(dict.fromkeys(rows["sort"]), SORTS, strict=False):
            yield (rows["sort"] == sort).to_numpy(), {**look, "label": f"{sort}: mean, 95 % interval"}
        return
    sure = rows["holm"].to_numpy(float) < LEVEL if "holm" in rows else np.ones(len(rows), bool)
    yield sure, {"fmt": "o", "color": BLUE, "label": "mean, 95 % interval"}
    if not sure.all():
        told = "the same, not told from chance (Holm, 0.05)"
        yield ~sure, {"fmt": "o", "color": BLUE, "mfc": "white", "label": told}
