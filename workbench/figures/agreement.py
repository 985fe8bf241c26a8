"""Pictures of the comparison of mask, attention and shift: element by element in one case, and over all cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from workbench.figures.core import (
    BLUE,
    ORANGE,
    Figure,
    house_style,
    legend_below,
    live_text,
    short,
    still_text,
)
from workbench.figures.forest import cases, forest
from workbench.figures.panels import Panels

SHOWN = 0.25  # of the cases: a measure known in fewer is not drawn
NEEDED, OTHER = "needed for the answer", "not needed"
BARS = {True: (BLUE, ""), False: (ORANGE, "///")}  # needed -> colour, hatch
SORTS = {"node": ("o", "circle"), "fact": ("s", "square")}  # kind -> markers


@house_style()
def element_bars(table: pd.DataFrame, measures: Sequence[str], *, kind: str = "node") -> Figure:
    """Parallel bars: a panel a measure, a row an element, the first measure sets the order.

    table: rows of one case of `workbench.shift.side_by_side`; only elements of `kind` (node or fact) are drawn.
    """
    rows = table[table["kind"] == kind].sort_values(measures[0], ascending=True, kind="stable")
    title = f"The same {kind}s by {len(measures)} measures"
    height = 1.35 + 0.185 * len(rows)
    panels = Panels.row(list(measures), title=title, height=height, barmode="overlay")
    where = np.arange(len(rows))
    needed = rows["needed"].to_numpy(bool)
    for i, measure in enumerate(measures):
        values = rows[measure].to_numpy(float)
        for one, (colour, hatch) in BARS.items():
            chosen, name = needed == one, NEEDED if one else OTHER
            panels.axes[i].barh(
                where[chosen], values[chosen], 0.75, color=colour, hatch=hatch, edgecolor="white", label=name
            )
            marker = {
                "color": colour,
                "pattern": {"shape": hatch[:1], "fillmode": "overlay", "fgcolor": "white", "size": 6},
            }
            panels.live.add_bar(
                x=values[chosen], y=where[chosen], width=0.75, orientation="h", name=name, legendgroup=name,
                showlegend=i == 0, marker=marker, hovertext=[live_text(n) for n in rows["name"][chosen]],
                hovertemplate="%{hovertext}: %{x:.4g}<extra></extra>", **panels.on(i),
            )  # fmt: skip
        panels.axes[i].grid(axis="x")
        panels.axes[i].locator_params(axis="x", nbins=3)
        panels.axes[i].xaxis.set_major_formatter("{x:g}")
        panels.range(i, x=(0, 1.06 * (float(values.max()) or 1.0)), y=(-0.6, len(rows) - 0.4))
        panels.label(i, x=_unit(measure))
    longest = 30 if kind == "node" else 44
    panels.axes[0].set_yticks(where, [still_text(name, longest) for name in rows["name"]], size=7.5)
    ticks = {"tickvals": where.tolist(), "ticktext": [live_text(name, longest) for name in rows["name"]]}
    panels.live.update_layout(yaxis=ticks)
    handles, labels = panels.axes[0].get_legend_handles_labels()
    legend_below(panels.still, handles, labels)
    alt = f"{title} ({', '.join(measures)}), sorted by {measures[0]}; highest: {short(rows['name'].iloc[-1])}."
    return Figure(panels.live, panels.still, alt)


def _unit(measure: str) -> str:
    """What the numbers of a measure are."""
    if measure.startswith("mask"):
        return "degree of removal"
    if measure == "attention":
        return "share of attention"
    return "‖sBAh‖ / ‖W₀h‖" if measure.endswith("shift") else measure


@house_style()
def rank_pairs(
    table: pd.DataFrame, pairs: Sequence[tuple[str, str]], correlations: Mapping[tuple[str, str], Mapping[str, float]]
) -> Figure:
    """Scatter of ranks: a panel a pair of measures, a point an element; nodes and facts ranked among their own kind.

    table: rows of one case of `workbench.shift.side_by_side`. correlations: pair -> kind -> Spearman, written above
    its panel (see `workbench.shift.case_correlations`).
    """
    title = "Ranks within the case, 0 the lowest of its kind, 1 the highest, and Spearman's ρ"
    heads = [f"{a} and {b}\n{_said(correlations.get((a, b), {}))}" for a, b in pairs]
    panels = Panels.row(heads, title=title, height=3.2, same_y=False)
    ranks = {name: table.groupby("kind")[name].transform(_unit_ranks) for pair in pairs for name in pair}
    for i, (first, second) in enumerate(pairs):
        for (kind, needed), rows in table.groupby(["kind", "needed"], sort=False):
            x, y = ranks[first][rows.index], ranks[second][rows.index]
            colour, (marker, symbol) = BARS[bool(needed)][0], SORTS[str(kind)]
            name = f"{kind}, {NEEDED if needed else OTHER}"
            face = colour if needed else "none"
            panels.axes[i].scatter(
                x, y, s=26, marker=marker, facecolors=face, edgecolors=colour, linewidths=1.2, label=name
            )
            panels.live.add_scatter(
                x=x, y=y, mode="markers", name=name, legendgroup=name, showlegend=i == 0,
                marker={"symbol": symbol if needed else f"{symbol}-open", "color": colour, "size": 9},
                hovertext=[live_text(n) for n in rows["name"]], hoverinfo="text", **panels.on(i),
            )  # fmt: skip
        panels.axes[i].grid()
        panels.label(i, x=f"rank by {first}", y=f"rank by {second}")
        panels.range(i, x=(-0.06, 1.06), y=(-0.06, 1.06))
    handles, labels = panels.axes[0].get_legend_handles_labels()
    legend_below(panels.still, handles, labels, columns=4)
    said = "; ".join(": ".join(head.splitlines()) for head in heads)
    return Figure(panels.live, panels.still, f"{title}. {said}.")


def _unit_ranks(values: pd.Series) -> np.ndarray:
    return (rankdata(values) - 1) / max(1, len(values) - 1)


def _said(values: Mapping[str, float]) -> str:
    """Spearman correlations as text; none for a measure that is constant."""
    texts = [f"{kind}s {'none' if np.isnan(v) else format(v, '+.2f').replace('-', '−')}" for kind, v in values.items()]
    return f"ρ {', '.join(texts)}" if texts else ""


@house_style()
def agreement(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean rank correlation of every two measures with its interval, over the band that random values reach.

    tables: panel title -> rows of `workbench.shift.rank_agreement`, the same pairs in each.
    """
    title = "Mean Spearman correlation over cases, with 95 % intervals"
    frames = {
        f"{name} ({cases(rows)})": rows.assign(
            label=[f"{a} · {b}" for a, b in zip(rows["first"], rows["second"], strict=True)]
        )
        for name, rows in tables.items()
    }
    reach = (-1.05, 1.05)
    return forest(frames, title=title, x="mean Spearman correlation", reach=reach, middle=0.0)


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
    frames = {
        f"{kind}s ({cases(part)})": part.assign(label=part["measure"])
        for kind, part in rows.groupby("kind", sort=False)
    }
    low, high = min(0.0, float(rows["low"].min())), float(rows[["high", "random"]].max().max())
    room = 0.04 * (high - low or 1.0)
    label = "nats" if outcome == "drop" else "share of cases"
    return forest(frames, title=title, x=label, reach=(low - room, high + room), middle=0.0)
