"""The widgets of the shift explorer, how they lie on the page, and what they show; what they do is the panel's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from workbench.cases import Case
from workbench.figures.core import Figure
from workbench.figures.dose import linked, response, switchboard
from workbench.game import Engine
from workbench.hands.narrative import tried
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel import export as files
from workbench.hands.panel.drawn import Graph
from workbench.hands.panel.parts import LIVE, USUAL, Access, Board, Held, View, button, flow, named, slid
from workbench.hands.panel.view import options
from workbench.shift.dose import GRID, HIGHEST, Answered, Settings

ROOM = {"width": "min(46em, 100%)"}
STEP = 0.05  # of the dose
HINT = "Choose an element in the list, or click it in the graph: it is marked wherever it is shown."
SWITCHES = (
    "Each module by the nats that go with it switched off alone (blue: the answer loses, orange: it gains). Press one "
    "to switch it off, again to switch it on; arrow keys walk."
)
TRAINED = "every module on"


class ShiftView(View):
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
        self.trained = button("As trained", "dose 1, every module on")
        self.measure = widgets.Dropdown(options=list(measures), description="rims by", disabled=not measures)
        self.element = widgets.Select(options=[], rows=7, description="element", layout=ROOM)
        self.export = button("Export", "pictures, table and state as files of one name")
        self.answers, self.words, self.picked, self.response, self.measured, self.status, self.links = (
            widgets.HTML() for _ in range(7)
        )
        self.saved = widgets.Textarea(layout={"width": "100%", "height": "9em"})
        self.apply = button("Apply", "take over the state that stands above")
        self.graph, self.access = Held(lambda: Graph(on_click)), Held(Access)
        self.widget = self._arranged()
        self.label()

    def show_switches(self, losses: np.ndarray, off: Sequence[int]) -> None:
        """The modules with the nats that go with each; those that are off are crossed out."""
        self.off = tuple(off)
        self.board.part.show(self.places, losses.tolist(), off=off)

    def label(self) -> None:
        """Names and roles of everything."""
        dose = slid("dose", "dose of the adapter: 0 the base, 1 as trained", "dose")
        self.access.part.parts = [*USUAL, named(".wb-picked", **LIVE), *dose]

    def _arranged(self) -> widgets.VBox:
        self.mark()
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


class ShiftShown(files.CaseExplorer):
    """The panel's memory and its face."""

    engine: Engine
    elements: pd.DataFrame
    unit: str
    measures: list[str]
    view: ShiftView
    widget: widgets.VBox
    answered: Answered
    picked: int | None = None
    _settings: dict[str, Settings]

    @property
    def settings(self) -> Settings:
        """Doses and switches of the shown case."""
        return self._of(self.case)

    @property
    def off(self) -> tuple[int, ...]:
        """Numbers of the modules that are switched off."""
        return self.view.off

    @property
    def rows(self) -> pd.DataFrame:
        """What is known of the shown case's elements."""
        return self.elements[self.elements["case"] == self.case.id]

    def curves(self) -> dict[str, np.ndarray]:
        """Series -> values (doses of `GRID`,): with every module on, and with those off that are off now."""
        off = self.answered.off
        return {TRAINED: self.settings.curve()} | ({f"{len(off)} off": self.settings.curve(off)} if off else {})

    def response(self) -> Figure:
        """The value over the doses, with the one that is set."""
        found = self.answered
        return response(GRID, self.curves(), dose=found.dose, value=found.value, form=self.settings.form)

    def sentences(self) -> str:
        """What is shown, in words."""
        return f"{tried.setting(self.settings, self.answered)} {self._picked()}".strip()

    def pictures(self) -> list[Figure]:
        """The still face: value over doses, switches, and the picked element (or the nodes) by every measure."""
        settings, found = self.settings, self.answered
        out = [self.response(), switchboard(settings.losses, settings.places, off=found.off)]
        if self.measures and len(self.rows):
            fact = self.picked is not None and self.picked >= len(self.case.nodes)
            first = self.view.measure.value
            order = [first, *(name for name in self.measures if name != first)]
            out.append(linked(self.rows[self.rows["kind"] == ("fact" if fact else "node")], order, picked=self.picked))
        return out

    def table(self) -> str:
        """The elements by every measure, as CSV."""
        rows = self.rows.assign(**{c: self.rows[c].astype(str).map(files.neutral) for c in ("case", "node", "name")})
        return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")

    def _of(self, case: Case) -> Settings:
        return self._settings.setdefault(case.id, Settings(self.engine, case, unit=self.unit))

    def _picked(self) -> str:
        return tried.picked(self.rows, self.measures, self.picked)
