"""Pictures of dose and switch: response to the adapter's strength, modules off and alone, pairs, what little keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from workbench.figures.core import GREY, INK, SERIES, Figure, house_style, legend_below, live_text, still_text
from workbench.figures.forest import cases, forest
from workbench.figures.panels import Panels
from workbench.figures.spectra import _band, _line

MAP = "PuOr"  # two-sided, white in the middle, told apart by every eye
MOST_NUMBERS, MOST_COLUMNS = 120, 16  # cells, and cells side by side, of a map that have room for a number
DARK = 0.65  # of the range: numbers on darker cells are white


@house_style()
def dose_curves(curves: Mapping[str, Mapping[str, pd.DataFrame]], *, units: Mapping[str, str] | None = None) -> Figure:
    """Means over cases as the adapter is scaled, with their 95 % intervals: a panel a quantity, a line a series.

    curves: panel -> series -> rows of `workbench.shift.over_cases` by `dose`. units: panel -> what its numbers are,
    nats without. The trained adapter, dose 1, is marked.
    """
    title = "Response to the adapter's dose: 0 the base, 1 as trained"
    panels = Panels.row(list(curves), title=title, height=3.1, same_y=False)
    every = list(dict.fromkeys(series for lines in curves.values() for series in lines))
    for i, (name, lines) in enumerate(curves.items()):
        for series, rows in lines.items():
            k = every.index(series)
            x = rows["dose"].to_numpy(float)
            _band(panels, i, x, rows["low"], rows["high"], name="", colour=SERIES[k % len(SERIES)])
            _line(panels, i, k, x, rows["mean"], name=series)
        _upright(panels, i, 1.0)
        panels.axes[i].grid(axis="y")
        panels.label(i, x="dose", y=(units or {}).get(name, "nats"))
    _whole_legend(panels)
    said = []
    for name, lines in curves.items():
        for series, rows in lines.items():
            ends = rows.set_index("dose")["mean"]
            said.append(
                f"{name}, {series}: {ends.iloc[0]:.3g} at {ends.index[0]:g}, {ends.iloc[-1]:.3g} at {ends.index[-1]:g}"
            )
    return Figure(panels.live, panels.still, f"{title}. {'; '.join(said)}.")


def _whole_legend(panels: Panels) -> None:
    """One legend of what is drawn in any panel, below them."""
    drawn = [axes.get_legend_handles_labels() for axes in panels.axes]
    found = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    legend_below(panels.still, list(found.values()), list(found), columns=4)


def _upright(panels: Panels, i: int, x: float) -> None:
    """A thin grey line at x, in both twins."""
    panels.axes[i].axvline(x, color=GREY, lw=0.8, ls="--")
    end = panels.end(i)
    panels.live.add_shape(
        type="line", x0=x, x1=x, y0=0, y1=1, xref=f"x{end}", yref=f"y{end} domain",
        line={"color": GREY, "width": 1, "dash": "dash"},
    )  # fmt: skip


@house_style()
def switch_maps(shares: pd.DataFrame) -> Figure:
    """Layer by projection: the share of Delta that goes with a module switched off, and that comes with it alone.

    shares: what `workbench.shift.switch_shares` gave, or `looked_into`: then whole layers and projections stand at the
    edges, and what was not asked is blank. Hover for the intervals.
    """
    title = "Share of Δ = v(tuned) − v(base) by module"
    layers = sorted(shares["layer"].unique(), key=lambda layer: (isinstance(layer, str), layer))
    projections = sorted(dict.fromkeys(shares["projection"]), key=lambda name: name == "all")
    panels = Panels.row(
        ["switched off alone: what goes", "switched on alone: what comes"],
        title=title,
        height=1.5 + 0.3 * len(projections),
        legend=False,
    )
    top = float(np.nanmax(np.abs(shares[["off", "on"]].to_numpy()))) or 1.0
    for i, column in enumerate(("off", "on")):
        grid, said = np.full((len(projections), len(layers)), np.nan), [[""] * len(layers) for _ in projections]
        for row in shares.to_dict("records"):
            at = projections.index(row["projection"]), layers.index(row["layer"])
            grid[at] = row[column]
            said[at[0]][at[1]] = (
                f"{live_text(row['module'], 80)}<br>{row[column]:+.3f} [{row[f'{column}_low']:+.3f}, "
                f"{row[f'{column}_high']:+.3f}]"
            )
        _cells(panels, i, grid, said, top=top)
        _ticks(panels, i, [str(layer) for layer in layers], projections)
        panels.label(i, x="layer")
    best = shares.loc[shares["off"].idxmax()]
    alt = f"most goes with {best['projection']} of layer {best['layer']}: {best['off']:.2f}"
    return Figure(panels.live, panels.still, f"{title}; {alt} [{best['off_low']:.2f}, {best['off_high']:.2f}].")


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
        frames[f"{unit}s: {counts} ({cases(part)})"] = part.assign(label=labels)
    low, high = min(0.0, float(rows["low"].min())), max(1.0, float(rows["high"].max()))
    return forest(frames, title=title, x="share of Δ", reach=(low - 0.04, high + 0.04), middle=0.0)


@house_style()
def interaction_matrix(values: np.ndarray, modules: Sequence[str]) -> Figure:
    """What two modules do together beyond each alone, as the mean over cases: purple below 0, orange above.

    values: (cases, k, k) of `workbench.shift.interactions`, nats. modules: their k names. Hover for the interval
    (twice the standard error).
    """
    title = "Interaction of modules: v(both off) − v(one off) − v(other off) + v(on), nats"
    mean = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros_like(mean)
    size, labels = len(modules), [_place(name) for name in modules]
    grid = np.where(np.eye(size, dtype=bool), np.nan, mean)
    said = [
        [f"{live_text(a)} · {live_text(b)}<br>{mean[i, j]:+.3g} ± {2 * error[i, j]:.2g}" for j, b in enumerate(labels)]
        for i, a in enumerate(labels)
    ]
    head = [f"mean of {len(values)} cases; below 0: each can stand in for the other"]
    panels = Panels.row(head, title=title, height=1.6 + 0.34 * size, legend=False)
    _cells(panels, 0, grid, said, top=float(np.nanmax(np.abs(grid))) if size > 1 else 1.0)
    _ticks(panels, 0, labels, labels)
    panels.label(0, x="module")
    i, j = np.unravel_index(int(np.nanargmax(np.abs(grid))), grid.shape) if size > 1 else (0, 0)
    alt = f"the strongest: {labels[i]} and {labels[j]}, {mean[i, j]:+.3g}"
    return Figure(panels.live, panels.still, f"{title}; {alt}.")


def _place(module: str) -> str:
    """`model.layers.3.self_attn.q_proj` as `3 q_proj`."""
    parts = module.split(".")
    return f"{next((p for p in parts if p.isdecimal()), '')} {parts[-1]}".strip()


def _cells(panels: Panels, i: int, grid: np.ndarray, said: list[list[str]], *, top: float) -> None:
    """Colours and numbers of a two-sided map."""
    axes, colours = panels.axes[i], matplotlib.colormaps[MAP].reversed()
    axes.imshow(grid, cmap=colours, vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    text = [["" if np.isnan(v) else f"{v + 0.0:.2g}".replace("-", "−") for v in row] for row in grid]
    legible = grid.size <= MOST_NUMBERS and grid.shape[1] <= MOST_COLUMNS
    if legible:
        for y, x in zip(*np.nonzero(~np.isnan(grid)), strict=True):
            colour = "white" if abs(grid[y, x]) > DARK * top else INK
            axes.text(x, y, text[y][x], ha="center", va="center", size=7.5, color=colour)
    scale = [[k / 10, to_hex(colours(k / 10))] for k in range(11)]
    panels.live.add_heatmap(
        z=grid, zmin=-top, zmax=top, colorscale=scale, xgap=1, ygap=1, hovertext=said, hoverinfo="text",
        hoverongaps=False, text=text, texttemplate="%{text}" if legible else "", showscale=False,
        **panels.on(i),
    )  # fmt: skip


def _ticks(panels: Panels, i: int, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Names of columns and rows; of many columns every so manieth."""
    step = -(-len(columns) // MOST_COLUMNS)
    where = list(range(0, len(columns), step))
    panels.axes[i].set_xticks(where, [still_text(columns[k], 20) for k in where])
    panels.axes[i].set_yticks(range(len(rows)), [still_text(name, 20) for name in rows])
    x = {"tickvals": where, "ticktext": [live_text(columns[k], 20) for k in where], "showgrid": False}
    y = {"tickvals": list(range(len(rows))), "ticktext": [live_text(name, 20) for name in rows], "showgrid": False}
    panels.live.update_layout({f"xaxis{panels.end(i)}": x, f"yaxis{panels.end(i)}": y})
    panels.range(i, x=(-0.5, len(columns) - 0.5), y=(len(rows) - 0.5, -0.5))


@house_style()
def kept_curves(tables: Mapping[str, pd.DataFrame], *, enough: float | None = None) -> Figure:
    """Share of right answers over the part of the adapter that is kept, a line an order of its units.

    tables: series -> rows of `workbench.shift.kept_accuracy`. enough: the share wanted, as a dashed line.
    """
    title = "Right answers with only a part of the adapter"
    panels = Panels.row(["95 % intervals over cases"], title=title, height=3.2)
    for k, (name, rows) in enumerate(tables.items()):
        x = 100 * rows["part"].to_numpy(float)
        _band(panels, 0, x, rows["low"], rows["high"], name="", colour=SERIES[k % len(SERIES)])
        _line(panels, 0, k, x, rows["exact"], name=name)
    if enough is not None:
        _line(panels, 0, 6, [0, 100], [enough, enough], name=f"wanted: {enough:.2f}", dotted=True)
    panels.axes[0].grid(axis="y")
    panels.range(0, x=(-2, 102), y=(0, 1.02 * max(float(rows["high"].max()) for rows in tables.values())))
    panels.label(0, x="parameters kept, % of the adapter", y="share of cases")
    _whole_legend(panels)
    said = []
    for name, rows in tables.items():
        least = rows[rows["exact"] >= (enough or rows["exact"].iloc[-1])]["part"].min()
        said.append(f"{name}: {rows['exact'].iloc[0]:.2f} with none, {rows['exact'].iloc[-1]:.2f} with all")
        said[-1] += f", {enough:.2f} or more from {least:.0%} on" if enough is not None and least == least else ""
    return Figure(panels.live, panels.still, f"{title}. {'; '.join(said)}.")
