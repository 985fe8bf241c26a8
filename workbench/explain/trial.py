"""Taking things out of a case by hand: what both models answer then, whether it is minimal, what carries a tool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.cases import Case, toolchain
from workbench.explain.counterfactual import Element, without
from workbench.game import Engine, Game
from workbench.game.rows import MAX_NEW_TOKENS
from workbench.stats import keeps

MODELS = {"tuned": True, "base": False}
"""Model -> whether the adapter is on."""

ROWS = ("tuned_full", "tuned_changed", "base_full", "base_changed")
"""The four answers: of both models, on G (`full`) and on Gc (`changed`)."""


@dataclass(frozen=True)
class Outcome:
    """What both models answer with `removed` taken out. answers: a node path for each of `ROWS`.

    leads: model -> by how many nats the least sure token of its answer on G leads on Gc; above 0 exactly where its
    toolchain stays.
    """

    case: Case
    removed: tuple[Element, ...]
    answers: dict[str, tuple[str, ...]]
    leads: dict[str, float]

    @property
    def toolchains(self) -> dict[str, tuple[str, ...]]:
        """The commands of the answers."""
        return {row: toolchain(path) for row, path in self.answers.items()}

    def changed(self, model: str) -> bool:
        """Whether a model's toolchain is another one on Gc."""
        return self.toolchains[f"{model}_full"] != self.toolchains[f"{model}_changed"]


@dataclass(frozen=True)
class Check:
    """Whether a set flips the tuned model's toolchain, and which members can be put back without undoing that.

    value: the lead (nats) without the whole set; calls: masks asked.
    """

    case: Case
    removed: tuple[Element, ...]
    flips: bool
    value: float
    spare: tuple[Element, ...]
    calls: int

    @property
    def minimal(self) -> bool:
        """The certificate: it flips, and no single member can be put back."""
        return self.flips and not self.spare


@dataclass(frozen=True)
class Carriers:
    """By how many nats each fact, left out alone, lowers log p of one command within an answer; (facts,) float64.

    row: which of `ROWS` the answer is. total: log p of the command's tokens with the facts of that row, nats. Facts
    that the row does not show have the score 0 and are not in `shown`.
    """

    case: Case
    row: str
    node: str
    scores: np.ndarray
    shown: np.ndarray
    total: float


class Trial:
    """Removals by hand on one case. What was asked before costs nothing."""

    def __init__(self, engine: Engine, case: Case, *, max_new_tokens: int = MAX_NEW_TOKENS):
        self.engine, self.case, self.max_new_tokens = engine, case, max_new_tokens
        self._outcomes: dict[frozenset[Element], Outcome] = {}

    @cached_property
    def games(self) -> dict[str, Game]:
        """Model -> the decision game of its own greedy answer to G."""
        return {model: self._game(self.case, model) for model in MODELS}

    def outcome(self, removed: Iterable[Element] = ()) -> Outcome:
        """Both models on G and on Gc. ValueError: an element that the case does not show."""
        gone = self.ordered(removed)
        key = frozenset(gone)
        if key not in self._outcomes:
            keep, answers = self._masks([gone]), {}
            for model, game in self.games.items():
                answers[f"{model}_full"] = game.path
                answers[f"{model}_changed"] = game.answers(keep)[0] if gone else game.path
            leads = {model: float(game(keep)[0]) for model, game in self.games.items()}
            self._outcomes[key] = Outcome(self.case, gone, answers, leads)
        return self._outcomes[key]

    def check(self, removed: Iterable[Element]) -> Check:
        """The certificate of a set: asked without the whole set, and with each member put back alone."""
        gone = self.ordered(removed)
        sets = [gone, *([m for m in gone if m != back] for back in gone)]
        values = self.games["tuned"](self._masks(sets))
        spare = tuple(m for m, value in zip(gone, values[1:], strict=True) if value <= 0)
        flips = bool(values[0] <= 0)
        return Check(self.case, gone, flips, float(values[0]), spare if flips else (), len(sets))

    def carriers(self, row: str, node: str, removed: Iterable[Element] = ()) -> Carriers:
        """What carries one command of an answer. ValueError: no such row, or its answer does not name the command."""
        if row not in ROWS:
            raise ValueError(f"the answers are {', '.join(ROWS)}, not {row!r}")
        model, _, which = row.partition("_")
        case = without(self.case, removed) if which == "changed" else self.case
        shown = np.array([fact in set(case.facts) for fact in self.case.facts])
        game = self._game(case, model) if which == "changed" else self.games[model]
        one = game.view(form="logprob", span=game.span_of(node))
        facts = range(len(case.nodes), one.n)
        values = one(keeps.without(one.n, [*((i,) for i in facts), ()]))
        scores = np.zeros(len(shown))
        scores[shown] = values[-1] - values[:-1]
        return Carriers(self.case, row, node, scores, shown, float(values[-1]))

    def _game(self, case: Case, model: str) -> Game:
        on, longest = MODELS[model], self.max_new_tokens
        (answer,) = self.engine.greedy_answers([case], adapter=on, max_new_tokens=longest)
        return Game(self.engine, case, answer, form="decision", adapter=on, max_new_tokens=longest)

    def ordered(self, removed: Iterable[Element]) -> tuple[Element, ...]:
        """What is removed, in the order of the case's elements. ValueError: an element that the case does not show."""
        gone = set(removed)
        without(self.case, gone)  # refuses what is not shown
        return tuple(e for e in self.case.elements if e in gone)

    def _masks(self, sets: Sequence[Sequence[Element]]) -> np.ndarray:
        """Keep-masks (m, n) bool, each without one of the sets."""
        number = {e: i for i, e in enumerate(self.case.elements)}
        return keeps.without(len(number), [[number[e] for e in gone] for gone in sets])
