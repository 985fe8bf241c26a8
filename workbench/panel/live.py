"""Live plotly figures that are changed in place: a new one would carry its script of 5 MB along every time."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import plotly.graph_objects as go


def live_widget(figure: go.Figure) -> go.FigureWidget:
    """A figure as a widget as wide as there is room."""
    widget = go.FigureWidget(figure.data, _layout(figure))
    widget._config = {"displaylogo": False, "responsive": True, "displayModeBar": False}
    return widget


def redraw(widget: go.FigureWidget, figure: go.Figure, *, on_click: Callable[[int], Any] | None = None) -> None:
    """Puts another figure in its place. on_click: called with the `customdata` of what was clicked."""
    widget.data = ()
    widget.layout = _layout(figure)
    widget.add_traces(figure.data)
    remember(widget)
    if on_click is not None:
        clickable(widget, on_click)


def _layout(figure: go.Figure) -> go.Layout:
    layout = go.Layout(figure.layout)
    layout.update(autosize=True, template={"layout": {}})  # without one, plotly adds its own
    return layout


def remember(widget: go.FigureWidget) -> None:
    """Keeps what a page gets that opens the figure from now on: plotly itself keeps what it was made with."""
    widget._widget_data = deepcopy(widget._data)
    widget._widget_layout = deepcopy(widget._layout_obj._props)


def clickable(widget: go.FigureWidget, on_click: Callable[[int], Any]) -> None:
    """Calls `on_click` with the `customdata` of what is clicked."""

    def clicked(trace: Any, points: Any, _state: Any) -> None:
        for i in points.point_inds[:1]:
            on_click(int(trace.customdata[i]))

    for trace in widget.data:
        if trace.customdata is not None:
            trace.on_click(clicked)
