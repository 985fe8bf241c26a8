"""The mask explorer: weights of the objective, what is taken out of a case, and what both models answer then.

Moving a slider re-weighs at once what is stored; masks for new weights are learned on **Recompute**, which can be
cancelled. Elements are taken out and put back by hand. Whatever a control does can be done by code, which then waits
for the outcome: `select`, `ask`, `set_weights`, `recompute`, `toggle`, `take_out`, `check`, `pick`, `state`, `export`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.artifacts.state import CHOICES, State, StateError
from workbench.cases import Case
from workbench.cases.asking import Asker
from workbench.explain import LEARNED, ExplainConfig, Explanation, Weights, explain
from workbench.explain.counterfactual import Element
from workbench.explain.trial import Carriers, Check, Outcome, Trial
from workbench.game import Engine
from workbench.narrative.names import count
from workbench.panel.controls import Controls
from workbench.panel.showing import Shown
from workbench.panel.sliders import WeightSliders
from workbench.panel.view import MaskView, options
from workbench.panel.work import Cancelled, Job, Worker, on_loop

LINES = 20  # of progress, at most, while masks are learned


class MaskPanel(Shown):
    """Explores one case at a time. In JupyterLab the live `widget` is shown, everywhere else its still picture.

    explanations: results already at hand, shown without new work. asker: makes cases of typed questions; None: none can
    be typed. folder: where exports go; None: they are links only. withheld: the share of needed facts that `cases` were
    made with, kept in the state.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> game = example_game()
        >>> panel = MaskPanel(game.engine, [game.case])
        >>> outcome = panel.take_out(game.case.facts[2:])
        >>> panel.check().flips
        True
    """

    def __init__(
        self,
        engine: Engine,
        cases: Sequence[Case],
        *,
        explanations: Iterable[Explanation] = (),
        config: ExplainConfig | None = None,
        seed: int = 0,
        withheld: float = 0.0,
        asker: Asker | None = None,
        folder: str | os.PathLike[str] | None = None,
    ):
        self.engine, self.seed, self.config, self.withheld = engine, seed, config or ExplainConfig(), withheld
        self.asker, self.folder = asker, None if folder is None else Path(folder)
        self.cases = {case.id: case for case in cases}
        self.worker, self._trials, self.results = Worker(), {}, {}
        self.know(explanations)
        self.weigh = WeightSliders(self.config.weights, listen=self.show_weights)
        self.controls = Controls(self)
        self.view = MaskView(
            self.cases.values(),
            self.weigh,
            sources=tuple(asker.sources) if asker else (),
            targets=tuple(asker.targets) if asker else (),
            on_toggle=self.controls.toggled,
            on_pick=self.controls.picked,
        )
        self.widget = self.view.widget
        self.controls.wire()
        self.show_case()

    @property
    def state(self) -> State:
        """Everything that is set; assign it (or the dict of one) to come back to it.

        StateError, ValueError: something in it is not to be had here.
        """
        return self.chosen

    @state.setter
    def state(self, given: State | Mapping[str, Any]) -> None:
        state = given if isinstance(given, State) else State.from_dict(given)
        if state.withheld != self.withheld:
            raise StateError(
                f"the state is of cases with {state.withheld:g} of the needed facts withheld, these have "
                f"{self.withheld:g}; open a panel with withheld={state.withheld:g}"
            )
        case = self._asked(*state.question) if state.question else self._known(state.case or next(iter(self.cases)))
        Trial(self.engine, case).ordered(state.removed or ())  # refused before anything is moved
        if state.config.max_new_tokens != self.config.max_new_tokens:
            self._trials.clear()
        self.config, self.seed = state.config, state.seed
        self.set_weights(state.config.weights)
        self.select(case, method=state.method)
        if state.removed is not None:
            self.take_out(state.removed)
        if state.tool:
            self.pick(*state.tool)

    def know(self, explanations: Iterable[Explanation]) -> None:
        """Takes results that are at hand; they are shown when their case and method are chosen next."""
        self.results |= {(e.case.id, e.method): e for e in explanations if e.method in CHOICES}

    def parameters_cell(self) -> str:
        """The state as lines for the parameters cell of the notebook."""
        return self.state.cell()

    def select(self, case: str | Case, *, method: str | None = None) -> None:
        """Shows another case (or its id), and another method. ValueError: there is no such case or method."""
        found = self._known(case if isinstance(case, str) else case.id)
        if method not in (None, *CHOICES):
            raise ValueError(f"method must be one of {', '.join(CHOICES)}, not {method!r}")
        self.controls.choose(case=found.id, method=method or self.view.method.value)
        self.show_case()

    def ask(self, source: str, target: str) -> Case:
        """Makes a case of a question, its ends by name or id, and shows it. QuestionError: it makes no case."""
        case = self._asked(source, target)
        self.select(case)
        return case

    def set_weights(self, weights: Weights) -> None:
        """Moves every slider; a weight of 0 switches its term off."""
        self.weigh.set(weights)
        self.weigh.settle()

    def reset(self) -> None:
        """Back to the weights the panel was made with."""
        self.set_weights(self.weigh.start)

    def toggle(self, element: int | Element) -> Outcome:
        """Takes one element (or its number) out, or puts it back. The first is taken out of the whole graph, whatever a
        method had removed."""
        return self.take_out(self.toggled(self.case.elements[element] if isinstance(element, int) else element))

    def take_out(self, elements: Iterable[Element]) -> Outcome:
        """Takes out these elements and no others, and asks both models. ValueError: the case shows no such element."""
        gone = self.trial.ordered(elements)
        self.show_taken(gone)
        outcome = self.trial.outcome(gone)
        self.show_outcome(outcome)
        return outcome

    def check(self) -> Check:
        """Whether what is taken out is a minimal flip set of the tuned model."""
        found = self.trial.check(self.removed)
        self.show_check(found)
        return found

    def pick(self, row: str, node: str) -> Carriers:
        """Which facts carry a command (id) of an answer (of `trial.ROWS`). ValueError: there is no such one."""
        found = self.trial.carriers(row, node, self.removed)
        self.show_carriers(found)
        return found

    def recompute(self) -> Explanation:
        """Makes the explanation of the shown case with the weights of the sliders, and shows the outcome.

        What goes wrong is shown in the status line and raised.
        """
        self._busy()
        try:
            found = self._learning()(Job("learn"))
        except BaseException as error:  # an interrupt too must not leave "running" behind
            self._failed(error)
            raise
        self._learned(found)
        return found

    def start(self) -> None:
        """The same in the background, where there is an event loop; it can be cancelled."""
        if not self.worker.busy("learn"):
            self._busy()
            self.worker.run("learn", self._learning(), done=self._learned, failed=self._failed)

    def _learning(self) -> Callable[[Job], Explanation]:
        """The work, with what it needs taken now: it may run on another thread, while controls move."""
        case, method, seed = self.case, self.view.method.value, self.seed
        config, told = replace(self.config, weights=self.weights), on_loop(self._told)
        steps = config.paper_steps if method == "paper" else config.loop_steps
        every = max(1, steps // LINES)

        def work(job: Job) -> Explanation:
            def progress(name: str, row: dict[str, float]) -> None:
                job.check()
                if name in LEARNED and "step" in row and row["step"] % every == 0:
                    told(name, row, steps)

            return explain(self.engine, [case], method, seed=seed, config=config, progress=progress)[0]

        return work

    def _busy(self) -> None:
        view = self.view
        view.recompute.disabled, view.recompute.description, view.cancel.disabled = True, "running", False
        view.progress.value, view.progress.bar_style = 0.0, ""
        view.say(f"running: {view.method.value}")

    def _told(self, method: str, row: Mapping[str, float], steps: int) -> None:
        if self.view.recompute.disabled:  # not when it has ended meanwhile
            self.view.progress.value = row["step"] / steps
            self.view.say(f"running: {method}, step {row['step']:.0f} of {steps}, objective {row['loss_ema']:.4g}")

    def _learned(self, found: Explanation) -> None:
        self.results[found.case.id, found.method] = found
        self._idle("success")
        removed = count(len(found.removed), "element")
        if (found.case.id, found.method) == (self.case.id, self.view.method.value):
            self.show_case()
        self.view.say(f"done: {found.method}, {found.ledger['seconds']:.1f} s, {removed} removed")

    def _failed(self, error: BaseException) -> None:
        stopped = isinstance(error, Cancelled)
        self._idle("warning" if stopped else "danger")
        self.view.say("cancelled: what is shown is as before" if stopped else f"error: {type(error).__name__}: {error}")

    def _idle(self, style: str) -> None:
        view = self.view
        view.recompute.disabled, view.recompute.description, view.cancel.disabled = False, "Recompute", True
        view.progress.value, view.progress.bar_style = 1.0 if style == "success" else 0.0, style

    def _known(self, name: str) -> Case:
        if name not in self.cases:
            some = ", ".join(map(repr, list(self.cases)[:3]))
            raise ValueError(f"no case {name[:80]!r} in this panel; it has {len(self.cases)}, such as {some}")
        return self.cases[name]

    def _asked(self, source: str, target: str) -> Case:
        if self.asker is None:
            raise StateError("this panel has no graph to ask about; open it with an asker")
        case = self.asker.case(source, target)
        if case.id not in self.cases:
            self.cases[case.id] = case
            self.controls.offer(options(self.cases.values()))
        return case
