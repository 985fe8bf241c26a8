"""The shift explorer: the adapter at any dose, with any modules off, and its elements by mask, attention and shift.

The answer and its margin follow the slider and the switches; an element chosen once is marked in graph, list, table and
picture. By code: `select`, `set`, `pick`, `state`, `export`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from workbench.artifacts.files import neutral
from workbench.cases import Case, Fact, aligned
from workbench.figures.case_graph import drawing
from workbench.figures.core import Figure
from workbench.figures.dose import linked, response, switchboard
from workbench.game import Engine
from workbench.hands.narrative import tried
from workbench.hands.narrative.names import clean, paragraph
from workbench.hands.panel.explorer import CaseExplorer, curve_svg, table
from workbench.hands.panel.view import ShiftView
from workbench.hands.panel.work import Debounced, Job, Worker
from workbench.shift.element_measures import element_rows, measures_of
from workbench.shift.response import GRID, Answered, Settings

TRAINED = "every module on"


class ShiftPanel(CaseExplorer):
    """Explores one case at a time. In JupyterLab the live `widget` is shown, everywhere else its still picture.

    elements: rows of `workbench.shift.with_measures` of these cases; None: nothing is known of their elements. unit:
    what the switches are of, `module`, or `layer` or `projection` where modules are too many. folder: where exports go;
    None: they are links only. ValueError: the model has no adapter, or there is no case.
    """

    answered: Answered
    picked: int | None = None

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
        self.engine, self.unit = engine, unit
        self.cases = {case.id: case for case in cases}
        self.elements = element_rows(cases) if elements is None else elements
        self.measures = measures_of(self.elements)
        self._settings: dict[str, Settings] = {}
        self.worker = Worker()
        view = ShiftView(cases, self.measures, on_switch=self._switched, on_toggle=self._clicked)
        super().__init__(view, folder)
        self._moved = Debounced(self._ask)
        self._wire()
        self.select(cases[0].id)

    def select(self, case: str) -> Answered:
        """Shows another case, by its id. ValueError: there is none."""
        self.put(chooser=self.known(case).id)
        return self._opened()

    def set(self, dose: float | None = None, *, off: Collection[int] | None = None) -> Answered:
        """Sets dose and switches (numbers of modules), and asks the model. ValueError: a dose beyond the slider."""
        slider = self.view.dose
        if dose is not None and not slider.min <= dose <= slider.max:
            raise ValueError(f"the dose must lie in {slider.min:g} to {slider.max:g}, not {dose!r}")
        found = self.settings.at(slider.value if dose is None else dose, self.off if off is None else off)
        self.put(dose=found.dose)
        self._show(found)
        return found

    def know(self, elements: pd.DataFrame) -> None:
        """Takes rows of `workbench.shift.with_measures` that were not there when the panel was made."""
        self.elements, self.measures = elements, measures_of(elements)
        measure = self.view.measure
        with self.quietly():
            measure.options = self.measures
            measure.value = next(iter(self.measures), None)
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
        self.put(element=element)
        self._mark()

    @property
    def state(self) -> dict[str, Any]:
        """Everything that is set, as plain JSON; assign it to come back to it."""
        view, names = self.view, self.settings.play.names
        set_now = {"case": self.case.id, "dose": view.dose.value, "off": [names[k] for k in self.off]}
        return set_now | {"measure": view.measure.value, "element": self.picked}

    @state.setter
    def state(self, given: Mapping[str, Any]) -> None:
        told = self.merged(given)
        names = self.settings.play.names
        if missing := [name for name in told["off"] if name not in names]:
            raise ValueError(f"the adapter has no module {missing[0][:80]!r}")
        self.select(told["case"])
        self.put(measure=told["measure"])
        self.set(told["dose"], off=[names.index(name) for name in told["off"]])
        self.pick(told["element"])

    def _wire(self) -> None:
        view = self.view
        self.follow(lambda _: self._opened(), view.chooser)
        self.follow(lambda _: self._moved(), view.dose)
        self.follow(lambda _: self._mark(), view.measure)
        self.follow(self.pick, view.element)
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

        def done(found: Answered) -> None:
            if (self.settings, self.view.dose.value, self.off) == (settings, dose, off):
                self._show(found)

        self.worker.run("ask", work, done=done, failed=self.failed)

    def _applied(self) -> None:
        self.state = json.loads(self.view.saved.value)

    def _switched(self, k: int) -> None:
        """A module was pressed: its cell changes at once, the answer follows."""
        if 0 <= k < self.settings.play.n:
            self.view.show_switches(self.settings, sorted(set(self.off) ^ {k}))
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
        view.show_switches(settings, found.off)
        told = tried.setting(settings, found)
        view.words.value = paragraph(told)
        view.answers.value = answer_table(settings, found)
        view.response.value = curve_svg(GRID, self.curves(), dose=found.dose, value=found.value, alt=told)
        view.saved.value = json.dumps(self.state, ensure_ascii=False)
        view.say("")

    def _mark(self) -> None:
        """The picked element in graph and table; rims by the chosen measure."""
        view, case, measure = self.view, self.case, self.view.measure.value
        values = self.rows.set_index("element")[measure] if measure else pd.Series(dtype=float)
        degrees = np.nan_to_num(np.array([float(values.get(k, 0.0)) for k in range(len(case.nodes))]))
        spots, links = drawing(case)
        title = f"{case.id}: rims by {measure}" if measure else case.id
        view.graph.part.show(
            spots, links, title=title, alt=self.sentences(), picked=self.picked,
            degrees=dict(enumerate((degrees / (float(np.abs(degrees).max(initial=0)) or 1.0)).tolist())),
        )  # fmt: skip
        view.picked.value = paragraph(tried.picked(self.rows, self.measures, self.picked))
        view.measured.value = element_table(self.rows, self.measures, picked=self.picked)
        view.saved.value = json.dumps(self.state, ensure_ascii=False)

    @property
    def settings(self) -> Settings:
        """Doses and switches of the shown case."""
        return self._settings.setdefault(self.case.id, Settings(self.engine, self.case, unit=self.unit))

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

    def sentences(self) -> str:
        """What is shown, in words."""
        told = tried.setting(self.settings, self.answered)
        return f"{told} {tried.picked(self.rows, self.measures, self.picked)}".strip()

    def pictures(self) -> list[Figure]:
        """The still face: value over doses, switches, and the picked element (or the nodes) by every measure."""
        settings, found = self.settings, self.answered
        how: dict[str, Any] = {"dose": found.dose, "value": found.value, "form": settings.game.form}
        out = [response(GRID, self.curves(), **how), switchboard(settings.losses, settings.places, off=found.off)]
        if self.measures and len(self.rows):
            fact = self.picked is not None and self.picked >= len(self.case.nodes)
            first = self.view.measure.value
            order = [first, *(name for name in self.measures if name != first)]
            out.append(linked(self.rows[self.rows["kind"] == ("fact" if fact else "node")], order, picked=self.picked))
        return out

    def table(self) -> str:
        """The elements by every measure, as CSV."""
        rows = self.rows.assign(**{c: self.rows[c].astype(str).map(neutral) for c in ("case", "node", "name")})
        return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def answer_table(settings: Settings, found: Answered) -> str:
    """The right answer, the one as trained, the one at this setting, command by command; what is new has `+` in front,
    what is gone `−`. Names are escaped."""
    names, trained = settings.engine.lm.names, settings.at().toolchain
    signs = {"": "", "new": "+ ", "lost": "− "}
    told = {
        "right answer": [(node, "") for node in settings.case.toolchain],
        "as trained": [(node, "") for node in trained],
        "as set": aligned(trained, found.toolchain),
    }
    rows = []
    for name, steps in told.items():
        said = " → ".join(f"{signs[mark]}{clean(names.get(node, node))}" for node, mark in steps) or "no command"
        rows.append(f'<tr><th scope="row">{name}</th><td>{escape(said)}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def element_table(rows: pd.DataFrame, measures: Sequence[str], *, picked: int | None) -> str:
    """Every element by every measure as an HTML table; the picked one is bold and has an arrow. Names are escaped."""
    body = []
    for row in rows.to_dict("records"):
        name = escape(clean(str(row["name"])))
        body.append([f"▶ <b>{name}</b>" if row["element"] == picked else name, *(f"{row[m]:.3g}" for m in measures)])
    return table(body, ("element", *map(escape, measures)))
