"""Agreement of every two measures as a square: Kendall below the diagonal, Spearman above it."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd

from workbench.figures.core import INK, Figure, house_style, legend_below, live_text, still_text
from workbench.figures.forest import LEVEL, cases
from workbench.figures.panels import Panels

MAP = "PuOr"  # purple and orange are told apart by every eye; white is no agreement
MARKS = {
    "holm": ("o", "circle", INK, "not by chance: no false alarm among all pairs (Holm, 0.05)"),
    "bh": ("o", "circle-open", "none", "not by chance: few false alarms among those found (Benjamini-Hochberg, 0.05)"),
}  # adjusted p -> marker, symbol, face, what it says
CORNER = 0.36  # where in a cell the mark stands, from its middle


@house_style()
def agreement_matrix(tests: pd.DataFrame, *, kind: str = "node") -> Figure:
    """Mean rank correlation over cases of every two measures on elements of one kind, with what survives correction.

    tests: what `workbench.shift.agreement_tests` gave, with both statistics. Cells without a mark are within what
    values dealt out by chance reach.
    """
    rows = tests[tests["kind"] == kind]
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    size = len(names)
    title = f"Agreement of measures on {kind}s, mean over cases ({cases(rows[rows['n'] > 0])})"
    head = ["below the diagonal Kendall's τ, above it Spearman's ρ"]
    panels = Panels.row(head, title=title, height=1.8 + 0.36 * size)
    grid, said = _grid(rows, names)
    _cells(panels, grid, said)
    _marks(panels, rows, names)
    axes, ticks = panels.axes[0], list(range(size))
    axes.set_xticks(ticks, [still_text(name, 24) for name in names], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [still_text(name, 24) for name in names])
    labels = {"tickvals": ticks, "ticktext": [live_text(name, 24) for name in names], "showgrid": False}
    panels.live.update_layout(xaxis={**labels, "tickangle": -40}, yaxis=labels)
    panels.range(0, x=(-0.5, size - 0.5), y=(size - 0.5, -0.5))
    panels.label(0, x="measure")
    handles, legend = axes.get_legend_handles_labels()
    legend_below(panels.still, handles, legend, columns=1)
    known = rows[(rows["statistic"] == "kendall") & (rows["n"] > 0)]
    best = known.loc[known["mean"].abs().idxmax()] if len(known) else None
    alt = "none is defined" if best is None else f"{best['first']} and {best['second']} by τ {best['mean']:+.2f}"
    return Figure(panels.live, panels.still, f"{title}; the strongest: {alt}.")


def _grid(rows: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, list[list[str]]]:
    """Coefficients (measures, measures), NaN on the diagonal, and what each cell says in the live twin."""
    grid, said = np.full((len(names), len(names)), np.nan), [[""] * len(names) for _ in names]
    for row in rows[rows["n"] > 0].itertuples():
        i, j = _cell(row, names)
        grid[i, j] = row.mean
        said[i][j] = (
            f"{live_text(row.first)} · {live_text(row.second)}<br>{row.statistic} {row.mean:+.3f} "
            f"[{row.low:+.3f}, {row.high:+.3f}], n {row.n}<br>by chance {row.random_low:+.3f} to {row.random_high:+.3f}"
            f"<br>p {row.p:.4f}, Holm {row.holm:.4f}, Benjamini-Hochberg {row.bh:.4f}"
        )
    return grid, said


def _cell(row, names: list[str]) -> tuple[int, int]:
    """(row, column): below the diagonal for Kendall, above it for Spearman."""
    low, high = sorted((names.index(row.first), names.index(row.second)))
    return (high, low) if row.statistic == "kendall" else (low, high)


def _cells(panels: Panels, grid: np.ndarray, said: list[list[str]]) -> None:
    """The colours and the numbers."""
    axes, colours = panels.axes[0], matplotlib.colormaps[MAP]
    axes.imshow(grid, cmap=colours, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    text = [["" if np.isnan(v) else _short(v) for v in row] for row in grid]
    for i, j in zip(*np.nonzero(~np.isnan(grid)), strict=True):
        colour = "white" if abs(grid[i, j]) > 0.65 else INK
        axes.text(j, i, text[i][j], ha="center", va="center", size=7.5, color=colour)
    scale = [[k / 10, matplotlib.colors.to_hex(colours(k / 10))] for k in range(11)]
    panels.live.add_heatmap(
        z=grid, zmin=-1, zmax=1, colorscale=scale, xgap=1, ygap=1, hovertext=said, hoverinfo="text", hoverongaps=False,
        text=text, texttemplate="%{text}", showscale=False, **panels.on(0),
    )  # fmt: skip


def _short(value: float) -> str:
    """A coefficient on little room: +.56, −.08, +.00."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−").replace("0.", ".")


def _marks(panels: Panels, rows: pd.DataFrame, names: list[str]) -> None:
    """A mark in the corner of the cells that survive a correction, the stricter one where both do."""
    known = rows[rows["n"] > 0]
    strict = known["holm"] < LEVEL
    for name, chosen in (("holm", strict), ("bh", ~strict & (known["bh"] < LEVEL))):
        marker, symbol, face, label = MARKS[name]
        places = [_cell(row, names) for row in known[chosen].itertuples()]
        x, y = [j + CORNER for _, j in places], [i - CORNER for i, _ in places]
        panels.axes[0].scatter(x, y, s=9, marker=marker, facecolors=face, edgecolors=INK, linewidths=0.8, label=label)
        panels.live.add_scatter(
            x=x, y=y, mode="markers", name=label, hoverinfo="skip",
            marker={"symbol": symbol, "size": 6, "color": INK}, **panels.on(0),
        )  # fmt: skip
