"""Adapters beside one another as maps: cosine of their changes, overlap of what they write and of what they read."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from workbench.figures.core import FONT_SIZE, INK, Figure, house_style, live_text, still_text
from workbench.figures.panels import Panels
from workbench.figures.shift import MAP

DIVERGING = "PuOr"  # told apart with every common colour blindness, white in the middle
MOST_WRITTEN = 10  # columns of a map up to which its cells carry their numbers
LONGEST = 18  # characters of a label

_COMPARED = {
    "cosine": ("cosine of the changes", "cosine_null"),
    "column_overlap": ("overlap, column spaces", "column_null"),
    "row_overlap": ("overlap, row spaces", "row_null"),
}


@house_style()
def compared(table: pd.DataFrame) -> Figure:
    """Adapters against adapters, mean over their modules: cosine of the changes, overlap of column and row spaces.

    table: rows of `workbench.shift.compare`. Above each map: the 95 % mark of random changes, mean over all rows.
    """
    title = "Adapters compared, mean over modules"
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    means = table.groupby(["first", "second"])[list(_COMPARED)].mean()
    grids = []
    for column in _COMPARED:
        grid = np.eye(len(names))
        for (first, second), value in means[column].items():
            i, j = names.index(first), names.index(second)
            grid[i, j] = grid[j, i] = value
        grids.append(grid)
    pairs = means["cosine"].dropna()
    said = f"cosines of pairs from {pairs.min():.2f} to {pairs.max():.2f}" if len(pairs) else "all changes are 0"
    return _maps(table, grids, names, names, title=title, x="adapter", alt=f"{title}: {said}.")


@house_style()
def compared_modules(table: pd.DataFrame, first: str, second: str) -> Figure:
    """Two adapters, module by module: the same three measures as maps of projection and layer.

    table: rows of `workbench.shift.compare`. ValueError: it has no such pair.
    """
    rows = table[(table["first"] == first) & (table["second"] == second)]
    if rows.empty:
        raise ValueError(f"the table has no rows of {first!r} before {second!r}; use a pair as `compare` ordered it")
    title = f"{first} and {second}, module by module"
    grids = [rows.pivot_table(index="projection", columns="layer", values=c, dropna=False) for c in _COMPARED]
    layers = sorted(rows["layer"].unique())
    projections = sorted(rows["projection"].unique())
    values = [grid.reindex(index=projections, columns=layers).to_numpy() for grid in grids]
    alt = f"{title}: the median cosine is {rows['cosine'].median():.2f}."
    return _maps(rows, values, projections, [str(layer) for layer in layers], title=title, x="layer", alt=alt)


def _maps(
    table: pd.DataFrame, grids: Sequence[np.ndarray], rows: Sequence[str], columns: Sequence[str], *,
    title: str, x: str, alt: str,
) -> Figure:  # fmt: skip
    """The three measures of `_COMPARED` side by side, on scales that are the same in every picture."""
    marks = [float(table[null].mean()) for _, null in _COMPARED.values()]
    heads = [f"{name}\nrandom: {mark:.2f}" for (name, _), mark in zip(_COMPARED.values(), marks, strict=True)]
    panels = Panels.row(heads, title=title, height=1.5 + 0.26 * max(len(rows), 3), legend=False)
    for i, grid in enumerate(grids):
        low, cmap = (-1, DIVERGING) if i == 0 else (0, MAP)
        _map(panels, i, grid, low=low, cmap=cmap, rows=rows, columns=columns)
        panels.label(i, x=x)
    panels.axes[0].set_yticks(range(len(rows)), [still_text(row, LONGEST) for row in rows])
    ticks = {"tickvals": list(range(len(rows))), "ticktext": [live_text(row, LONGEST) for row in rows]}
    panels.live.update_layout(yaxis={**ticks, "autorange": "reversed", "showgrid": False})
    return Figure(panels.live, panels.still, alt)


def _map(
    panels: Panels, i: int, grid: np.ndarray, *, low: float, cmap: str, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """One map from `low` to 1, with its numbers where there is room; a cell without a value stays white."""
    axes, shades = panels.axes[i], matplotlib.colormaps[cmap]
    axes.imshow(grid, cmap=cmap, vmin=low, vmax=1, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    step = -(-len(columns) // 16)
    where = list(range(0, len(columns), step))
    turned = max(map(len, columns)) > 3
    labels = [still_text(columns[k], LONGEST) for k in where]
    axes.set_xticks(where, labels, rotation=35 if turned else 0, ha="right" if turned else "center")
    scale = [[at, to_hex(shades(at))] for at in np.linspace(0, 1, 9)]
    panels.live.add_heatmap(
        z=grid, zmin=low, zmax=1, x=list(range(len(columns))), y=list(range(len(rows))), colorscale=scale, xgap=1,
        ygap=1, showscale=False, customdata=[[f"{live_text(r)} · {live_text(c)}" for c in columns] for r in rows],
        hovertemplate="%{customdata}: %{z:.3f}<extra></extra>", **panels.on(i),
    )  # fmt: skip
    ticks = {"tickvals": where, "ticktext": [live_text(columns[k], LONGEST) for k in where], "showgrid": False}
    panels.live.update_layout({f"xaxis{panels.end(i)}": ticks})
    if len(columns) > MOST_WRITTEN:
        return
    for (y, x), value in np.ndenumerate(grid):
        if np.isfinite(value):
            red, green, blue, _ = shades((value - low) / (1 - low))
            ink = INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
            text = f"{value:.2f}".replace("-", "\u2212")
            axes.text(x, y, text, ha="center", va="center", color=ink, size=FONT_SIZE - 2)
            ends = {"xref": f"x{panels.end(i)}", "yref": f"y{panels.end(i)}"}
            panels.live.add_annotation(x=x, y=y, text=text, showarrow=False, font={"color": ink, "size": 10}, **ends)
