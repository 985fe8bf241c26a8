"""What buttons and choosers of the mask panel do in a browser: work goes to its thread, errors are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets

from workbench.artifacts.state import State
from workbench.explain.counterfactual import Element
from workbench.explain.trial import ROWS
from workbench.panel.work import Cancelled


class Controls:
    """Joins the widgets of a panel's view to its methods."""

    def __init__(self, panel: Any):  # a MaskPanel, which stands on this
        self.panel = panel

    def wire(self) -> None:
        """Call it once, when the view is there."""
        panel, view = self.panel, self.panel.view
        for chooser in (view.chooser, view.method):
            chooser.observe(lambda _: self.chosen(), "value")
        clicks: dict[Any, Callable[[], Any]] = {
            view.recompute: panel.start,
            view.cancel: lambda: panel.worker.cancel("learn"),
            view.ask: lambda: self.guarded(lambda: panel.ask(view.source.value, view.target.value), view.asked),
            view.check: self.check,
            view.back: lambda: self.take(()),
            view.again: lambda: panel.show_case(),
            view.apply: lambda: self.guarded(self.apply, view.applied),
            view.export: lambda: self.guarded(self.export, view.applied),
        }
        for button, act in clicks.items():
            button.on_click(lambda _, act=act: act())

    def chosen(self) -> None:
        """Another case or method was chosen."""
        if not self.panel.still:
            self.panel.show_case()

    def choose(self, *, case: str, method: str) -> None:
        """Sets both choosers; the panel shows the outcome itself."""
        with self.panel.quietly():
            self.panel.view.chooser.value, self.panel.view.method.value = case, method

    def offer(self, options: list[tuple[str, str]]) -> None:
        """Other cases to choose from; the chosen one stays."""
        with self.panel.quietly():
            chooser = self.panel.view.chooser
            chosen = chooser.value
            chooser.options = options
            chooser.value = chosen

    def toggled(self, number: int) -> None:
        """A node or fact was clicked, in the graph or in the prompt."""
        panel = self.panel
        if 0 <= number < len(panel.case.elements):
            self.take(panel.toggled(panel.case.elements[number]))

    def take(self, elements: Iterable[Element]) -> None:
        """Shows at once what is taken out, and the answers when they are there."""
        trial = self.panel.trial
        gone = trial.ordered(elements)
        self.panel.show_taken(gone)
        self.background("hand", lambda: trial.outcome(gone), self.panel.show_outcome)

    def check(self) -> None:
        """Is this minimal?"""
        trial, gone = self.panel.trial, self.panel.removed
        self.background("check", lambda: trial.check(gone), self.panel.show_check)

    def picked(self, row: str, node: str) -> None:
        """A command of an answer was clicked."""
        trial, gone = self.panel.trial, self.panel.removed
        if row in ROWS:
            self.background("pick", lambda: trial.carriers(row, node, gone), self.panel.show_carriers)

    def apply(self) -> None:
        """Takes over the state in the text field."""
        view = self.panel.view
        given = State.from_json(view.saved.value)
        view.told = view.saved.value
        self.panel.state = given
        view.say("the state was taken over", beside=view.applied)

    def export(self) -> None:
        """Files in the panel's folder, where it has one, and links that hold them."""
        panel = self.panel
        panel.offer(panel.case.id, panel.view.method.value, "by-hand" if panel.by_hand is not None else "")
        panel.view.say("exported", beside=panel.view.applied)

    def answer(self) -> None:
        """Both models answer a case of which nothing is known yet; nothing is taken out."""
        trial = self.panel.trial
        self.background("hand", lambda: trial.outcome(()), self.panel.show_outcome)

    def guarded(self, act: Callable[[], Any], beside: widgets.HTML) -> None:
        """What a button does in place: an error is shown beside it, since a traceback would go nowhere."""
        self.panel.view.say("", beside=beside)
        try:
            act()
        except Exception as error:
            self.panel.view.say(f"error: {error}", beside=beside)

    def background(self, kind: str, work: Callable[[], Any], done: Callable[[Any], Any]) -> None:
        """Work on the panel's thread. Its outcome is shown unless the case or what is taken out is another by then."""
        panel = self.panel
        asked = panel.case.id, panel.removed

        def show(result: Any) -> None:
            if (panel.case.id, panel.removed) == asked:
                done(result)

        def failed(error: BaseException) -> None:
            if not isinstance(error, Cancelled):
                panel.view.say(f"error: {type(error).__name__}: {error}")

        panel.worker.run(kind, lambda job: work(), done=show, failed=failed)
