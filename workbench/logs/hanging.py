"""One record: on which facts its answer hangs, by certified sets, and what of that the other model does not have.

From documents to facts to sentences: sets are found over the large ones, then within those that matter. What is said of
each level: over the first one the flip set is a smallest one, if showing more never undoes an answer; below, it is
minimal within the set above it. Both are seen, no member can be put back. Other sets may lie elsewhere.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from workbench.artifacts.files import untimed
from workbench.explain import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.explain.changed import Side, compared
from workbench.explain.sets.hitting import DualSets, dual_sets
from workbench.logs.answers import WHOLE, AnswerGame, Answers
from workbench.logs.spans import spans_of
from workbench.stats.games import Meter, alone, without

MOST_ALONE = 64  # facts of which each is taken out alone first, where that is
MOST_READ = 256 << 10  # characters of prompts at most
ANSWER = 2048  # characters of a prompt that a budget's answer stands for where a record is longer
OF_A_SPAN = ("decision", "without_any", "memory", "alone", "flips", "breaks", "sufficient", "levels", "notes")
NOT_ALONE = "with nothing shown the answer is the same; no fact was taken out alone: {:,} prompts of {:,} characters"
SMALLEST = "no smaller set of {} does, if showing more never undoes an answer"
WITHIN = "searched within the {} of the set above"


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
        ranked = relevance(answers)  # settles ties, the same way whether a model is here or served
        self.order = ranked[np.argsort(values[ranked], kind="stable")]
        self.how: dict[str, Any] = {"order": self.order, "budget": budget, "repeats": answers.repeats}
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
            enough = dual_sets(self.keeps, self.n, known=[()], **self.how).sufficient
            self.sufficient = enough[0] if enough else None
        elif self.dear:
            self._by_levels()
        else:
            self._among_facts()
            self._within_facts()

    def _among_facts(self) -> None:
        if self.answers.repeats == 1:
            self.side.ask_alone(None)
        if not self.side.certified and not self.memory:
            if self.without_any is not None:
                self.side.search(1, allowed=None)
            if not self.side.sets:
                self._turned_by(minimal_flip_set(self.keeps, self.n, **self.how))
        self.sufficient = minimal_sufficient_set(self.keeps, self.n, **self.how)

    def _by_levels(self) -> None:
        """Documents first, where the record has them."""
        self.found = list(down(self.levels, budget=self.budget))
        self.side.notes |= {one.flip.note: None for one in self.found if not one.flip.certified}
        facts = [one.name for one in self.levels].index("facts")
        if len(self.found) > facts:
            found = self.found[facts]
            self._turned_by(found.flip)
            self.sufficient = _fewest(found.sufficient)

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
        level, found, said = self.levels[k], self.found[k], ""
        if k:
            said = WITHIN.format(self.levels[k - 1].name)
        elif self.dear and found.flip.certified and found.smallest:
            said = SMALLEST.format(level.name)
        flip, enough = (one and self._set(one, level.answers) for one in (found.flip, _fewest(found.sufficient)))
        return {"level": level.name, "said": said, "flip": flip, "sufficient": enough}

    def _set(self, one: ElementSet, answers: Answers | None = None) -> dict[str, Any]:
        answers = answers or self.answers
        plain, units = untimed(one.to_dict()), answers.asked.units
        gone = one.elements if one.kind == "flip" else [i for i in range(answers.n) if i not in one.elements]
        to = answers.decisions(without(answers.n, [gone]))[0] if one.found else None
        facts = sorted({units[i].fact for member in one.elements for i in np.flatnonzero(answers.groups[member])})
        where = {"spots": spots(answers, one)} if answers.n == len(units) > self.n else {}
        told = {name: plain[name] for name in ("found", "certified", "confidence", "calls", "note")}
        return {"facts": facts, "to": to} | told | where


def _fewest(sets: Sequence[ElementSet]) -> ElementSet | None:
    return min(sets, key=lambda one: len(one.elements), default=None)


def _nothing(keep: np.ndarray) -> np.ndarray:
    """The game of a model whose answer cannot be read: it keeps no decision."""
    return -np.ones(len(keep))


class Level(NamedTuple):
    """Answers by masks of what is called `name`. parts: of each, its numbers on the next level."""

    name: str
    answers: Answers
    parts: Sequence[Sequence[int]] = ()


def levels_of(answers: Answers, *, documents: bool) -> list[Level]:
    """The levels of a record that it has, documents first where they are wanted; facts are always there."""
    asked = answers.asked
    facts = answers.grouped(asked.units_of)
    made = [Level("facts", facts, asked.units_of)]
    if documents and asked.documents:
        made.insert(0, Level("documents", facts.grouped(asked.documents), asked.documents))
    return [*made, Level("sentences", answers)] if asked.cut else made


def down(levels: Sequence[Level], *, budget: int | None, top: DualSets | None = None) -> Iterator[DualSets]:
    """What is found on each level, of a decision that does not stay with nothing shown; top: on the first, where that
    is known. It goes down for as long as sets are found."""
    for level, below in zip(levels, [*levels[1:], None], strict=True):
        top = top or _searched(level.answers, budget=budget)
        yield top
        if below is None or not top.flip.found:
            return
        inner = [[part for member in one.elements for part in level.parts[member]] for one in top.sufficient]
        allowed = np.array([part for member in top.flip.elements for part in level.parts[member]], int)
        top = _searched(below.answers, budget=budget, allowed=allowed, known=inner)


def _searched(
    answers: Answers, *, budget: int | None, allowed: np.ndarray | None = None, known: Sequence[Sequence[int]] = ()
) -> DualSets:
    order = [*dict.fromkeys([*(part for one in known for part in one), *relevance(answers)])]
    # an answer that cannot be read counts as not kept, in flip sets too: which of the two it is is looked at afterwards
    game = AnswerGame(answers, unread=-1)
    how: dict[str, Any] = {"order": order, "budget": budget, "repeats": answers.repeats}
    if allowed is not None and not known:  # above, no set that keeps the decision was found: none is looked for here
        return DualSets(minimal_flip_set(game, answers.n, allowed=allowed, **how), (), False)
    return dual_sets(game, answers.n, allowed=allowed, known=known, **how)


def relevance(answers: Answers) -> np.ndarray:
    """What masks are of, (n,) numbers, first what has most of the rare words that question and answer have: an order
    to search in, which decides what a search costs and nothing else."""
    asked = answers.asked
    text = {one.fact: one.text for one in asked.segments if one.fact >= 0}
    members = [[asked.units[i] for i in np.flatnonzero(group)] for group in answers.groups]
    said = [" ".join(text[u.fact][u.begin : u.end] for u in units) for units in members]
    words = [set(_words(one)) for one in said]
    often = Counter(word for one in words for word in one)
    rest = " ".join(one.text for one in asked.segments if one.fact < 0)
    wanted = {*_words(rest), *_words(answers.full.text)}
    scores = [sum(math.log(1 + len(said) / often[word]) for word in one & wanted) for one in words]
    return np.argsort(-np.array(scores), kind="stable")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def spots(answers: Answers, one: ElementSet) -> list[list[int]]:
    """A set of units as `[fact, begin, end]`, characters of the fact's own text; `[fact]`, all of it."""
    asked = answers.asked
    units = [(asked.units[i], asked.units_of[asked.units[i].fact]) for i in one.elements]
    start = {u.fact: asked.units[of[0]].begin for u, of in units}
    return [[u.fact, u.begin - start[u.fact], u.end - start[u.fact]] if len(of) > 1 else [u.fact] for u, of in units]
