"""Panels side by side, the same in plotly and in matplotlib: one title each, one scale of heights when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from matplotlib.figure import Figure as Sheet

from workbench.figures.core import GREY, GRID, LONGEST_TITLE, live_text, sheet, stage, still_text

GAPS = {True: 0.055, False: 0.1}  # of the width, between two live panels, without and with labels at each
MOST = 5  # panels beside one another; more go into a second row
LONGEST = 60  # characters of a line above a panel or at an axis


@dataclass
class Panels:
    """Panels in a row, or in several: `axes` of the still twin, and `on(i)` for the traces of the live one."""

    still: Sheet
    axes: list[Any]
    live: go.Figure
    across: int  # panels in a row

    @classmethod
    def row(
        cls,
        titles: Sequence[str],
        *,
        title: str,
        height: float,
        same_y: bool = True,
        legend: bool = True,
        **layout: Any,
    ) -> Panels:
        """Empty panels under their titles (data; a line break is one), `height` inches high. Call it in `house_style`.

        More than `MOST` stand in rows of `height` each. same_y: the panels share their y axis and only the first of a
        row has its labels. legend: whether the live twin has one,
        below the panels. layout: more for the live twin.
        """
        rows = -(-len(titles) // MOST)
        across = -(-len(titles) // rows)
        height *= rows
        still, axes = sheet(height=height, rows=rows, columns=across, sharey=same_y, squeeze=False)
        for left_over in axes.flat[len(titles) :]:
            left_over.remove()
        still.suptitle(still_text(title, LONGEST_TITLE), x=0.01, ha="left", size=11)
        lines = max(name.count("\n") for name in titles)
        margin = {"l": 50, "r": 20, "t": 62 + 16 * lines, "b": 80 if legend else 50}
        below = {"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0}
        live = stage(title=title, height=height + 0.9, showlegend=legend, legend=below, margin=margin, **layout)
        live.layout.title.update(y=1, yref="container", yanchor="top", pad={"t": 12})
        panels = cls(still, list(axes.flat[: len(titles)]), live, across)
        share, gap = 1 / across, GAPS[same_y]
        for i, name in enumerate(titles):
            panels.axes[i].set_title("\n".join(still_text(line, LONGEST) for line in name.split("\n")), size=9)
            end, row, place_in_row = cls.end(i), i // across, i % across
            left = 0.0 if place_in_row == 0 else place_in_row * share + gap / 2
            right = 1.0 if place_in_row == across - 1 else (place_in_row + 1) * share - gap / 2
            base = {"linecolor": GREY, "gridcolor": GRID, "zeroline": False, "ticks": "outside", "automargin": True}
            live.update_layout({f"xaxis{end}": {**base, "domain": [left, right], "anchor": f"y{end}"}})
            y = {**base, "anchor": f"x{end}"}
            y |= {"matches": "y", "showticklabels": place_in_row == 0} if same_y and i else {}
            if rows > 1:  # from the top, with room for labels below and a title above each but the first
                y |= {"domain": [1 - (row + 1) / rows + (0.26 / rows if row < rows - 1 else 0), 1 - (row + 0.1) / rows]}
            live.update_layout({f"yaxis{end}": y})
            place = {"x": 0, "y": 1, "xref": f"x{end} domain", "yref": f"y{end} domain"}
            text = "<br>".join(live_text(line, LONGEST) for line in name.split("\n"))
            live.add_annotation(text=text, showarrow=False, xanchor="left", yanchor="bottom", align="left", **place)
        return panels

    @staticmethod
    def end(i: int) -> str:
        """plotly numbers its axes x, x2, x3, ..."""
        return "" if i == 0 else str(i + 1)

    def on(self, i: int) -> dict[str, str]:
        """Which axes a live trace of panel i uses."""
        return {"xaxis": f"x{self.end(i)}", "yaxis": f"y{self.end(i)}"}

    def name_rows(self, **ticks: Any) -> None:
        """Settings of the y axis of the live twin, at the first panel of every row."""
        for i in range(0, len(self.axes), self.across):
            self.live.update_layout({f"yaxis{self.end(i)}": ticks})

    def label(self, i: int, *, x: str = "", y: str = "") -> None:
        """Axis labels of panel i (data), in both twins."""
        self.axes[i].set(xlabel=still_text(x, LONGEST), ylabel=still_text(y, LONGEST))
        for axis, text in (("x", x), ("y", y)):
            if text:
                self.live.update_layout({f"{axis}axis{self.end(i)}_title_text": live_text(text, LONGEST)})

    def range(self, i: int, *, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> None:
        """Fixed ranges of panel i, in both twins (linear axes)."""
        for axis, span in (("x", x), ("y", y)):
            if span:
                self.axes[i].set(**{f"{axis}lim": span})
                self.live.update_layout({f"{axis}axis{self.end(i)}_range": list(span)})
