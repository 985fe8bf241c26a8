"""Pictures of the comparison of mask, attention and shift: element by element in one case, and over all cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

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


@house_style()
def element_bars(table: pd.DataFrame, measures: Sequence[str], *, kind: str = "node") -> Figure:
    """Parallel bars: a panel a measure, a row an element, the first measure sets the order.

    table: rows of one case of `workbench.shift.with_measures`; only elements of `kind` (node or fact) are drawn.
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
def agreement(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean rank correlation of every two measures with its interval, over the band that random values reach.

    tables: panel title -> rows of `workbench.shift.agreement_tests`, the same pairs in each.
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
