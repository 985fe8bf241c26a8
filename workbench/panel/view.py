"""The widgets of the mask panel and how they lie on the page; what they show and do is the panel's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets

from workbench.cases import Case
from workbench.explain import LEARNED
from workbench.figures.core import short
from workbench.panel.parts import Access, Chains, Graph, Held, Prompt, named
from workbench.panel.sliders import WeightSliders
from workbench.state import CHOICES

WIDE = {"width": "auto"}
HINT = "Click a node or a fact in the graph, or untick it in the prompt, to take it out or put it back."


class MaskView:
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
            options=CHOICES, value=LEARNED[-1], description="method", orientation="horizontal"
        )
        self.source, self.target = _combo("from", sources), _combo("to", targets)
        self.ask = _button("Ask", "make a case of this question: its shortest chain and distractors")
        self.recompute = _button("Recompute", "learn the masks anew, or search anew for the smallest set", primary=True)
        self.cancel = _button("Cancel", "stop the work that is running", disabled=True)
        self.progress = widgets.FloatProgress(0.0, min=0.0, max=1.0, layout=WIDE)
        self.check = _button(
            "Is this minimal?", "asks whether what is taken out flips the answer, and each member put back"
        )
        self.back = _button("Put all back", "nothing is taken out any more")
        self.again = _button("As the method", "take out what the method took out")
        self.status, self.marker, self.words, self.checked, self.carried, self.cost, self.table, self.links = (
            widgets.HTML() for _ in range(8)
        )
        self.cell, self.command, self.saved = (
            widgets.Textarea(layout={"width": "100%", "height": h}) for h in ("16em", "7em", "12em")
        )
        self.apply = _button("Apply", "take over the state that stands above")
        self.export = _button("Export", "picture, table and state as files of one name")
        self.graph, self.prompt = Held(lambda: Graph(on_toggle)), Held(lambda: Prompt(on_toggle))
        self.chains, self.access = Held(lambda: Chains(on_pick)), Held(Access)
        self.widget = self._arranged()
        self.label()

    def label(self) -> None:
        """Names and roles of everything."""
        live = {"role": "status", "aria_live": "polite"}
        parts = [
            named(
                ".wb-progress [role=progressbar], .wb-progress .progress", "progress of the work", role="progressbar"
            ),
            named(".wb-status", **live),
            named(".wb-marker", **live),
            named(".wb-words", "in words", role="region", aria_live="polite"),
            named(".wb-checked", **live),
            named(".wb-carried", **live),
            named(".wb-controls", "weights of the objective", role="region"),
            named(".wb-views", "graph, answers and prompt", role="region"),
            named(".wb-method", "method", role="radiogroup"),
            named(".wb-cell textarea", "these settings, for the parameters cell", readonly="readonly"),
            named(".wb-command textarea", "these settings, as a command", readonly="readonly"),
            named(".wb-saved textarea", "a state as JSON: copy it, or paste one and press Apply"),
        ]
        for name, text in self.weigh.tips.items():
            handle = named(f".wb-weight-{name.replace('_', '-')} .noUi-handle", f"{name}: {text}")
            shown = {"within": ".widget-slider", "select": ".widget-readout"}
            parts.append({**handle, "value": shown})
            readout = f".wb-weight-{name.replace('_', '-')} .widget-readout"
            parts.append(named(readout, f"value of {name}", role="textbox"))
            parts.append(named(f".wb-switch-{name.replace('_', '-')} input", f"term of {name} on"))
        self.access.part.parts = parts

    def say(self, text: str) -> None:
        """The status line."""
        self.status.value = escape(text[:400])

    def _arranged(self) -> widgets.VBox:
        for name, part in vars(self).items():
            if isinstance(part, widgets.DOMWidget):
                part.add_class(f"wb-{name}")
        flow = lambda *parts: widgets.HBox(parts).add_class("wb-flow")  # noqa: E731
        asked = [flow(self.source, self.target, self.ask)] if self.source.options else []
        head = [flow(self.chooser, self.method), *asked]
        work = [flow(self.recompute, self.cancel, self.weigh.undo), self.progress, self.status, self.marker]
        left = widgets.VBox([self.weigh.widget, *work, self.table]).add_class("wb-controls")
        hand = flow(self.check, self.back, self.again)
        hint = widgets.HTML(f"<p>{HINT}</p>")
        views = [self.graph, self.words, self.chains, self.carried, hint, hand, self.checked, self.prompt, self.cost]
        right = widgets.VBox(views).add_class("wb-views")
        state = widgets.VBox([self.saved, flow(self.apply, self.export), self.links])
        titles = ("state: save, load, export", "the same for the parameters cell", "the same as a command")
        more = widgets.Accordion([state, self.cell, self.command], titles=titles).add_class("wb-more")
        columns = widgets.HBox([left, right]).add_class("wb-columns")
        return widgets.VBox([self.access, *head, columns, more]).add_class("wb-panel")


def options(cases: Iterable[Case]) -> list[tuple[str, str]]:
    """Cases for a chooser: what is read, and the id."""
    out = []
    for case in cases:
        ends = (short(case.names.get(node, node), 28) for node in (case.source, case.target))
        out.append((f"{short(case.id, 24)}: {' to '.join(ends)}", case.id))
    return out


def _combo(name: str, known: Sequence[str]) -> widgets.Combobox:
    return widgets.Combobox(options=tuple(known), description=name, placeholder="type a name", ensure_option=False)


def _button(text: str, tip: str, *, primary: bool = False, disabled: bool = False) -> widgets.Button:
    return widgets.Button(
        description=text, tooltip=tip, button_style="primary" if primary else "", disabled=disabled, layout=WIDE
    )
