"""The widgets of the shift explorer and how they lie on the page; what they show and do is the panel's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np

from workbench.cases import Case
from workbench.narrative.glossary import paragraph
from workbench.panel.drawn import Graph
from workbench.panel.parts import Access, Board, Held, named
from workbench.panel.view import options
from workbench.shift.dose import HIGHEST

WIDE = {"width": "auto"}
ROOM = {"width": "min(46em, 100%)"}
STEP = 0.05  # of the dose
HINT = "Choose an element in the list, or click it in the graph: it is marked wherever it is shown."
SWITCHES = (
    "Each module by the nats that go with it switched off alone (blue: the answer loses, orange: it gains). Press one "
    "to switch it off, again to switch it on; arrow keys walk."
)


class ShiftView:
    """Widgets by name, each with the class `wb-<name>`. places: layer and projection of every module."""

    def __init__(
        self,
        cases: Iterable[Case],
        *,
        places: Sequence[tuple[int | str, str]],
        measures: Sequence[str],
        on_click: Callable[[int], Any],
        on_switch: Callable[[int], Any],
    ):
        self.places = places
        self.chooser = widgets.Dropdown(options=options(cases), description="case", layout=ROOM)
        self.dose = widgets.FloatSlider(
            1.0, min=0.0, max=HIGHEST, step=STEP, description="dose", readout_format=".2f", layout=ROOM,
            tooltip="factor on the adapter's update of every module: 0 the base, 1 as trained",
        )  # fmt: skip
        self.off: tuple[int, ...] = ()
        self.board = Held(lambda: Board(on_switch))
        self.trained = _button("As trained", "dose 1, every module on")
        self.measure = widgets.Dropdown(options=list(measures), description="rims by", disabled=not measures)
        self.element = widgets.Select(options=[], rows=7, description="element", layout=ROOM)
        self.export = _button("Export", "pictures, table and state as files of one name")
        self.answers, self.words, self.picked, self.response, self.measured, self.status, self.links = (
            widgets.HTML() for _ in range(7)
        )
        self.saved = widgets.Textarea(layout={"width": "100%", "height": "9em"})
        self.apply = _button("Apply", "take over the state that stands above")
        self.graph, self.access = Held(lambda: Graph(on_click)), Held(Access)
        self.widget = self._arranged()
        self.label()

    def show_switches(self, losses: np.ndarray, off: Sequence[int]) -> None:
        """The modules with the nats that go with each; those that are off are crossed out."""
        self.off = tuple(off)
        self.board.part.show(self.places, losses.tolist(), off=off)

    def label(self) -> None:
        """Names and roles of everything."""
        live = {"role": "status", "aria_live": "polite"}
        parts = [
            named(".wb-status", **live),
            named(".wb-words", "in words", role="region", aria_live="polite"),
            named(".wb-picked", **live),
            named(".wb-dose .widget-readout", "dose", role="textbox"),
            {
                **named(".wb-dose .noUi-handle", "dose of the adapter: 0 the base, 1 as trained"),
                "value": {"within": ".widget-slider", "select": ".widget-readout"},
            },
            named(".wb-saved textarea", "a state as JSON: copy it, or paste one and press Apply"),
        ]
        self.access.part.parts = parts

    def say(self, text: str) -> None:
        """The status line."""
        self.status.value = escape(text[:400])

    def _arranged(self) -> widgets.VBox:
        for name, part in vars(self).items():
            if isinstance(part, widgets.DOMWidget):
                part.add_class(f"wb-{name}")
        flow = lambda *parts: widgets.HBox(parts).add_class("wb-flow")  # noqa: E731
        said = widgets.HTML(paragraph(SWITCHES))
        left = [self.dose, flow(self.trained), said, self.board, self.status, self.response]
        hint = widgets.HTML(paragraph(HINT))
        right = [self.words, self.answers, self.graph, hint, self.element, self.picked]
        columns = widgets.HBox(
            [widgets.VBox(left).add_class("wb-controls"), widgets.VBox(right).add_class("wb-views")]
        ).add_class("wb-columns")
        state = widgets.VBox([self.saved, flow(self.apply, self.export), self.links])
        more = widgets.Accordion([self.measured, state], titles=("every element by every measure", "state and export"))
        return widgets.VBox([self.access, flow(self.chooser, self.measure), columns, more]).add_class("wb-panel")


def _button(text: str, tip: str) -> widgets.Button:
    return widgets.Button(description=text, tooltip=tip, layout=WIDE)
