"""One record: on which facts its answer hangs, by certified sets, and what of that the other model does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.artifacts.files import untimed
from workbench.explain import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.explain.changed import Side, compared
from workbench.explain.sets.dual import DualSets, dual_sets
from workbench.logs.answers import WHOLE, AnswerGame, Answers
from workbench.logs.levels import down, levels_of, relevance, spots, told_level
from workbench.logs.spans import spans_of
from workbench.stats.keeps import alone, without
from workbench.stats.meter import Meter

MOST_ALONE = 64  # facts of which each is taken out alone first, where that is
MOST_READ = 256 << 10  # characters of prompts at most
ANSWER = 2048  # characters of a prompt that a budget's answer stands for where a record is longer
OF_A_SPAN = ("decision", "without_any", "memory", "alone", "flips", "breaks", "sufficient", "levels", "notes")
NOT_ALONE = "with nothing shown the answer is the same; no fact was taken out alone: {:,} prompts of {:,} characters"


def hangs(sides: Mapping[str, Answers], *, budget: int | None = None, spans: Sequence[str] = ()) -> dict[str, Any]:
    """What is found of one record, as plain JSON types.

    sides: name -> answers of one model, or of two that are compared. budget: most answers asked of a model for one set.
    Where taking out each fact alone would be dear, sets are searched by documents, facts and sentences (`levels`), and
    an answer counts in the budget by the length of its prompt. spans: pieces of the answer, as in `spans_of`.

    Returns:
        `models`: name -> `answer`, `decision` (None: it cannot be read), `without_any`, that with no fact shown,
        `memory`, whether that is the same, `alone`, numbers of facts of which each turns the decision by itself,
        `flips`, sets that turn it, with `to`, what they turn it to, `breaks`, a set without which the answer cannot be
        read, where none turns it, `sufficient`, `unread` and `asked`, numbers of answers, `levels`, what was found
        over documents, facts and sentences, where these were searched, `spans`: of each piece of the answer its name
        as `span`, what it says as `decision`, None where it is not there, and the same. `changed`, of two:
        `added`, `kept`, `dropped`, `unsure`, numbers of facts, as in `explain.ChangedSets`.
    """
    for answers in sides.values() if spans else ():
        answers.most = WHOLE  # a piece may stand behind what decides
    made = {name: _Searched(name, answers, budget) for name, answers in sides.items()}
    for one in made.values():
        one.search()
    changed = None
    if len(made) == 2 and all(one.side.decides for one in made.values()):
        found = compared(*(one.side for one in made.values()))
        changed = {name: list(getattr(found, name)) for name in ("added", "kept", "dropped", "unsure")}
    told = {name: one.told() | {"spans": _spans(name, sides[name], budget, spans)} for name, one in made.items()}
    return {"models": told, "changed": changed}


def _spans(name: str, answers: Answers, budget: int | None, spans: Sequence[str]) -> list[dict[str, Any]]:
    """What is found of each piece of an answer that can be read."""
    found = []
    for span in spans_of(answers.full.text, spans) if answers.decision is not None else ():
        read = answers.read_as(span.read(answers.asked.parse))
        if not read.decision:
            found.append({"span": span.name, "decision": None})
            continue
        one = _Searched(name, read, budget)
        one.search()
        told = one.told()
        found.append({"span": span.name} | {key: told[key] for key in OF_A_SPAN})
    return found


class _Searched:
    """One model's search."""

    def __init__(self, name: str, units: Answers, budget: int | None):
        self.readable = units.decision is not None  # before there are copies, so that all have the same
        length = units.asked.length(np.ones(units.n, bool))
        facts = units.asked.facts
        self.dear = facts > MOST_ALONE or facts * length > MOST_READ
        if self.dear and budget is not None:
            units = units.within(2 * units.repeats * length + budget * ANSWER)  # with every fact it is always asked
        self.levels = levels_of(units, documents=self.dear)
        self.answers = answers = next(one.answers for one in self.levels if one.name == "facts")
        self.budget, self.n = budget, facts
        self.turns, self.keeps = (AnswerGame(answers, unread=sign) for sign in (1, -1))
        self.without_any = answers.decisions(np.zeros((1, self.n), bool))[0]
        self.first = alone(self.n) if self.readable and not self.dear else []
        values = self.turns(without(self.n, self.first)) if self.first else np.zeros(self.n)
        self.order = np.argsort(values, kind="stable") if self.first else relevance(answers)
        once = answers.repeats == 1
        meter = Meter(self.turns if self.readable else _nothing, self.n, budget=budget, cache=once)
        self.side = Side(name, meter, order=self.order, repeats=answers.repeats, rng=None)
        self.sufficient: ElementSet | None = None
        self.breaks: ElementSet | None = None
        self.found: list[DualSets] = []  # by level, from the first that was searched so
        if self.dear and self.memory:
            self.side.notes[NOT_ALONE.format(self.n, length)] = None

    @property
    def memory(self) -> bool:
        """Whether the decision stays with no fact shown."""
        return self.readable and self.without_any == self.answers.decision

    def search(self) -> None:
        """Flip sets, and the sufficient set. Where the decision stays with no fact shown, single facts alone."""
        if not self.readable:
            return
        if self.dear and self.memory:
            enough = dual_sets(self.keeps, self.n, known=[()], **self._how).sufficient
            self.sufficient = enough[0] if enough else None
        elif self.dear:
            self._by_levels()
        else:
            self._among_facts()
            self._within_facts()

    @property
    def _how(self) -> dict[str, Any]:
        return {"order": self.order, "budget": self.budget, "repeats": self.answers.repeats}

    def _among_facts(self) -> None:
        if self.answers.repeats == 1:
            self.side.ask_alone(None)
        if not self.side.certified and not self.memory:
            if self.without_any is not None:
                self.side.search(1, allowed=None)
            if not self.side.sets:
                self._turned_by(minimal_flip_set(self.keeps, self.n, **self._how))
        self.sufficient = minimal_sufficient_set(self.keeps, self.n, **self._how)

    def _by_levels(self) -> None:
        """Documents first, where the record has them."""
        self.found = list(down(self.levels, budget=self.budget))
        self.side.notes |= {one.flip.note: None for one in self.found if not one.flip.certified}
        facts = [one.name for one in self.levels].index("facts")
        if len(self.found) > facts:
            found = self.found[facts]
            self._turned_by(found.flip)
            self.sufficient = min(found.sufficient, key=lambda one: len(one.elements), default=None)

    def _within_facts(self) -> None:
        """The sentences of a set of facts that was found."""
        flips = [one for one in (*self.side.sets.values(), self.breaks) if one and one.found]
        if len(self.levels) > 1 and flips and self.sufficient and self.sufficient.found:
            smallest = min(flips, key=lambda one: (not one.certified, len(one.elements)))
            top = DualSets(smallest, (self.sufficient,), False)
            self.found = list(down(self.levels, budget=self.budget, top=top))

    def _turned_by(self, found: ElementSet) -> None:
        """A set without which the answer is another one or cannot be read: notes which of the two. Where answers
        scatter, that most are another one is asked for itself: those that cannot be read were part of the proof."""
        to = self.answers.decisions(without(self.n, [found.elements]))[0] if found.found else None
        once = self.answers.repeats == 1
        if to is not None and (once or (to != self.answers.decision and self.side.flips(found.elements) is True)):
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
            "levels": [self._level(k) for k in range(len(self.found))],
            "notes": list(self.side.notes),
            "unread": answers.unread,
            "asked": answers.count,
        }

    def _level(self, k: int) -> dict[str, Any]:
        """The sets of one level, by the facts that they are of; sentences also by where they stand."""
        level, found = self.levels[k], self.found[k]
        sets = [
            ("flip", found.flip),
            ("sufficient", min(found.sufficient, key=lambda s: len(s.elements), default=None)),
        ]
        said = told_level(level.name, found, within=self.levels[k - 1].name if k else "")
        told = {name: self._set(one, level.answers) if one else None for name, one in sets}
        return {"level": level.name, "said": said if self.dear or k else "", **told}

    def _set(self, one: ElementSet, answers: Answers | None = None) -> dict[str, Any]:
        answers = answers or self.answers
        plain, units = untimed(one.to_dict()), answers.asked.units
        gone = one.elements if one.kind == "flip" else [i for i in range(answers.n) if i not in one.elements]
        to = answers.decisions(without(answers.n, [gone]))[0] if one.found else None
        facts = sorted({units[i].fact for member in one.elements for i in np.flatnonzero(answers.groups[member])})
        where = {"spots": spots(answers, one)} if answers.n == len(units) > self.n else {}
        told = {name: plain[name] for name in ("found", "certified", "confidence", "calls", "note")}
        return {"facts": facts, "to": to} | told | where


def _nothing(keep: np.ndarray) -> np.ndarray:
    """The game of a model whose answer cannot be read: it keeps no decision."""
    return -np.ones(len(keep))
