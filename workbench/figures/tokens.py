"""Pictures of token shifts: one case's elements layer by layer, and means by entity type and relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.cases import Case
from workbench.figures.case_graph import needed
from workbench.figures.core import SMALL, Figure, Tip, house_style
from workbench.figures.palette import GREY, INK
from workbench.figures.panels import SEQUENTIAL, cases, cells, forest, label, name_rows, row

LONGEST = 34  # characters of an element's name
MARK = "\u25cf "  # stands before an element that the answer needs
RELATIVE = "‖sBAh‖ / ‖W₀h‖"


@house_style()
def element_map(maps: Mapping[str, pd.DataFrame], case: Case) -> Figure:
    """Shift of a case's elements by layers, nodes first, then facts; a panel and a scale for each projection.

    maps: projection -> what `workbench.shift.element_layers` gave for the case. A dot and black letters mark what the
    case's answer runs through; a white line parts the embedding (column e) from the layers. Hover for the numbers.
    """
    title = f"Relative shift {RELATIVE} of the elements; ● needed, e: embedding"
    numbers = list(next(iter(maps.values())).index)
    names = [f"{MARK if needed(case, i) else ''}{case.label(case.elements[i])}" for i in numbers]
    still, panels = row(list(maps), title=title, height=1.3 + 0.17 * len(names))
    tips: list[Tip] = []
    for axes, grid in zip(panels, maps.values(), strict=True):
        values = grid.to_numpy(float)
        columns = ["e", *map(str, grid.columns[1:])]
        said = [[f"{name}, {at}: {v:.3f}" for at, v in zip(grid.columns, line, strict=True)]
                for name, line in zip(names, values, strict=True)]  # fmt: skip
        scale: dict[str, Any] = {"low": 0, "high": float(values.max()) or 1.0, "cmap": SEQUENTIAL}
        tips += cells(axes, values, rows=names, columns=columns, written="", said=said, **scale)
        axes.axvline(0.5, color="white", lw=3)
        if 0 < len(case.nodes) < len(numbers):
            axes.axhline(len(case.nodes) - 0.5, color="white", lw=3)
        still.colorbar(axes.images[0], ax=axes, fraction=0.06, pad=0.02).outline.set_visible(False)
        label(axes, x="layer")
    name_rows(panels[0], names, longest=LONGEST)
    panels[0].invert_yaxis()
    for name, text in zip(names, panels[0].get_yticklabels(), strict=True):
        text.set(color=INK if name.startswith(MARK) else GREY, size=SMALL)
    top = max(float(np.nanmax(grid.to_numpy(float))) for grid in maps.values())
    alt = f"Relative shift of {len(names)} elements of case {case.id}, layer by layer; the largest is {top:.3g}."
    return Figure(still, alt, tips)


@house_style()
def group_shift(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean relative shift of groups of elements with 95 % intervals over cases; a panel a projection.

    tables: what a group is (`type`, `relation`) -> rows of `workbench.shift.by_group`. Rows are sorted by the last
    projection, within each table.
    """
    whole = pd.concat([rows.assign(label=f"{what}: " + rows["group"]) for what, rows in tables.items()])
    order = whole[whole["projection"] == whole["projection"].max()]["label"]
    frames = {}
    for projection, rows in whole.groupby("projection"):
        known = rows.set_index("label").loc[order[order.isin(rows["label"])]].reset_index()
        frames[f"{projection}\n({cases(known)})"] = known
    top = 1.06 * (float(whole["high"].max()) or 1.0)
    title = f"Relative shift in context by {' and '.join(tables)}, mean over cases"
    return forest(frames, title=title, x=RELATIVE, reach=(-0.02 * top, top), middle=0.0)
