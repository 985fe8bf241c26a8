"""Pictures of token shifts: one case's elements layer by layer, and means by entity type and relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.cases import Case, Fact
from workbench.figures.core import GREY, INK, Figure, house_style, live_text, still_text
from workbench.figures.forest import cases, forest
from workbench.figures.panels import Panels
from workbench.shift import element_name

MAP, LIVE_MAP = "cividis", "Cividis"  # made for colour-blind eyes, and even in grey
LONGEST = 34  # characters of an element's name
MARK = "\u25cf "  # stands before an element that the answer needs
RELATIVE = "‖sBAh‖ / ‖W₀h‖"


@house_style()
def element_map(maps: Mapping[str, pd.DataFrame], case: Case) -> Figure:
    """Shift of a case's elements by layers, nodes first, then facts; a panel and a scale for each projection.

    maps: projection -> what `workbench.shift.element_layers` gave for the case. A dot and black letters mark what the
    case's answer runs through.
    """
    title = f"Relative shift {RELATIVE} of the elements' tokens; ● needed for the answer"
    numbers = list(next(iter(maps.values())).index)
    names = [_name(case, i) for i in numbers]
    panels = Panels.row(list(maps), title=title, height=1.3 + 0.16 * len(names), legend=False)
    for i, grid in enumerate(maps.values()):
        _map(panels, i, grid.to_numpy(float), [str(c) for c in grid.columns], [live_text(n, LONGEST) for n in names])
        if 0 < len(case.nodes) < len(numbers):
            panels.axes[i].axhline(len(case.nodes) - 0.5, color="white", lw=3)
    panels.axes[0].set_yticks(range(len(names)), [still_text(name, LONGEST) for name in names], size=7)
    needed = [name.startswith(MARK) for name in names]
    for label, one in zip(panels.axes[0].get_yticklabels(), needed, strict=True):
        label.set_color(INK if one else GREY)
    text = [
        f'<span style="color:{INK if one else GREY}">{live_text(name, LONGEST)}</span>'
        for name, one in zip(names, needed, strict=True)
    ]
    panels.name_rows(tickvals=list(range(len(names))), ticktext=text, autorange="reversed", showgrid=False)
    top = max(float(grid.to_numpy(float).max()) for grid in maps.values())
    alt = f"Relative shift of {len(names)} elements of case {case.id}, layer by layer; the largest is {top:.3g}."
    return Figure(panels.live, panels.still, alt)


def _name(case: Case, i: int) -> str:
    """The element's name, with a dot where the answer needs it."""
    element = case.elements[i]
    needed = element in case.needed if isinstance(element, Fact) else element in case.path
    return f"{MARK if needed else ''}{element_name(case, i)}"


def _map(panels: Panels, i: int, grid: np.ndarray, columns: Sequence[str], rows: Sequence[str]) -> None:
    """One map with its colour bar; a white line parts the embedding from the layers."""
    axes, end, top = panels.axes[i], panels.end(i), float(grid.max()) or 1.0
    picture = axes.imshow(grid, cmap=MAP, vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    axes.axvline(0.5, color="white", lw=3)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    where = sorted({0, *range(1, len(columns), -(-len(columns) // 12))})
    what = [columns[k] for k in where]
    axes.set_xticks(where, what)
    panels.still.colorbar(picture, ax=axes, fraction=0.06, pad=0.02).outline.set_visible(False)
    left, right = panels.live.layout[f"xaxis{end}"].domain
    right -= 0.09  # room for the colour bar
    panels.live.add_heatmap(
        z=grid, zmin=0, zmax=top, colorscale=LIVE_MAP, xgap=1, customdata=[[row] * len(columns) for row in rows],
        hovertemplate="%{customdata}: %{z:.3f}<extra></extra>",
        colorbar={"x": right + 0.01, "xanchor": "left", "thickness": 12}, **panels.on(i),
    )  # fmt: skip
    ticks = {"tickvals": where, "ticktext": what, "showgrid": False, "domain": [left, right]}
    panels.live.update_layout({f"xaxis{end}": ticks})
    panels.label(i, x="embedding, then layers")


@house_style()
def group_shift(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean relative shift of groups of elements with 95 % intervals over cases; a panel a projection.

    tables: what a group is (`type`, `relation`) -> rows of `workbench.shift.by_group`. Rows are sorted by the last
    projection, within each table.
    """
    parts = [rows.assign(label=[f"{what}: {group}" for group in rows["group"]]) for what, rows in tables.items()]
    last = sorted(parts[0]["projection"].unique())[-1]
    order = [label for rows in parts for label in rows[rows["projection"] == last]["label"]]
    whole = pd.concat(parts).set_index("label")
    frames = {}
    for projection, rows in whole.groupby("projection"):
        known = rows.loc[[label for label in order if label in rows.index]].reset_index()
        frames[f"{projection}\n({cases(known)})"] = known
    top = 1.06 * (float(whole["high"].max()) or 1.0)
    title = f"Relative shift in context by {' and '.join(tables)}, mean over cases"
    return forest(frames, title=title, x=RELATIVE, reach=(-0.02 * top, top), middle=0.0)
