"""The shift explorer: the adapter at any dose, with any modules off, and its elements by mask, attention and shift.

The answer and its margin follow the slider and the switches; an element chosen once is marked in graph, list, table and
picture. By code: `select`, `set`, `pick`, `state`, `export`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.cases import Case, Fact
from workbench.figures.case_graph import drawing
from workbench.game import Engine
from workbench.hands.narrative import tried
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel.shift_view import ShiftShown, ShiftView
from workbench.hands.panel.tables import answer_table, curve_svg, element_table
from workbench.hands.panel.work import Debounced, Job, Worker
from workbench.shift.dose import GRID, Answered, Settings
from workbench.shift.elements import element_rows, measures_of


class ShiftPanel(ShiftShown):
    """Explores one case at a time. In JupyterLab the live `widget` is shown, everywhere else its still picture.

    elements: rows of `workbench.shift.with_measures` of these cases; None: nothing is known of their elements. unit:
    what the switches are of, `module`, or `layer` or `projection` where modules are too many. folder: where exports go;
    None: they are links only. ValueError: the model has no adapter, or there is no case.
    """

    def __init__(
        self,
        engine: Engine,
        cases: Sequence[Case],
        *,
        elements: pd.DataFrame | None = None,
        unit: str = "module",
        folder: str | os.PathLike[str] | None = None,
    ):
        if not cases:
            raise ValueError("the shift explorer needs one case or more")
        self.engine, self.unit, self.folder = engine, unit, None if folder is None else Path(folder)
        self.cases = {case.id: case for case in cases}
        self.elements = element_rows(cases) if elements is None else elements
        self.measures = measures_of(self.elements)
        self._settings: dict[str, Settings] = {}
        self.worker = Worker()
        self.view = ShiftView(
            cases,
            places=self._of(cases[0]).places,
            measures=self.measures,
            on_click=self._clicked,
            on_switch=self._switched,
        )
        self.widget = self.view.widget
        self._moved = Debounced(self._ask)
        self._wire()
        self.select(cases[0].id)

    def select(self, case: str) -> Answered:
        """Shows another case, by its id. ValueError: there is none."""
        with self.quietly():
            self.view.chooser.value = self.known(case).id
        return self._opened()

    def set(self, dose: float | None = None, *, off: Collection[int] | None = None) -> Answered:
        """Sets dose and switches (numbers of modules), and asks the model. ValueError: a dose beyond the slider."""
        slider = self.view.dose
        if dose is not None and not slider.min <= dose <= slider.max:
            raise ValueError(f"the dose must lie in {slider.min:g} to {slider.max:g}, not {dose!r}")
        gone = self.off if off is None else off
        found = self.settings.at(slider.value if dose is None else dose, gone)

        with self.quietly():
            slider.value = found.dose
        self._show(found)
        return found

    def know(self, elements: pd.DataFrame) -> None:
        """Takes rows of `workbench.shift.with_measures` that were not there when the panel was made."""
        self.elements, self.measures = elements, measures_of(elements)
        measure, first = self.view.measure, next(iter(self.measures), None)
        with self.quietly():
            measure.options = self.measures
            measure.value = first
        measure.disabled = not self.measures
        self._mark()

    def pick(self, element: int | str | Fact | None) -> None:
        """Marks an element of the case, by its number or itself, wherever it is shown. ValueError: it has none such."""
        if element is not None and not isinstance(element, int):
            if element not in self.case.elements:
                raise ValueError(f"case {self.case.id!r} shows no element {element!r}")
            element = self.case.elements.index(element)
        if element is not None and not 0 <= element < len(self.case.elements):
            raise ValueError(f"elements are numbered 0 to {len(self.case.elements) - 1}, not {element!r}")
        self.picked = element
        with self.quietly():
            self.view.element.value = element
        self._mark()

    @property
    def state(self) -> dict[str, Any]:
        """Everything that is set, as plain JSON; assign it to come back to it."""
        view, names = self.view, self.settings.modules
        set_now = {"case": self.case.id, "dose": view.dose.value, "off": [names[k] for k in self.off]}
        return set_now | {"measure": view.measure.value, "element": self.picked}

    @state.setter
    def state(self, given: Mapping[str, Any]) -> None:
        told = {**self.state, **given}
        if unknown := sorted(set(told) - set(self.state)):
            raise ValueError(f"a state has {', '.join(self.state)}, not {unknown[0][:80]!r}")
        names = self.settings.modules
        if missing := [name for name in told["off"] if name not in names]:
            raise ValueError(f"the adapter has no module {missing[0][:80]!r}")
        self.select(told["case"])
        with self.quietly():
            self.view.measure.value = told["measure"]
        self.set(told["dose"], off=[names.index(name) for name in told["off"]])
        self.pick(told["element"])

    def _wire(self) -> None:
        view = self.view
        view.chooser.observe(lambda _: None if self.still else self._opened(), "value")
        view.dose.observe(lambda _: None if self.still else self._moved(), "value")
        view.measure.observe(lambda _: None if self.still else self._mark(), "value")
        view.element.observe(lambda change: None if self.still else self.pick(change["new"]), "value")
        view.trained.on_click(lambda _: self.guarded(lambda: self.set(1.0, off=())))
        view.apply.on_click(lambda _: self.guarded(self._applied))
        view.export.on_click(lambda _: self.guarded(lambda: self.offer(self.case.id, f"dose-{view.dose.value:g}")))

    def _ask(self) -> None:
        """The model's answer to what is set now; the panel stays free meanwhile."""
        settings, dose, off = self.settings, self.view.dose.value, self.off
        self.view.say("asking")

        def work(job: Job) -> Answered:
            found = settings.at(dose, off)
            settings.curve(off)
            return found

        self.worker.run("ask", work, done=self._show, failed=self.failed)

    def _applied(self) -> None:
        self.state = json.loads(self.view.saved.value)

    def _switched(self, k: int) -> None:
        """A module was pressed: its cell changes at once, the answer follows."""
        if 0 <= k < len(self.settings.modules):
            off = set(self.off) ^ {k}
            self.view.show_switches(self.settings.losses, sorted(off))
            self._moved()

    def _clicked(self, key: int) -> None:
        if 0 <= key < len(self.case.elements):
            self.pick(key)

    def _opened(self) -> Answered:
        """Another case: everything anew, the setting stays."""
        names = self.rows.set_index("element")["name"]
        listed = [(str(names.get(k, k)), k) for k in range(len(self.case.elements))]
        self.picked = None
        with self.quietly():
            self.view.element.options, self.view.element.value = listed, None
        found = self.settings.at(self.view.dose.value, self.off)
        self._show(found)
        self._mark()
        return found

    def _show(self, found: Answered) -> None:
        self.answered, view, settings = found, self.view, self.settings
        view.show_switches(settings.losses, found.off)
        view.words.value = paragraph(tried.setting(settings, found))
        view.answers.value = answer_table(settings, found)
        view.response.value = curve_svg(
            GRID, self.curves(), dose=found.dose, value=found.value, alt=tried.setting(settings, found)
        )
        view.saved.value = json.dumps(self.state, ensure_ascii=False)
        view.say("")

    def _mark(self) -> None:
        """The picked element in graph and table; rims by the chosen measure."""
        view, case, measure = self.view, self.case, self.view.measure.value
        values = self.rows.set_index("element")[measure] if measure else pd.Series(dtype=float)
        degrees = np.nan_to_num(np.array([float(values.get(k, 0.0)) for k in range(len(case.nodes))]))
        spots, links = drawing(case)
        title = f"{case.id}: rims by {measure}" if measure else case.id
        strong = {link.key for link, fact in zip(links, case.facts, strict=True) if fact in case.needed}
        view.graph.part.show(
            spots, links, title=title, alt=self.sentences(), strong=strong, picked=self.picked,
            degrees=dict(enumerate((degrees / (float(np.abs(degrees).max(initial=0)) or 1.0)).tolist())),
        )  # fmt: skip
        view.picked.value = paragraph(self._picked())
        view.measured.value = element_table(self.rows, self.measures, picked=self.picked)
        view.saved.value = json.dumps(self.state, ensure_ascii=False)
