"""What the mask panel shows: a case, its explanation, what is taken out, the answers; alive and as a still face."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from workbench.explain import CERTIFIED, ExplainConfig, Explanation, Weights, contributions
from workbench.explain.counterfactual import Element
from workbench.explain.trial import Carriers, Check, Outcome, Trial
from workbench.figures.case_graph import answers, case_graph, drawing, prompt
from workbench.figures.core import Figure
from workbench.figures.learning import added as decades
from workbench.figures.learning import balance
from workbench.game import Engine
from workbench.hands.narrative import explained, tried
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel.explorer import CaseExplorer, element_table, table
from workbench.hands.panel.view import MaskView, WeightSliders

NOTHING_YET = "Both models are asked."
BAR = 100  # units of a bar's picture
OTHERWISE = "● what is shown was learned with other settings"


class Shown(CaseExplorer):
    """The panel's memory and its face."""

    engine: Engine
    results: dict[tuple[str, str], Explanation]
    config: ExplainConfig
    seed: int
    withheld: float
    weigh: WeightSliders
    view: MaskView
    by_hand: tuple[Element, ...] | None = None
    outcome: Outcome | None = None
    carriers: Carriers | None = None
    _trials: dict[str, Trial]

    @property
    def weights(self) -> Weights:
        """The weights the sliders stand for."""
        return self.weigh.weights

    @property
    def explanation(self) -> Explanation | None:
        """The last result for the shown case and method."""
        return self.results.get((self.case.id, self.view.method.value))

    @property
    def degrees(self) -> tuple[float, ...] | None:
        """The degrees of removal of that result, in the order of `case.elements`."""
        return self.explanation.degrees if self.explanation else None

    @property
    def removed(self) -> tuple[Element, ...]:
        """What is taken out: by hand, else by the method."""
        if self.by_hand is not None:
            return self.by_hand
        return self.explanation.removed if self.explanation else ()

    def toggled(self, one: Element) -> tuple[Element, ...]:
        """What is taken out once this is clicked: it comes back if it was out. By hand begins with the whole graph: it
        does not join a method's removals."""
        if one in self.removed:
            return tuple(e for e in self.removed if e != one)
        return (*(self.by_hand or ()), one)

    @property
    def stale(self) -> bool:
        """Whether what is shown was learned with other settings than are set now, or not at all."""
        found = self.explanation
        if found is None:
            return True
        if found.method == CERTIFIED:
            return False
        steps = self.config.paper_steps if found.method == "paper" else self.config.loop_steps
        return (dict(found.weights), found.seed, len(found.history)) != (self.weights.to_dict(), self.seed, steps)

    @property
    def trial(self) -> Trial:
        """Removals by hand on the shown case."""
        fresh = Trial(self.engine, self.case, max_new_tokens=self.config.max_new_tokens)
        return self._trials.setdefault(self.case.id, fresh)

    @property
    def toolchains(self) -> dict[str, tuple[str, ...]]:
        """The answers that are shown, `trial.ROWS` -> commands; empty before there are any."""
        if self.outcome:
            return self.outcome.toolchains
        found = self.explanation
        return dict(found.toolchains) if found and self.by_hand is None else {}

    def sentences(self) -> str:
        """What is shown, in words."""
        if self.outcome:
            return tried.outcome(self.outcome, self.engine.lm.names)
        if self.by_hand is not None:
            return explained.removal(self.case, self.by_hand)
        return explained.explanation(self.explanation, self.engine.lm.names) if self.explanation else NOTHING_YET

    def pictures(self) -> list[Figure]:
        """The still face, figure by figure: graph, answers, prompt, and the terms once there are any."""
        case, found, lm = self.case, self.explanation, self.engine.lm
        out = [self.figure]
        if self.toolchains:
            out.append(answers(case, self.toolchains, lm.names, title="Answers before and after"))
        title = "The prompt, without what is taken out"
        out.append(prompt(case, lm.template.segments(case), title=title, removed=self.removed))
        if found and found.history:
            out.append(balance(found.history[-1], self.weights, learned=Weights.from_dict(found.weights)))
        return out

    @property
    def figure(self) -> Figure:
        """The graph as it stands, as a figure of its own."""
        return case_graph(self.case, title=self._title(), degrees=self.degrees, removed=self.removed)

    def _title(self) -> str:
        by = self.explanation.method if self.explanation else "not learned yet"
        return f"{self.case.id}: {by if self.by_hand is None else 'by hand'}"

    def table(self) -> str:
        """The elements, as CSV."""
        return element_table(self.case, removed=self.removed, degrees=self.degrees, carriers=self.carriers)

    def saved(self) -> str:
        """The state as JSON."""
        return self.state.to_json()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_() | {"text/plain": f"{self.figure.alt} {self.sentences()}"}

    @abstractmethod
    def answer(self) -> None:
        """Both models answer a case of which nothing is known yet; nothing is taken out."""

    # one method for each thing that can happen

    def show_case(self) -> None:
        """Another case, another result: everything anew."""
        self.by_hand = self.outcome = self.carriers = None
        found = self.explanation
        self._draw()
        self.view.chains.part.show(self.case, found.answers if found else {}, self.engine.lm.names)
        self.view.cost.value = paragraph(explained.ledger(found.ledger)) if found else ""
        self.show_weights()
        self.view.words.value = paragraph(self.sentences())
        if found is None:
            self.answer()

    def show_taken(self, gone: tuple[Element, ...]) -> None:
        """Something was taken out or put back: graph and prompt at once, the answers follow."""
        self.by_hand, self.outcome, self.carriers = gone, None, None
        self._draw()
        self._settings()

    def show_outcome(self, outcome: Outcome) -> None:
        """Both models have answered."""
        self.outcome = outcome
        self.view.chains.part.show(self.case, outcome.answers, self.engine.lm.names)
        self.view.words.value = paragraph(self.sentences())

    def show_check(self, found: Check) -> None:
        """Whether what is taken out is minimal."""
        self.view.checked.value = paragraph(tried.check(found))

    def show_carriers(self, found: Carriers) -> None:
        """Which facts carry a command."""
        self.carriers = found
        self.view.carried.value = paragraph(tried.carriers(found, self.engine.lm.names))
        self._draw_prompt()
        self._settings()

    def show_weights(self) -> None:
        """Everything that depends on the weights and costs nothing."""
        found, view = self.explanation, self.view
        row = found.history[-1] if found and found.history else None
        learned = Weights.from_dict(found.weights) if found and row else None
        view.marker.value = OTHERWISE if found and self.stale else ""
        said = explained.objective(row, self.weights, learned=found.weights) if found and row else ""
        view.table.value = f"{term_table(row, self.weights, learned=learned)}<p>{escape(said)}</p>" if row else ""
        self._settings()

    def _draw(self) -> None:
        """Graph and prompt, with what is taken out, of which nothing was asked yet."""
        self.view.checked.value = self.view.carried.value = ""
        m = dict(enumerate(map(float, self.degrees or ())))
        spots, links = drawing(self.case, degrees=self.degrees, removed=self.removed)
        self.view.graph.part.show(spots, links, title=self._title(), alt=self.sentences(), degrees=m)
        self._draw_prompt()

    def _draw_prompt(self) -> None:
        segments, picked = self.engine.lm.template.segments(self.case), self.carriers
        self.view.prompt.part.show(self.case, segments, removed=self.removed, degrees=self.degrees, carriers=picked)
        self.view.chains.part.picked = [picked.row, picked.node] if picked else ["", ""]

    def _settings(self) -> None:
        state, view = self.state, self.view
        view.cell.value, told = state.cell(), state.to_json()
        if view.saved.value in ("", view.told):  # what is pasted while answers come stays until it is applied
            view.saved.value = told
            view.told = told
        view.command.value = state.command("RUN_DIR" if self.folder is None else self.folder.parent.parent)


def term_table(row: Mapping[str, float], weights: Weights, *, learned: Weights | None = None) -> str:
    """What each term of a step would add to the objective with these weights, beside what it added when it was learned.

    row: unweighted, as in a history. The bars are signed decades (`figures.learning`): solid now, dashed as learned.
    """
    added = contributions(row, weights)
    now, before = decades(row, weights), decades(row, learned or weights)
    low, high = min(0.0, now.min(), before.min()), max(1e-9, now.max(), before.max())
    lines = [
        (escape(name), f"{row[name]:.4g}", f"{value:+.4g}", _bars(a, b, low, high))
        for (name, value), a, b in zip(added.items(), now, before, strict=True)
    ]
    whole = ("objective", "", f"{sum(added.values()):+.4g}", "")
    return table([*lines, whole], ("term, last step", "value", "weighted", "log scale"))


def _bars(now: float, before: float, low: float, high: float) -> str:
    """One term's two bars as a picture; what they say stands in numbers beside them."""
    scale = BAR / (high - low)
    zero = -low * scale

    def bar(value: float, y: int, name: str) -> str:
        x, width = np.minimum(zero, zero + value * scale), abs(value) * scale
        return f'<rect class="{name}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="6"></rect>'

    line = f'<line class="wb-zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="16"></line>'
    bars = f"{bar(now, 1, 'wb-now')}{bar(before, 9, 'wb-before')}{line}"
    return f'<svg class="wb-bars" viewBox="0 0 {BAR} 16" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>'
