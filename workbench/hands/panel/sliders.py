"""A slider for every weight of the objective, made from `TERMS`: a new term has its slider by being in the dict."""

from __future__ import annotations

import math
from collections.abc import Callable

import ipywidgets as widgets

from workbench.explain import PRESETS, TERMS, Weights
from workbench.hands.panel.work import Debounced

OWN = "own weights"
DECADES = 2  # a slider reaches this far below and above its value at the start
STEP = 0.05  # decades
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
    weights have ceased (at once where no browser is); `settle` does it now.
    """

    def __init__(self, weights: Weights, *, listen: Callable[[], None]):
        self.start = weights
        self.presets = {**PRESETS, **MORE_PRESETS}
        tips = {term.weight: (term.default, f"{term.tooltip} [{term.unit}]") for term in TERMS.values()}
        tips["tau"] = (Weights().tau, TAU)
        values = weights.to_dict()
        self.tips = {name: tip for name, (_, tip) in tips.items()}
        self.sliders = {name: _slider(name, values[name] or default, tip) for name, (default, tip) in tips.items()}
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
        """Moves every slider, widening it where it does not reach; a weight of 0 switches its term off."""
        for name, value in weights.to_dict().items():
            slider = self.sliders[name]
            if name in self.switches:
                self.switches[name].value = value > 0
            if value > 0:
                low, high = _range(value)
                with slider.hold_sync():  # a browser that sees one without the other would clip the value
                    slider.min, slider.max = min(slider.min, low), max(slider.max, high)
                    slider.value = value

    def settle(self) -> None:
        """Does now what waits for the changes to cease."""
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
