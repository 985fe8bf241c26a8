"""Predict first: the reader marks the facts that the answer hangs on, then the model is asked, and the score is kept.

Three marks the same cases: the reader, leave-one-out (as many facts, those whose loss alone costs the answer most of
its lead), and the certified set. What each took out is put to the model, and its members are put back one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from workbench.cases import Case, Fact
from workbench.explain import CERTIFIED, ExplainConfig, Explanation, explain
from workbench.explain.counterfactual import Element
from workbench.explain.trial import Trial
from workbench.figures.case_graph import prompt
from workbench.game import Engine
from workbench.hands.narrative.names import count
from workbench.hands.panel.parts import Access, Held, Prompt, named
from workbench.hands.panel.view import options
from workbench.stats.games import without as masks_without

READER, ALONE, PROOF = "you", "leave one out", "certificate"
COLUMNS = ["cases", "facts", "turns it", "minimal", "found"]
HINT = "Untick the facts without which, you think, the tuned model's answer changes. Then press Score."


@dataclass(frozen=True)
class Known:
    """What the model says of a case. leads (facts,): nats by which the answer leads without each fact, alone."""

    trial: Trial
    leads: np.ndarray
    certified: tuple[Element, ...]

    @cached_property
    def alone(self) -> set[Fact]:
        """The facts that turn the answer, each by itself."""
        return {fact for fact, lead in zip(self.trial.case.facts, self.leads, strict=True) if lead <= 0}

    def most(self, size: int) -> list[Fact]:
        """As many facts as `size`, those first whose loss leaves the smallest lead."""
        return [self.trial.case.facts[i] for i in np.argsort(self.leads, kind="stable")[:size]]


class Prediction:
    """Marks and scores over cases, as long as the kernel lives; nothing is written. By code: `select`, `mark`, `score`.

    The model is asked through an engine of its own, so that a reader's questions are not booked as a run's.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> guess = Prediction(game.engine, [game.case])
        >>> said = guess.score(game.case.facts)  # all three
        >>> guess.table["facts"].tolist()  # marked by you, leave-one-out and the certificate
        [3.0, 3.0, 1.0]
    """

    def __init__(self, engine: Engine, cases: Sequence[Case], *, config: ExplainConfig | None = None, seed: int = 0):
        self.engine = Engine(engine.lm, engine.batch_tokens, known=engine.known)
        self.engine.heads.known = engine.heads.known  # what is kept of prompts is kept once
        self.config, self.seed = config or ExplainConfig(), seed
        self.rows: dict[tuple[str, str], dict[str, float]] = {}
        self.cases = {case.id: case for case in cases}
        self.marks: tuple[Fact, ...] = ()
        self._known: dict[str, Known] = {}
        self._explained: dict[tuple[str, str], Explanation] = {}
        self.chooser = widgets.Dropdown(options=options(cases), description="case", layout={"width": "min(46em, 100%)"})
        self.prompt, access = Held(lambda: Prompt(self._toggled)).add_class("wb-prompt"), Held(Access)
        self.button = widgets.Button(description="Score", tooltip="ask the model", button_style="primary")
        self.said = widgets.HTML().add_class("wb-scored")
        access.part.parts = [named(".wb-scored", role="status", aria_live="polite")]
        parts = [access, self.chooser, widgets.HTML(f"<p>{HINT}</p>"), self.prompt, self.button, self.said]
        self.widget = widgets.VBox(parts).add_class("wb-panel")
        self.chooser.observe(lambda _: self.mark(()), "value")
        self.button.on_click(lambda _: self.score())
        self.mark(())

    @property
    def case(self) -> Case:
        """The case that is shown."""
        return self.cases[self.chooser.value]

    def select(self, case: str) -> None:
        """Shows another case, by its id, with nothing marked."""
        self.chooser.value = case

    def mark(self, facts: Iterable[Fact]) -> None:
        """Marks these facts of the shown case and no others. ValueError: it shows no such fact."""
        marks = tuple(facts)
        if wrong := [fact for fact in marks if fact not in self.case.facts]:
            raise ValueError(f"case {self.case.id!r} shows no fact {wrong[0]!r}")
        self.marks = marks
        self.prompt.part.show(self.case, self._segments(), removed=marks)
        self.prompt.part.nodes = []
        self.said.value = ""

    def score(self, facts: Iterable[Fact] | None = None, *, by: str = READER) -> str:
        """Puts a guess to the model, keeps the score, and says what came out. facts: in place of the marks.

        by: whose guess it is; of one and the same the last guess on a case counts.
        """
        marks, known = list(self.marks if facts is None else facts), self._asked()
        sets: dict[str, Sequence[Element]] = {by: marks, ALONE: known.most(len(marks)), PROOF: known.certified}
        for who, some in sets.items():
            self.rows[who, self.case.id] = self._row(known, some)
        said = self._said(by, self.rows[by, self.case.id], known)
        self.said.value = f"<p>{escape(said)}</p>{self.table.round(2).to_html(border=0, na_rep='–')}"
        return said

    @property
    def table(self) -> pd.DataFrame:
        """Who guessed -> number of cases, mean number of facts marked, shares of cases in which the guess turned the
        answer and was minimal, and of the facts that turn it alone the mean share found."""
        rows = pd.DataFrame([{"by": by, **row} for (by, _), row in self.rows.items()])
        if rows.empty:
            return pd.DataFrame(columns=COLUMNS)
        return (
            rows.groupby("by", sort=False)
            .mean()
            .assign(cases=rows["by"].value_counts())[["cases", "facts", "turns it", "minimal", "found"]]
        )

    def explanation(self, case: Case, method: str = CERTIFIED) -> Explanation:
        """A case explained, for the explorer as well."""
        key = case.id, method
        if key not in self._explained:
            self._explained[key] = explain(self.engine, [case], method, seed=self.seed, config=self.config)[0]
        return self._explained[key]

    def _asked(self) -> Known:
        case = self.case
        if case.id not in self._known:
            trial = Trial(self.engine, case, max_new_tokens=self.config.max_new_tokens)
            first = len(case.nodes)
            masks = masks_without(len(case.elements), [(first + i,) for i in range(len(case.facts))])
            self._known[case.id] = Known(trial, trial.games["tuned"](masks), self.explanation(case).removed)
        return self._known[case.id]

    @staticmethod
    def _row(known: Known, marks: Sequence[Element]) -> dict[str, float]:
        check = known.trial.check(marks)
        found = len(known.alone.intersection(marks)) / len(known.alone) if known.alone else np.nan
        return {"facts": len(marks), "turns it": check.flips, "minimal": check.minimal, "found": found}

    @staticmethod
    def _said(by: str, row: dict[str, float], known: Known) -> str:
        back = "none can be put back" if row["minimal"] else "some can be put back and it still turns"
        became = f"turns, and {back}" if row["turns it"] else "stays"
        single = f"{len(known.alone)}, of which {row['found']:.0%} are marked" if known.alone else "none"
        return (
            f"{by}: {count(int(row['facts']), 'fact')} marked. Without them the tuned model's answer {became}. "
            f"Facts that turn it alone: {single}. "
            f"The smallest certified set has {count(len(known.certified), 'member')}."
        )

    def _toggled(self, number: int) -> None:
        first = len(self.case.nodes)
        if first <= number < len(self.case.elements):
            fact = self.case.facts[number - first]
            self.mark([f for f in self.marks if f != fact] if fact in self.marks else [*self.marks, fact])

    def _segments(self) -> Any:
        return self.engine.lm.template.segments(self.case)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        live = self.widget._repr_mimebundle_() or {}
        still = prompt(self.case, self._segments(), title="Which facts does the answer hang on?", removed=self.marks)
        return live | still._repr_mimebundle_()
