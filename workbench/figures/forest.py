"""Means with intervals, one below the other: a row a label, a panel a table, the same rows in every panel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench.figures.core import BLUE, GREY, INK, PALE, Figure, legend_below, live_text, still_text
from workbench.figures.panels import Panels

LEVEL = 0.05  # of the adjusted p-values: points above it are open
LONGEST = 60  # characters of a row's label


def forest(
    frames: Mapping[str, pd.DataFrame], *, title: str, x: str, reach: tuple[float, float], middle: float
) -> Figure:
    """Points with intervals. Call it in `house_style`.

    frames: panel title -> rows with `label, mean, low, high, n`; rows of n = 0 stay empty. Where there are the columns
    `random_low` and `random_high`, a band shows them; a diamond shows `random`; points are open where `holm` is not
    below 0.05. x: what the axis says. reach: its ends. middle: where a line marks that there is nothing.
    """
    labels = list(dict.fromkeys(label for rows in frames.values() for label in rows["label"]))
    panels = Panels.row(list(frames), title=title, height=1.3 + 0.24 * len(labels))
    for i, rows in enumerate(frames.values()):
        known = rows[rows["n"] > 0]
        where = np.array([len(labels) - 1 - labels.index(label) for label in known["label"]])
        _middle(panels, i, middle, len(labels))
        if "random_low" in known:
            _band(panels, i, known, where)
        _points(panels, i, known, where)
        if "random" in known:
            _random(panels, i, known, where)
        panels.label(i, x=x)
        panels.axes[i].grid(axis="x")
        panels.range(i, x=reach, y=(-0.7, len(labels) - 0.3))
    panels.axes[0].set_yticks(range(len(labels)), [still_text(label, LONGEST) for label in labels[::-1]], size=8)
    ticks = [live_text(label, LONGEST) for label in labels[::-1]]
    panels.name_rows(tickvals=list(range(len(labels))), ticktext=ticks)
    _legend(panels)
    said = [
        f"{one} of {name}: {value:.2f}"
        for name, rows in frames.items()
        for one, value in zip(rows["label"], rows["mean"], strict=True)
    ]
    return Figure(panels.live, panels.still, f"{title}: {'; '.join(said)}.")


def cases(rows: pd.DataFrame) -> str:
    """How many cases stand behind a table's rows, for the title of its panel."""
    counts = sorted({int(n) for n in rows["n"]})
    return f"n = {' to '.join(map(str, (counts[0], counts[-1]) if len(counts) > 1 else counts))} cases"


def _middle(panels: Panels, i: int, middle: float, rows: int) -> None:
    panels.axes[i].axvline(middle, color=GREY, lw=1)
    span = {"x0": middle, "x1": middle, "y0": -0.7, "y1": rows - 0.3}
    place = {"xref": f"x{panels.end(i)}", "yref": f"y{panels.end(i)}"}
    panels.live.add_shape(type="line", **span, **place, line={"color": GREY, "width": 1})


def _band(panels: Panels, i: int, rows: pd.DataFrame, where: np.ndarray) -> None:
    """Grey bars behind the points: where 95 % of random means lie."""
    low, high = rows["random_low"].to_numpy(float), rows["random_high"].to_numpy(float)
    name = "random values, 95 %"
    panels.axes[i].barh(where, high - low, 0.7, left=low, color=PALE, label=name)
    panels.live.add_bar(
        x=high - low, y=where, base=low, width=0.7, orientation="h", marker={"color": PALE}, name=name,
        legendgroup=name, showlegend=i == 0, hoverinfo="skip", **panels.on(i),
    )  # fmt: skip


def _random(panels: Panels, i: int, rows: pd.DataFrame, where: np.ndarray) -> None:
    """Diamonds: the mean of chance sets."""
    values, name = rows["random"].to_numpy(float), "drawn by chance"
    panels.axes[i].scatter(values, where, s=26, marker="D", facecolors="none", edgecolors=GREY, label=name, zorder=3)
    panels.live.add_scatter(
        x=values, y=where, mode="markers", name=name, legendgroup=name, showlegend=i == 0,
        marker={"symbol": "diamond-open", "color": GREY, "size": 9},
        hovertemplate="by chance %{x:.3f}<extra></extra>", **panels.on(i),
    )  # fmt: skip


def _points(panels: Panels, i: int, rows: pd.DataFrame, where: np.ndarray) -> None:
    """Means with their intervals, filled and open ones apart."""
    sure = rows["holm"].to_numpy(float) < LEVEL if "holm" in rows else np.ones(len(rows), bool)
    mean, low, high = (rows[key].to_numpy(float) for key in ("mean", "low", "high"))
    reach = np.clip([mean - low, high - mean], 0, None)
    said = np.array(
        [
            f"{live_text(one, LONGEST)}: {m:+.3f} [{a:+.3f}, {b:+.3f}]"
            for one, m, a, b in zip(rows["label"], mean, low, high, strict=True)
        ]
    )
    for chosen, name in ((sure, "mean, 95 % interval"), (~sure, "the same, not told from chance (Holm, 0.05)")):
        if not chosen.any() and name.startswith("the same"):
            continue
        filled = chosen is sure
        x, y = mean[chosen], where[chosen] if len(where) else where
        panels.axes[i].errorbar(
            x, y, xerr=reach[:, chosen], fmt="o", color=BLUE, mfc=BLUE if filled else "white", ecolor=INK,
            elinewidth=1.2, capsize=2.5, label=name,
        )  # fmt: skip
        error = {"array": reach[1, chosen], "arrayminus": reach[0, chosen], "color": INK, "thickness": 1.4}
        panels.live.add_scatter(
            x=x, y=y, mode="markers", name=name, legendgroup=name, hovertext=said[chosen], hoverinfo="text",
            showlegend=not any(trace.name == name for trace in panels.live.data), error_x=error,
            marker={"color": BLUE, "size": 9, "symbol": "circle" if filled else "circle-open"}, **panels.on(i),
        )  # fmt: skip


def _legend(panels: Panels) -> None:
    """Every sort of mark once, whichever panel has it."""
    found: dict = {}
    for axes in panels.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    legend_below(panels.still, list(found.values()), list(found))
