"""One record: on which facts its answer hangs, by certified sets, and what of that the other model does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.artifacts.files import untimed
from workbench.explain import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.explain.changed import Side, compared
from workbench.logs.answers import AnswerGame, Answers
from workbench.stats.keeps import alone, without
from workbench.stats.meter import Meter

MOST_ALONE = 64  # facts of which each is taken out alone first; more are halved at once


def hangs(sides: Mapping[str, Answers], *, budget: int | None = None) -> dict[str, Any]:
    """What is found of one record, as plain JSON types.

    sides: name -> answers of one model, or of two that are compared. budget: most answers asked of a model for one set.

    Returns:
        `models`: name -> `answer`, `decision` (None: it cannot be read), `without_any`, that with no fact shown,
        `memory`, whether that is the same, `alone`, numbers of facts of which each turns the decision by itself,
        `flips`, sets that turn it, with `to`, what they turn it to, `breaks`, a set without which the answer cannot be
        read, where none turns it, `sufficient`, `unread` and `asked`, numbers of answers. `changed`, of two:
        `added`, `kept`, `dropped`, `unsure`, numbers of facts, as in `explain.ChangedSets`.
    """
    made = {name: _Searched(name, answers, budget) for name, answers in sides.items()}
    for one in made.values():
        one.search()
    changed = None
    if len(made) == 2 and all(one.side.decides for one in made.values()):
        found = compared(*(one.side for one in made.values()))
        changed = {name: list(getattr(found, name)) for name in ("added", "kept", "dropped", "unsure")}
    return {"models": {name: one.told() for name, one in made.items()}, "changed": changed}


class _Searched:
    """One model's search."""

    def __init__(self, name: str, answers: Answers, budget: int | None):
        self.answers, self.budget, self.n = answers, budget, answers.n
        self.turns, self.keeps = (AnswerGame(answers, unread=sign) for sign in (1, -1))
        self.readable = answers.decision is not None
        self.first = alone(self.n) if self.readable and self.n <= MOST_ALONE else []
        values = self.turns(without(self.n, self.first)) if self.first else np.zeros(self.n)
        self.order = np.argsort(values, kind="stable") if self.first else None
        once = answers.repeats == 1
        meter = Meter(self.turns if self.readable else _nothing, self.n, budget=budget, cache=once)
        self.side = Side(name, meter, order=self.order, repeats=answers.repeats, rng=None)
        self.sufficient: ElementSet | None = None
        self.breaks: ElementSet | None = None
        self.without_any = answers.decisions(np.zeros((1, self.n), bool))[0]

    @property
    def memory(self) -> bool:
        """Whether the decision stays with no fact shown."""
        return self.readable and self.without_any == self.answers.decision

    def search(self) -> None:
        """Flip sets, and the sufficient set. Where the decision stays with no fact shown, single facts alone."""
        if not self.readable:
            return
        if self.first and self.answers.repeats == 1:
            self.side.ask_alone(None)
        if not self.side.certified and not self.memory:
            if self.without_any is not None:
                self.side.search(1, allowed=None)
            if not self.side.sets:
                self._break()
        self.sufficient = minimal_sufficient_set(self.keeps, self.n, **self._how)

    @property
    def _how(self) -> dict[str, Any]:
        return {"order": self.order, "budget": self.budget, "repeats": self.answers.repeats}

    def _break(self) -> None:
        """Looks for a set without which the answer is another one or cannot be read, and notes which of the two."""
        found = minimal_flip_set(self.keeps, self.n, **self._how)
        if found.found and self.answers.decisions(without(self.n, [found.elements]))[0] is not None:
            self.side.add([found])  # its members alone keep the decision, so the certificate holds here too
        else:
            self.breaks = found

    def told(self) -> dict[str, Any]:
        """See `hangs`."""
        answers, flips = self.answers, [self._set(one) for one in self.side.sets.values()]
        return {
            "answer": answers.full.text,
            "decision": answers.decision,
            "without_any": self.without_any,
            "memory": self.memory,
            "alone": sorted(one["facts"][0] for one in flips if len(one["facts"]) == 1 and one["certified"]),
            "flips": flips,
            "breaks": self._set(self.breaks) if self.breaks and self.breaks.found else None,
            "sufficient": self._set(self.sufficient) if self.sufficient else None,
            "notes": list(self.side.notes),
            "unread": answers.unread,
            "asked": answers.count,
        }

    def _set(self, one: ElementSet) -> dict[str, Any]:
        plain = untimed(one.to_dict())
        gone = one.elements if one.kind == "flip" else [i for i in range(self.n) if i not in one.elements]
        to = self.answers.decisions(without(self.n, [gone]))[0] if one.found else None
        return {"facts": plain["elements"], "to": to} | {k: plain[k] for k in ("found", "certified", "calls", "note")}


def _nothing(keep: np.ndarray) -> np.ndarray:
    """The game of a model whose answer cannot be read: it keeps no decision."""
    return -np.ones(len(keep))
