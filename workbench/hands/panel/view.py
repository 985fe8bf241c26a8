"""The widgets of the mask and of the shift explorer and how they lie on the page; what they show and do is theirs.

A slider for every weight of the objective is made from `TERMS`: a new term has its slider by being in the dict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets

from workbench.cases import Case
from workbench.cases.asking import Asker
from workbench.explain import CERTIFIED, PRESETS, TERMS, Weights
from workbench.figures.core import short
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel.explorer import View, button, flow
from workbench.hands.panel.parts import LIVE, USUAL, Access, Board, Chains, Graph, Held, Prompt, named, slid
from workbench.hands.panel.work import Debounced
from workbench.shift.response import HIGHEST, Settings
from workbench.shift.switches import place_words

METHODS = {"certified facts": CERTIFIED, "mask, model in the loop": "in_loop", "paper's mask": "paper"}
"""Name for a reader -> method; the one that proves what it says comes first."""
HINT = (
    "Click a node or a fact in the graph, or untick it in the prompt: it is taken out of the whole graph, and both "
    "models answer again. What is crossed out comes back with a click."
)
MARKED = "Choose an element in the list, or click it in the graph: it is marked wherever it is shown."
SWITCHES = (
    "Each module by the nats that go with it switched off alone (blue: the answer loses, orange: it gains). Press one "
    "to switch it off, again to switch it on; arrow keys walk."
)
ROOM = {"width": "min(46em, 100%)"}
OWN = "own weights"
DECADES = 2  # a slider reaches this far below and above its value at the start
STEP = 0.05  # decades of a weight, and of the dose as it is
MORE_PRESETS = {
    "structure-heavy": Weights(lambda_v=1.0, lambda_e=5.0),
    "divergence-heavy": Weights(alpha=4000.0),
    "smooth": Weights(epsilon=50.0),
}
WORDS = {
    "lambda_v": "remove few nodes λᵥ",
    "lambda_e": "remove few facts λₑ",
    "alpha": "change the answer α",
    "beta": "be decided β",
    "gamma": "leave a tool γ",
    "delta": "be 0 or 1 δ",
    "epsilon": "neighbours alike ε",
    "tau": "softness of masks τ",
}
"""Weight -> what more of it asks for; a new term goes by the name of its weight."""
TAU = "τ: temperature of the binary-concrete sample m = σ((θ + log u − log(1−u)) / τ), u uniform [no unit]"


class WeightSliders:
    """Logarithmic sliders with a switch each (off: the weight is 0), presets and a reset.

    sliders, switches: weight name -> widget; tips: formula and unit. tau has no switch. listen: called once changes of
    weights have ceased (at once where no browser is).
    """

    def __init__(self, weights: Weights, *, listen: Callable[[], None]):
        self.start = weights
        self.presets = {**PRESETS, **MORE_PRESETS}
        self.tips = {term.weight: f"{term.tooltip} [{term.unit}]" for term in TERMS.values()} | {"tau": TAU}
        values, usual = weights.to_dict(), Weights().to_dict()
        self.sliders = {name: _slider(name, values[name] or usual[name], tip) for name, tip in self.tips.items()}
        self.switches = {name: _switch(name, values[name] > 0) for name in self.sliders if name != "tau"}
        self.preset = widgets.Dropdown(options=[OWN, *self.presets], description="preset").add_class("wb-preset")
        self.undo = widgets.Button(description="Reset", tooltip="back to the weights the panel was made with")
        self.undo.add_class("wb-reset")
        off = widgets.HTML("&nbsp;", layout={"width": "24px"})
        rows = [widgets.HBox([self.switches.get(name, off), slider]) for name, slider in self.sliders.items()]
        self.widget = widgets.VBox([self.preset, *rows])
        self.changed = Debounced(listen)
        self._name_preset()
        for control in (*self.sliders.values(), *self.switches.values()):
            control.observe(lambda _: self._moved(), "value")
        self.preset.observe(lambda change: self._take(change["new"]), "value")
        self.undo.on_click(lambda _: self.reset())

    @property
    def weights(self) -> Weights:
        """The weights the sliders stand for, to 6 digits: a browser gives 10 ** log10(x), which is not quite x."""
        values = {name: float(f"{slider.value:.6g}") for name, slider in self.sliders.items()}
        off = {name: 0.0 for name, box in self.switches.items() if not box.value}
        return Weights.from_dict(values | off)

    def set(self, weights: Weights) -> None:
        """Moves every slider, widening it where it does not reach; a weight of 0 switches its term off. `listen` is
        called at once."""
        for name, value in weights.to_dict().items():
            slider = self.sliders[name]
            if name in self.switches:
                self.switches[name].value = value > 0
            if value > 0:
                low, high = _range(value)
                with slider.hold_sync():  # a browser that sees one without the other would clip the value
                    slider.min, slider.max = min(slider.min, low), max(slider.max, high)
                    slider.value = value
        self.changed.flush()

    def reset(self) -> None:
        """Back to the weights at the start."""
        self.set(self.start)

    def _take(self, preset: str) -> None:
        if preset != OWN:
            self.set(self.presets[preset])

    def _moved(self) -> None:
        self._name_preset()
        self.changed()

    def _name_preset(self) -> None:
        now = self.weights.to_dict()
        self.preset.value = next((name for name, one in self.presets.items() if one.to_dict() == now), OWN)


def _range(value: float) -> tuple[float, float]:
    """Exponents between which a slider runs; `value` itself lies on its grid of steps."""
    return math.log10(value) - DECADES, math.log10(value) + DECADES


def _slider(name: str, value: float, tip: str) -> widgets.FloatLogSlider:
    low, high = _range(value or 1.0)
    slider = widgets.FloatLogSlider(
        value or 1.0, base=10, min=low, max=high, step=STEP, description=WORDS.get(name, name), readout_format=".3g",
        tooltip=tip,
    )  # fmt: skip
    slider.style.description_width = "11em"
    return slider.add_class(f"wb-weight-{name.replace('_', '-')}")


def _switch(name: str, on: bool) -> widgets.Checkbox:
    box = widgets.Checkbox(on, indent=False, tooltip=f"{name} on or off", layout={"width": "24px"})
    return box.add_class(f"wb-switch-{name.replace('_', '-')}")


class MaskView(View):
    """Widgets by name, each with the class `wb-<name>`. `widget` is the whole."""

    def __init__(
        self,
        cases: Iterable[Case],
        weigh: WeightSliders,
        *,
        asker: Asker | None,
        on_toggle: Callable[[int], Any],
        on_pick: Callable[[str, str], Any],
    ):
        self.weigh = weigh
        self.chooser = widgets.Dropdown(options=options(cases), description="case", layout=ROOM)
        how = {"description": "method", "orientation": "horizontal"}
        self.method = widgets.RadioButtons(options=METHODS, value=CERTIFIED, **how)
        self.source = _combo("from", tuple(asker.sources) if asker else ())
        self.target = _combo("to", tuple(asker.targets) if asker else ())
        self.ask = button("Ask", "make a case of this question: its shortest chain and distractors")
        anew = "learn the masks anew, or search anew for the smallest set"
        self.recompute = button("Recompute", anew, button_style="primary")
        self.cancel = button("Cancel", "stop the work that is running", disabled=True)
        self.progress = widgets.FloatProgress(0.0, min=0.0, max=1.0, layout={"width": "auto"})
        minimal = "asks whether what is taken out flips the answer, and each member put back"
        self.check = button("Is this minimal?", minimal)
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
        bar = ".wb-progress [role=progressbar], .wb-progress .progress"
        parts = [
            *USUAL,
            named(bar, "progress of the work", role="progressbar"),
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
        asked = [flow(self.source, self.target, self.ask, self.asked)] if self.source.options else []
        work = [flow(self.method, self.recompute, self.cancel), self.progress, self.status, self.marker]
        answers = [self.chains, self.words, self.carried]
        hand = [widgets.HTML(paragraph(HINT)), flow(self.check, self.back, self.again), self.checked]
        sides = {"views": [self.graph, *hand, *work], "reading": [self.prompt, self.cost]}
        weights = widgets.VBox([self.weigh.widget, flow(self.weigh.undo), self.table]).add_class("wb-controls")
        state = widgets.VBox([self.saved, flow(self.apply, self.export, self.applied), self.links])
        drawers = {"weights of the masks": weights, "state: save, load, export": state}
        drawers |= {"the same for the parameters cell": self.cell, "the same as a command": self.command}
        return self.page([self.chooser, *asked, *answers], sides, drawers)


def options(cases: Iterable[Case]) -> list[tuple[str, str]]:
    """Cases for a chooser: what is read, and the id."""
    out = []
    for case in cases:
        ends = (short(case.names.get(node, node), 28) for node in (case.source, case.target))
        out.append((f"{short(case.id, 24)}: {' to '.join(ends)}", case.id))
    return out


def _combo(name: str, known: tuple[str, ...]) -> widgets.Combobox:
    return widgets.Combobox(options=known, description=name, placeholder="type a name", ensure_option=False)


class ShiftView(View):
    """The same of the shift explorer. measures: those that an element may be marked by."""

    def __init__(
        self,
        cases: Sequence[Case],
        measures: Sequence[str],
        *,
        on_switch: Callable[[int], Any],
        on_toggle: Callable[[int], Any],
    ):
        self.chooser = widgets.Dropdown(options=options(cases), description="case", layout=ROOM)
        self.dose = widgets.FloatSlider(
            1.0, min=0.0, max=HIGHEST, step=STEP, description="dose", readout_format=".2f", layout=ROOM,
            tooltip="factor on the adapter's update of every module: 0 the base, 1 as trained",
        )  # fmt: skip
        self.off: tuple[int, ...] = ()
        self.board = Held(lambda: Board(on_switch))
        self.trained = button("As trained", "dose 1, every module on")
        self.measure = widgets.Dropdown(options=measures, description="rims by", disabled=not measures)
        self.element = widgets.Select(options=[], rows=7, description="element", layout=ROOM)
        self.export = button("Export", "pictures, table and state as files of one name")
        self.answers, self.words, self.picked, self.response, self.measured, self.status, self.links = (
            widgets.HTML() for _ in range(7)
        )
        self.saved = widgets.Textarea(layout={"width": "100%", "height": "9em"})
        self.apply = button("Apply", "take over the state that stands above")
        self.graph, self.access = Held(lambda: Graph(on_toggle)), Held(Access)
        said, hint = widgets.HTML(paragraph(SWITCHES)), widgets.HTML(paragraph(MARKED))
        left = [self.dose, flow(self.trained), said, self.board, self.status, self.response]
        right = [self.words, self.answers, self.graph, hint, self.element, self.picked]
        state = widgets.VBox([self.saved, flow(self.apply, self.export), self.links])
        drawers = {"every element by every measure": self.measured, "state and export": state}
        self.widget = self.page([flow(self.chooser, self.measure)], {"controls": left, "views": right}, drawers)
        dose = slid("dose", "dose of the adapter: 0 the base, 1 as trained", "dose")
        self.access.part.parts = [*USUAL, named(".wb-picked", **LIVE), *dose]

    def show_switches(self, settings: Settings, off: Sequence[int]) -> None:
        """The modules with the nats that go with each; those that are off are crossed out."""
        self.off = tuple(off)
        places = [(place_words(*place), *place) for place in settings.places]
        self.board.part.show(places, settings.losses.tolist(), off)
