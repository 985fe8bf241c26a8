"""The widgets of the shift explorer and how they lie on the page; what they show and do is the panel's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np

from workbench.cases import Case
from workbench.panel.parts import Access, Graph, Held, named
from workbench.panel.view import options
from workbench.shift.setting import HIGHEST

WIDE = {"width": "auto"}
ROOM = {"width": "min(46em, 100%)"}
STEP = 0.05  # of the dose
BLOCKS = 4  # of the module with which most goes
HINT = "Choose an element in the list, or click it in the graph: it is marked wherever it is shown."
SWITCHES = (
    "Each module with the nats that go with it switched off alone. Press one to switch it off, again to switch it on."
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
    ):
        self.places = places
        self.chooser = widgets.Dropdown(options=options(cases), description="case", layout=ROOM)
        self.dose = widgets.FloatSlider(
            1.0, min=0.0, max=HIGHEST, step=STEP, description="dose", readout_format=".2f", layout=ROOM,
            tooltip="factor on the adapter's update of every module: 0 the base, 1 as trained",
        )  # fmt: skip
        self.switches = [
            widgets.ToggleButton(False, description="", layout={"width": "auto", "min_width": "4.5em"}) for _ in places
        ]
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

    def show_switches(self, losses: np.ndarray, off: Sequence[int]) -> None:
        """Numbers and names of the modules' buttons; the more goes with a module, the more blocks behind its number."""
        top = float(np.abs(losses).max()) or 1.0
        for k, (button, loss) in enumerate(zip(self.switches, losses, strict=True)):
            blocks = "▮" * round(BLOCKS * abs(float(loss)) / top)
            button.description = "✕ off" if k in off else f"{loss:+.2g} {blocks}".replace("-", "−").strip()
            layer, name = self.places[k]
            button.tooltip = f"layer {layer}, {name}: {loss:+.3g} nats go with it alone"
        self.label(losses, off)

    def label(self, losses: np.ndarray, off: Sequence[int]) -> None:
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
        for k, (layer, name) in enumerate(self.places):
            said = f"layer {layer}, {name}, {'off' if k in off else 'on'}: {losses[k]:+.3g} nats go with it alone"
            parts.append(named(f".wb-module-{k}", said, aria_pressed=str(k in off).lower()))
        self.access.part.parts = parts

    def say(self, text: str) -> None:
        """The status line."""
        self.status.value = escape(text[:400])

    def _arranged(self) -> widgets.VBox:
        for name, part in vars(self).items():
            if isinstance(part, widgets.DOMWidget):
                part.add_class(f"wb-{name}")
        flow = lambda *parts: widgets.HBox(parts).add_class("wb-flow")  # noqa: E731
        said = widgets.HTML(f"<p>{SWITCHES}</p>")
        left = [self.dose, flow(self.trained), said, self._board(), self.status, self.response]
        right = [self.words, self.answers, self.graph, widgets.HTML(f"<p>{HINT}</p>"), self.element, self.picked]
        columns = widgets.HBox(
            [widgets.VBox(left).add_class("wb-controls"), widgets.VBox(right).add_class("wb-views")]
        ).add_class("wb-columns")
        state = widgets.VBox([self.saved, flow(self.apply, self.export), self.links])
        more = widgets.Accordion([self.measured, state], titles=("every element by every measure", "state and export"))
        return widgets.VBox([self.access, flow(self.chooser, self.measure), columns, more]).add_class("wb-panel")

    def _board(self) -> widgets.GridBox:
        """The buttons as a map: a row a projection, a column a layer."""
        layers = sorted({layer for layer, _ in self.places})
        projections = list(dict.fromkeys(name for _, name in self.places))
        place = {key: k for k, key in enumerate(self.places)}
        cells: list[widgets.Widget] = [widgets.HTML(), *(widgets.HTML(f"layer {layer}") for layer in layers)]
        for name in projections:
            cells.append(widgets.HTML(escape(name)))
            for layer in layers:
                k = place.get((layer, name))
                cells.append(widgets.HTML() if k is None else self.switches[k].add_class(f"wb-module-{k}"))
        columns = f"auto repeat({len(layers)}, minmax(4.5em, 1fr))"
        return widgets.GridBox(cells, layout={"grid_template_columns": columns, "overflow": "auto"})


def _button(text: str, tip: str) -> widgets.Button:
    return widgets.Button(description=text, tooltip=tip, layout=WIDE)
