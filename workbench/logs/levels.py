"""From documents to facts to sentences: sets are found over the large ones, then within those that matter.

What is said of each level: over the first one the flip set is a smallest one, if showing more never undoes an answer;
below, it is minimal within the set above it. Both are seen, no member can be put back. Other sets may lie elsewhere.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from workbench.explain import ElementSet
from workbench.explain.sets.dual import DualSets, dual_sets
from workbench.logs.answers import AnswerGame, Answers

SMALLEST = "no smaller set of {} does, if showing more never undoes an answer"
WITHIN = "searched within the {} of the set above"


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


def told_level(name: str, found: DualSets, *, within: str) -> str:
    """What may be said of a level's flip set beyond that no member can be put back. within: the level above it."""
    if within:
        return WITHIN.format(within)
    return SMALLEST.format(name) if found.flip.certified and found.smallest else ""


def spots(answers: Answers, one: ElementSet) -> list[list[int]]:
    """A set of units as `[fact, begin, end]`, characters of the fact's own text; `[fact]`, all of it."""
    asked = answers.asked
    units = [(asked.units[i], asked.units_of[asked.units[i].fact]) for i in one.elements]
    start = {u.fact: asked.units[of[0]].begin for u, of in units}
    return [[u.fact, u.begin - start[u.fact], u.end - start[u.fact]] if len(of) > 1 else [u.fact] for u, of in units]
