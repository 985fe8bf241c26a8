"""The mask explorer: weights of the objective, what is taken out of a case, and what both models answer then.

Moving a slider re-weighs at once what is stored; masks for new weights are learned on **Recompute**, which can be
cancelled. Elements are taken out and put back by hand. Whatever a control does can be done by code, which then waits
for the outcome: `select`, `ask`, `set_weights`, `recompute`, `toggle`, `take_out`, `check`, `pick`, `state`, `export`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from workbench.artifacts.state import CHOICES, State, StateError
from workbench.cases import Case
from workbench.cases.asking import ASKED, Asker
from workbench.explain import LEARNED, ExplainConfig, Explanation, Weights, explain
from workbench.explain.counterfactual import Element
from workbench.explain.trial import ROWS, Carriers, Check, Outcome, Trial
from workbench.game import Engine
from workbench.hands.narrative.names import count
from workbench.hands.panel.showing import Shown
from workbench.hands.panel.view import MaskView, WeightSliders, options
from workbench.hands.panel.work import Cancelled, Job, Worker, on_loop

T = TypeVar("T")
Asked = tuple[Callable[[], T], Callable[[T], Any]]  # work, and what shows its outcome
LINES = 20  # of progress, at most, while masks are learned


class MaskPanel(Shown):
    """Explores one case at a time. In JupyterLab the live `widget` is shown, everywhere else its still picture.

    explanations: results already at hand, shown without new work. asker: makes cases of typed questions; None: none can
    be typed. folder: where exports go; None: they are links only. withheld: the share of needed facts that `cases` were
    made with, kept in the state.

    Examples:
        >>> from workbench.game.case_game import example_game
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
        self.asker = asker
        self.cases = {case.id: case for case in cases}
        self.worker, self._trials, self.results = Worker(), {}, {}
        self.know(explanations)
        self.weigh = WeightSliders(self.config.weights, listen=self.show_weights)
        hands: dict[str, Any] = {"on_toggle": self._clicked, "on_pick": self._picked}
        super().__init__(MaskView(self.cases.values(), self.weigh, asker=asker, **hands), folder)
        self._wire()
        self.show_case()

    @property
    def state(self) -> State:
        """Everything that is set; assign it (or the dict of one) to come back to it.

        StateError, ValueError: something in it is not to be had here.
        """
        asked = self.case.split == ASKED
        return State(
            case="" if asked else self.case.id,
            question=(self.case.source, self.case.target) if asked else (),
            method=self.view.method.value,
            config=replace(self.config, weights=self.weights),
            seed=self.seed,
            withheld=self.withheld,
            removed=self.by_hand,
            tool=(self.carriers.row, self.carriers.node) if self.carriers else (),
        )

    @state.setter
    def state(self, given: State | Mapping[str, Any]) -> None:
        state = given if isinstance(given, State) else State.from_dict(given)
        if state.withheld != self.withheld:
            raise StateError(
                f"the state is of cases with {state.withheld:g} of the needed facts withheld, these have "
                f"{self.withheld:g}; open a panel with withheld={state.withheld:g}"
            )
        case = self._asked(*state.question) if state.question else self.known(state.case or next(iter(self.cases)))
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
        found = self.known(case if isinstance(case, str) else case.id)
        if method not in (None, *CHOICES):
            raise ValueError(f"method must be one of {', '.join(CHOICES)}, not {method!r}")
        self.put(chooser=found.id, method=method or self.view.method.value)
        self.show_case()

    def ask(self, source: str, target: str) -> Case:
        """Makes a case of a question, its ends by name or id, and shows it. QuestionError: it makes no case."""
        case = self._asked(source, target)
        self.select(case)
        return case

    def set_weights(self, weights: Weights) -> None:
        """Moves every slider; a weight of 0 switches its term off."""
        self.weigh.set(weights)

    def reset(self) -> None:
        """Back to the weights the panel was made with."""
        self.weigh.reset()

    def toggle(self, element: int | Element) -> Outcome:
        """Takes one element (or its number) out, or puts it back. The first is taken out of the whole graph, whatever a
        method had removed."""
        return self.take_out(self.toggled(self.case.elements[element] if isinstance(element, int) else element))

    def take_out(self, elements: Iterable[Element]) -> Outcome:
        """Takes out these elements and no others, and asks both models. ValueError: the case shows no such element."""
        return _now(*self._taking(elements))

    def check(self) -> Check:
        """Whether what is taken out is a minimal flip set of the tuned model."""
        return _now(*self._checking())

    def pick(self, row: str, node: str) -> Carriers:
        """Which facts carry a command (id) of an answer (of `trial.ROWS`). ValueError: there is no such one."""
        return _now(*self._picking(row, node))

    def answer(self) -> None:
        self._later("hand", partial(self.trial.outcome, ()), self.show_outcome)

    def recompute(self) -> Explanation:
        """Makes the explanation of the shown case with the weights of the sliders, and shows the outcome.

        What goes wrong is shown in the status line and raised.
        """
        self.view.busy()
        try:
            found = self._learning()(Job("learn"))
        except BaseException as error:  # an interrupt too must not leave "running" behind
            self._unlearned(error)
            raise
        self._learned(found)
        return found

    def start(self) -> None:
        """The same in the background, where there is an event loop; it can be cancelled."""
        if not self.worker.busy("learn"):
            self.view.busy()
            self.worker.run("learn", self._learning(), done=self._learned, failed=self._unlearned)

    def _wire(self) -> None:
        view = self.view
        self.follow(lambda _: self.show_case(), view.chooser, view.method)
        clicks: dict[Any, Callable[[], Any]] = {
            view.recompute: self.start,
            view.cancel: lambda: self.worker.cancel("learn"),
            view.ask: lambda: self.guarded(lambda: self.ask(view.source.value, view.target.value), view.asked),
            view.check: lambda: self._later("check", *self._checking()),
            view.back: lambda: self._later("hand", *self._taking(())),
            view.again: self.show_case,
            view.apply: lambda: self.guarded(self._apply, view.applied),
            view.export: lambda: self.guarded(self._export, view.applied),
        }
        for button, act in clicks.items():
            button.on_click(lambda _, act=act: act())

    def _clicked(self, number: int) -> None:
        """A node or fact was clicked, in the graph or in the prompt: it is gone at once, the answers follow."""
        if 0 <= number < len(self.case.elements):
            self._later("hand", *self._taking(self.toggled(self.case.elements[number])))

    def _picked(self, row: str, node: str) -> None:
        """A command of an answer was clicked."""
        if row in ROWS:
            self._later("pick", *self._picking(row, node))

    def _taking(self, elements: Iterable[Element]) -> Asked[Outcome]:
        gone = self.trial.ordered(elements)
        self.show_taken(gone)
        return partial(self.trial.outcome, gone), self.show_outcome

    def _checking(self) -> Asked[Check]:
        return partial(self.trial.check, self.removed), self.show_check

    def _picking(self, row: str, node: str) -> Asked[Carriers]:
        return partial(self.trial.carriers, row, node, self.removed), self.show_carriers

    def _later(self, kind: str, work: Callable[[], T], show: Callable[[T], Any]) -> None:
        """Work on the panel's thread; its outcome is shown unless the case or what is taken out is another by then."""
        asked = self.case.id, self.removed

        def done(found: T) -> None:
            if (self.case.id, self.removed) == asked:
                show(found)

        self.worker.run(kind, lambda job: work(), done=done, failed=self.failed)

    def _apply(self) -> None:
        """Takes over the state in the text field."""
        given = State.from_json(self.view.saved.value)
        self.view.told = self.view.saved.value
        self.state = given
        self.view.say("the state was taken over", beside=self.view.applied)

    def _export(self) -> None:
        self.offer(self.case.id, self.view.method.value, "by-hand" if self.by_hand is not None else "")
        self.view.say("exported", beside=self.view.applied)

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

    def _told(self, method: str, row: Mapping[str, float], steps: int) -> None:
        if self.view.recompute.disabled:  # not when it has ended meanwhile
            self.view.progress.value = row["step"] / steps
            self.view.say(f"running: {method}, step {row['step']:.0f} of {steps}, objective {row['loss_ema']:.4g}")

    def _learned(self, found: Explanation) -> None:
        self.results[found.case.id, found.method] = found
        self.view.idle("success")
        removed = count(len(found.removed), "element")
        if (found.case.id, found.method) == (self.case.id, self.view.method.value):
            self.show_case()
        self.view.say(f"done: {found.method}, {found.ledger['seconds']:.1f} s, {removed} removed")

    def _unlearned(self, error: BaseException) -> None:
        self.view.idle("warning" if isinstance(error, Cancelled) else "danger")
        self.view.say("cancelled: what is shown is as before")
        self.failed(error)

    def _asked(self, source: str, target: str) -> Case:
        if self.asker is None:
            raise StateError("this panel has no graph to ask about; open it with an asker")
        case = self.asker.case(source, target)
        if case.id not in self.cases:
            self.cases[case.id] = case
            with self.quietly():
                chosen = self.view.chooser.value
                self.view.chooser.options = options(self.cases.values())
                self.view.chooser.value = chosen
        return case


def _now(work: Callable[[], T], show: Callable[[T], Any]) -> T:
    show(found := work())
    return found
