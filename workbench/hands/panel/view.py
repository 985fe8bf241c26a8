"""The widgets of the mask panel and how they lie on the page; what they show and do is the panel's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets

from workbench.artifacts.state import CHOICES
from workbench.cases import Case
from workbench.explain import CERTIFIED
from workbench.figures.core import short
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel.drawn import Graph
from workbench.hands.panel.parts import LIVE, USUAL, Access, Chains, Held, Prompt, View, button, flow, named, slid
from workbench.hands.panel.sliders import WeightSliders

METHODS = {
    method: said
    for method, said in (
        ("certified", "certified facts"),
        ("in_loop", "mask, model in the loop"),
        ("paper", "paper's mask"),
    )
    if method in CHOICES
}
"""Method -> its name for a reader; the one that proves what it says comes first."""
DRAWERS = (
    "weights of the masks",
    "state: save, load, export",
    "the same for the parameters cell",
    "the same as a command",
)
HINT = (
    "Click a node or a fact in the graph, or untick it in the prompt: it is taken out of the whole graph, and both "
    "models answer again. What is crossed out comes back with a click."
)


class MaskView(View):
    """Widgets by name, each with the class `wb-<name>`. `widget` is the whole."""

    def __init__(
        self,
        cases: Iterable[Case],
        weigh: WeightSliders,
        *,
        sources: Sequence[str] = (),
        targets: Sequence[str] = (),
        on_toggle: Callable[[int], Any],
        on_pick: Callable[[str, str], Any],
    ):
        self.weigh = weigh
        self.chooser = widgets.Dropdown(options=options(cases), description="case", layout={"width": "min(46em, 100%)"})
        self.method = widgets.RadioButtons(
            options=[(said, method) for method, said in METHODS.items()],
            value=CERTIFIED,
            description="method",
            orientation="horizontal",
        )
        self.source, self.target = _combo("from", sources), _combo("to", targets)
        self.ask = button("Ask", "make a case of this question: its shortest chain and distractors")
        anew = "learn the masks anew, or search anew for the smallest set"
        self.recompute = button("Recompute", anew, button_style="primary")
        self.cancel = button("Cancel", "stop the work that is running", disabled=True)
        self.progress = widgets.FloatProgress(0.0, min=0.0, max=1.0, layout={"width": "auto"})
        self.check = button(
            "Is this minimal?", "asks whether what is taken out flips the answer, and each member put back"
        )
        self.back = button("Put all back", "nothing is taken out any more")
        self.again = button("As the method", "take out what the method took out")
        self.status, self.marker, self.words, self.checked, self.carried, self.cost, self.table, self.links = (
            widgets.HTML() for _ in range(8)
        )
        self.asked, self.applied = widgets.HTML(), widgets.HTML()  # what is said beside their buttons
        self.cell, self.command, self.saved = (
            widgets.Textarea(layout={"width": "100%", "height": h}) for h in ("16em", "7em", "12em")
        )
        self.told = ""  # the state that was last written above: what differs was pasted by somebody
        self.apply = button("Apply", "take over the state that stands above")
        self.export = button("Export", "picture, table and state as files of one name")
        self.graph, self.prompt = Held(lambda: Graph(on_toggle)), Held(lambda: Prompt(on_toggle))
        self.chains, self.access = Held(lambda: Chains(on_pick)), Held(Access)
        self.widget = self._arranged()
        self.label()

    def busy(self) -> None:
        """Masks are learned, or a set is searched for."""
        self.recompute.disabled, self.recompute.description, self.cancel.disabled = True, "running", False
        self.progress.value, self.progress.bar_style = 0.0, ""
        self.say(f"running: {self.method.value}")

    def idle(self, style: str) -> None:
        """It has ended: with `success`, a `warning` or a `danger`."""
        self.recompute.disabled, self.recompute.description, self.cancel.disabled = False, "Recompute", True
        self.progress.value, self.progress.bar_style = 1.0 if style == "success" else 0.0, style

    def label(self) -> None:
        """Names and roles of everything."""
        parts = [
            *USUAL,
            named(
                ".wb-progress [role=progressbar], .wb-progress .progress", "progress of the work", role="progressbar"
            ),
            *(named(f".wb-{name}", **LIVE) for name in ("asked", "applied", "marker", "checked", "carried")),
            named(".wb-controls", "weights of the objective", role="region"),
            named(".wb-views", "graph, answers and prompt", role="region"),
            named(".wb-method", "method", role="radiogroup"),
            named(".wb-cell textarea", "these settings, for the parameters cell", readonly="readonly"),
            named(".wb-command textarea", "these settings, as a command", readonly="readonly"),
        ]
        for name, text in self.weigh.tips.items():
            own = name.replace("_", "-")
            parts += slid(f"weight-{own}", f"{name}: {text}", f"value of {name}")
            parts.append(named(f".wb-switch-{own} input", f"term of {name} on"))
        self.access.part.parts = parts

    def _arranged(self) -> widgets.VBox:
        self.mark()
        asked = [flow(self.source, self.target, self.ask, self.asked)] if self.source.options else []
        work = [flow(self.method, self.recompute, self.cancel), self.progress, self.status, self.marker]
        answers = [self.chains, self.words, self.carried]
        hand = [widgets.HTML(paragraph(HINT)), flow(self.check, self.back, self.again), self.checked]
        left = widgets.VBox([self.graph, *hand, *work]).add_class("wb-views")
        right = widgets.VBox([self.prompt, self.cost]).add_class("wb-reading")
        columns = widgets.HBox([left, right]).add_class("wb-columns")
        weights = widgets.VBox([self.weigh.widget, flow(self.weigh.undo), self.table]).add_class("wb-controls")
        state = widgets.VBox([self.saved, flow(self.apply, self.export, self.applied), self.links])
        more = widgets.Accordion([weights, state, self.cell, self.command], titles=DRAWERS).add_class("wb-more")
        return widgets.VBox([self.access, self.chooser, *asked, *answers, columns, more]).add_class("wb-panel")


def options(cases: Iterable[Case]) -> list[tuple[str, str]]:
    """Cases for a chooser: what is read, and the id."""
    out = []
    for case in cases:
        ends = (short(case.names.get(node, node), 28) for node in (case.source, case.target))
        out.append((f"{short(case.id, 24)}: {' to '.join(ends)}", case.id))
    return out


def _combo(name: str, known: Sequence[str]) -> widgets.Combobox:
    return widgets.Combobox(options=tuple(known), description=name, placeholder="type a name", ensure_option=False)
