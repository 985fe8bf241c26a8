"""What the shift explorer shows: an adapter at some setting on one case, its elements by every measure."""

from __future__ import annotations

import base64
import json
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from workbench.cases import Case
from workbench.figures.core import Figure, stacked, stacked_svg
from workbench.figures.setting import linked, response, switchboard
from workbench.game import Engine
from workbench.narrative import tried
from workbench.panel import export as files
from workbench.panel.shift_view import ShiftView
from workbench.shift.dose import GRID, Answered, Settings

TRAINED = "every module on"


class ShiftShown:
    """The panel's memory and its face."""

    engine: Engine
    cases: dict[str, Case]
    elements: pd.DataFrame
    unit: str
    measures: list[str]
    view: ShiftView
    widget: widgets.VBox
    answered: Answered
    picked: int | None = None
    _settings: dict[str, Settings]

    @property
    def case(self) -> Case:
        """The case that is shown."""
        return self.cases[self.view.chooser.value]

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

    @property
    def chosen(self) -> dict[str, Any]:
        """Everything that is set, as plain JSON."""
        names = self.settings.modules
        measure = self.view.measure.value
        set_now = {"case": self.case.id, "dose": self.view.dose.value, "off": [names[k] for k in self.off]}
        return set_now | {"measure": measure, "element": self.picked}

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

    def exports(self) -> dict[str, bytes]:
        """Ending -> content: the still face as PNG and SVG, the elements as CSV, the state as JSON."""
        pictures = self.pictures()
        rows = self.rows.assign(**{c: self.rows[c].astype(str).map(files.neutral) for c in ("case", "node", "name")})
        state = json.dumps(self.chosen, indent=1, ensure_ascii=False)
        table = rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        return {
            ".png": stacked(pictures), ".svg": stacked_svg(pictures), ".csv": table.encode(), ".json": state.encode(),
        }  # fmt: skip

    def _of(self, case: Case) -> Settings:
        return self._settings.setdefault(case.id, Settings(self.engine, case, unit=self.unit))

    def _picked(self) -> str:
        return tried.picked(self.rows, self.measures, self.picked)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        live = self.widget._repr_mimebundle_() or {}
        picture = base64.b64encode(stacked(self.pictures())).decode("ascii")
        return {**live, "image/png": picture, "text/plain": self.sentences()}
