"""Pictures of a change of weights: its size per layer and module, its spectrum, its growth, what it adds to tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from workbench.figures.core import GREY, INK, PALE, SERIES, Figure, house_style, legend_below, live_text, still_text
from workbench.figures.panels import Panels

MARKERS = ("o", "s", "^", "D", "v", "P", "h", "*")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "hexagon", "star")
MAP, LIVE_MAP = "cividis", "Cividis"  # made for colour-blind eyes, and even in grey
MOST_LABELS = 9  # layers in a legend
LAYER = "layer"

_MEASURES = {
    "frobenius": "Frobenius norm",
    "spectral": "spectral norm",
    "stable_rank": "stable rank",
}


@house_style()
def norms(table: pd.DataFrame) -> Figure:
    """Frobenius norm, spectral norm and stable rank over the layers, a line for each projection.

    table: rows of `workbench.shift.spectra`.
    """
    title = "Size and shape of the change s·B·A"
    panels = Panels.row(list(_MEASURES.values()), title=title, height=2.9, same_y=False)
    for i, column in enumerate(_MEASURES):
        for k, (projection, rows) in enumerate(table.groupby("projection")):
            name = str(projection)
            x, y, colour = rows["layer"], rows[column], SERIES[k % len(SERIES)]
            panels.axes[i].plot(
                x, y, color=colour, marker=MARKERS[k % len(MARKERS)], ms=5, lw=1.2, label=still_text(name)
            )
            panels.live.add_scatter(
                x=x, y=y, name=live_text(name), legendgroup=name, showlegend=i == 0, mode="lines+markers",
                line={"color": colour}, marker={"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 8}, **panels.on(i),
            )  # fmt: skip
        _whole_layers(panels, i, table["layer"])
        top = float(table[column].max()) or 1.0
        panels.range(i, y=(0, 1.08 * top))
        panels.label(i, x=LAYER, y=_MEASURES[column])
    handles, labels = panels.axes[0].get_legend_handles_labels()
    legend_below(panels.still, handles, labels)
    largest = table.loc[table["frobenius"].idxmax()]
    alt = f"{title} over {table['layer'].nunique()} layers; the largest Frobenius norm is {largest['frobenius']:.3g}"
    return Figure(panels.live, panels.still, f"{alt}, in {largest['projection']} of layer {largest['layer']}.")


def _whole_layers(panels: Panels, i: int, layers: pd.Series) -> None:
    """Layers are whole numbers: no ticks between them."""
    low, high = int(layers.min()), int(layers.max())
    panels.axes[i].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels.axes[i].grid(axis="y")
    room = 0.25 + 0.02 * (high - low)
    panels.range(i, x=(low - room, high + room))
    panels.live.update_layout({f"xaxis{panels.end(i)}": {"dtick": max(1, (high - low) // 6), "tick0": low}})


@house_style()
def spectrum_curves(table: pd.DataFrame, random: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Singular values of every module as shares of its Frobenius norm: a panel a projection, a line a layer.

    table: rows of `workbench.shift.spectra`. random: projection -> singular values of random changes of the same shape
    and rank (draws, k); drawn as a band from the 2.5 % to the 97.5 % quantile.
    """
    title = "Singular values of s·B·A, each module's Frobenius norm set to 1"
    panels, groups = _projections(table, title=title, height=3.1)
    for i, (projection, rows) in enumerate(groups):
        if random and projection in random:
            _band(panels, i, random[projection])
        curves = [
            (np.arange(1, len(values) + 1), values / max(norm, 1e-300))
            for values, norm in zip(rows["singular_values"], rows["frobenius"], strict=True)
        ]
        _layer_lines(panels, i, list(rows["layer"]), curves)
        panels.label(i, x="index of the singular value", y="share of the norm" if i == 0 else "")
        panels.axes[i].grid(axis="y")
        panels.range(i, y=(0, 1.02))
    _layer_legend(panels)
    leading = [
        values[0] / norm for values, norm in zip(table["singular_values"], table["frobenius"], strict=True) if norm
    ]
    said = f"the first holds {min(leading):.2f} to {max(leading):.2f} of the norm" if leading else "all are 0"
    return Figure(panels.live, panels.still, f"{title}: {said}.")


@house_style()
def growth_curves(table: pd.DataFrame) -> Figure:
    """Frobenius norm of every module at each checkpoint: a panel a projection, a line a layer.

    table: rows of `workbench.shift.growth`.
    """
    title = "Growth of the change in training"
    panels, groups = _projections(table, title=title, height=2.9)
    for i, (_, rows) in enumerate(groups):
        lines = {layer: part.sort_values("step") for layer, part in rows.groupby("layer")}
        curves = [(part["step"].to_numpy(), part["frobenius"].to_numpy()) for part in lines.values()]
        _layer_lines(panels, i, list(lines), curves)
        panels.axes[i].grid(axis="y")
        panels.axes[i].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panels.range(
            i, x=(0, 1.03 * float(table["step"].max())), y=(0, 1.08 * (float(table["frobenius"].max()) or 1.0))
        )
        panels.label(i, x="training step", y="Frobenius norm" if i == 0 else "")
    _layer_legend(panels)
    steps = table["step"].nunique()
    return Figure(
        panels.live, panels.still, f"{title}: Frobenius norms of {table['module'].nunique()} modules at {steps} steps."
    )


def _projections(table: pd.DataFrame, *, title: str, height: float) -> tuple[Panels, list[tuple[str, pd.DataFrame]]]:
    groups = [(str(name), rows) for name, rows in table.groupby("projection")]
    return Panels.row([name for name, _ in groups], title=title, height=height), groups


def _layer_lines(
    panels: Panels, i: int, layers: Sequence[int], curves: Sequence[tuple[np.ndarray, np.ndarray]]
) -> None:
    """One line a layer, from dark (first layer) to light (last)."""
    for k, (layer, (x, y)) in enumerate(zip(layers, curves, strict=True)):
        colour = to_hex(matplotlib.colormaps[MAP](0.92 * k / max(1, len(layers) - 1)))
        name, marker = f"layer {layer}", k % len(MARKERS)
        style = {"color": colour, "lw": 1.3, "marker": MARKERS[marker], "ms": 3.5}
        panels.axes[i].plot(x, y, label=name, **style)
        panels.live.add_scatter(
            x=x, y=y, name=name, legendgroup=name, showlegend=i == 0, mode="lines+markers",
            line={"color": colour, "width": 1.7}, marker={"symbol": SYMBOLS[marker], "size": 5}, **panels.on(i),
        )  # fmt: skip


def _layer_legend(panels: Panels) -> None:
    """At most `MOST_LABELS` layers, evenly chosen; the band first."""
    handles, labels = panels.axes[0].get_legend_handles_labels()
    band = [k for k, label in enumerate(labels) if not label.startswith("layer ")]
    layers = [k for k in range(len(labels)) if k not in band]
    some = sorted({layers[round(k)] for k in np.linspace(0, len(layers) - 1, min(MOST_LABELS, len(layers)))})
    legend_below(panels.still, [handles[k] for k in some + band], [labels[k] for k in some + band], columns=6)


def _band(panels: Panels, i: int, random: np.ndarray) -> None:
    shares = random / np.linalg.norm(random, axis=1, keepdims=True)
    low, high = np.quantile(shares, [0.025, 0.975], axis=0)
    x = np.arange(1, shares.shape[1] + 1)
    name = "random, 95 % of draws"
    panels.axes[i].fill_between(x, low, high, color=PALE, lw=0, label=name)
    panels.live.add_scatter(
        x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=PALE, line={"width": 0}, name=name,
        legendgroup=name, showlegend=i == 0, hoverinfo="skip", mode="lines", **panels.on(i),
    )  # fmt: skip


@house_style()
def token_map(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Relative shift of a case's nodes as maps: the embedding (mean of the layers' changes), then layers in context.

    A panel a projection, each with its own scale. table: rows of `workbench.shift.token_shift` of one case, of any kind
    (facts are left out). names: node -> name.
    """
    title = "Relative shift ‖sBAh‖ / ‖W₀h‖ of the nodes' tokens, commands in black"
    table = table[table["kind"] == "node"]
    nodes, layers = list(dict.fromkeys(table["node"])), sorted(table["layer"].unique())
    groups = [(str(name), _grid(rows, nodes, layers)) for name, rows in table.groupby("projection")]
    height = 1.3 + 0.19 * len(nodes)
    panels = Panels.row([name for name, _ in groups], title=title, height=height, legend=False)
    for i, (_, grid) in enumerate(groups):
        _map(panels, i, grid, ["emb.", *map(str, layers)], [live_text(names[node]) for node in nodes])
    panels.axes[0].set_yticks(range(len(nodes)), [still_text(names[node]) for node in nodes])
    for label, node in zip(panels.axes[0].get_yticklabels(), nodes, strict=True):
        label.set_color(INK if node.startswith("command:") else GREY)
    colour = {True: INK, False: GREY}
    text = [f'<span style="color:{colour[n.startswith("command:")]}">{live_text(names[n])}</span>' for n in nodes]
    rows_axis = {"tickvals": list(range(len(nodes))), "ticktext": text}
    panels.live.update_layout(yaxis={**rows_axis, "autorange": "reversed", "showgrid": False})
    top = max(float(grid.max()) for _, grid in groups)
    return Figure(panels.live, panels.still, f"{title}, for {len(nodes)} nodes; the largest is {top:.3g}.")


def _map(panels: Panels, i: int, grid: np.ndarray, columns: Sequence[str], rows: Sequence[str]) -> None:
    """One map with its colour bar; rows are texts for the live twin."""
    axes, end, top = panels.axes[i], panels.end(i), float(grid.max()) or 1.0
    picture = axes.imshow(grid, cmap=MAP, vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    axes.axvline(0.5, color="white", lw=3)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    where, what = _thinned(columns)
    axes.set_xticks(where, what)
    panels.still.colorbar(picture, ax=axes, fraction=0.06, pad=0.02).outline.set_visible(False)
    left, right = panels.live.layout[f"xaxis{end}"].domain
    right -= 0.09  # room for the colour bar
    panels.live.add_heatmap(
        z=grid, zmin=0, zmax=top, x=list(range(len(columns))), y=list(range(len(rows))), colorscale=LIVE_MAP, xgap=1,
        customdata=[[row] * len(columns) for row in rows], hovertemplate="%{customdata}: %{z:.3f}<extra></extra>",
        colorbar={"x": right + 0.01, "xanchor": "left", "thickness": 12}, **panels.on(i),
    )  # fmt: skip
    ticks = {"tickvals": where, "ticktext": what, "showgrid": False, "domain": [left, right]}
    panels.live.update_layout({f"xaxis{end}": ticks})
    panels.label(i, x="embedding, then layer in context")


def _grid(rows: pd.DataFrame, nodes: Sequence[str], layers: Sequence[int]) -> np.ndarray:
    """(nodes, 1 + layers): the embedding, mean of the layers' changes, then every layer in context."""
    context = rows.pivot(index="node", columns="layer", values="context_relative").loc[list(nodes), list(layers)]
    bare = rows.groupby("node")["embedding_relative"].mean().loc[list(nodes)]
    return np.column_stack([bare.to_numpy(), context.to_numpy()])


def _thinned(ticks: Sequence[str], most: int = 12) -> tuple[list[int], list[str]]:
    step = -(-len(ticks) // most)
    where = sorted({0, *range(1, len(ticks), step)})
    return where, [ticks[k] for k in where]
