"""Minimal flip sets and minimal sufficient sets of any game of keep-masks, each with its certificate.

Divide and conquer gives a set of which no member can be spared; a smaller one may lie elsewhere. Where rows are cheap,
as a language model's on short prompts are, `smallest_flip_set` asks every element alone first, then pairs and triples
of the elements that moved the value most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from workbench.explain.sets.certificate import CONFIDENCE, certify, narrow
from workbench.explain.sets.judge import Judge
from workbench.explain.sets.question import Question, Unproved, probe, ranking
from workbench.game import Game, Restricted
from workbench.stats.games import BudgetSpent, Ledger, Meter, Oracle, without


@dataclass(frozen=True)
class ElementSet:
    """A flip set (removing it undoes the decision) or a sufficient set (keeping only it keeps the decision).

    certified: asked and seen, not inferred: the set holds, and without any one of its members it no longer does; in a
    deterministic game of few members no smaller set within it holds either. In a noisy game the share `confidence` of
    such statements is right, under the conditions that `certificate` states. found: False when no set was seen to
    hold; `elements` is then empty.

    Examples:
        >>> ElementSet("flip", (2, 5), found=True, certified=True, calls=9, value=-1.0).to_dict()["elements"]
        [2, 5]
    """

    kind: str  # "flip" or "sufficient"
    elements: tuple[int, ...]  # element numbers, ascending
    found: bool
    certified: bool
    calls: int  # mask rows evaluated for this result
    value: float  # the game's value under the set's mask, median of the repeats; nan when nothing was asked
    confidence: float = 1.0  # of the certificate: 1 where the game was taken as deterministic, 0.95 with repeats
    note: str = ""  # why it is not certified, or what else should be known
    ledger: Ledger = field(default_factory=Ledger, compare=False)  # what these calls cost; prompts count once

    def to_dict(self) -> dict:
        """Plain JSON types; a value that is nan becomes None."""
        value = None if math.isnan(self.value) else self.value
        return asdict(self) | {"elements": list(self.elements), "value": value}


NOT_KEPT = "the decision is not kept with everything kept: there is nothing to explain"
SPENT = "the budget of {} rows was spent before a certificate"


def minimal_flip_set(
    game: Oracle,
    n: int,
    *,
    order: ArrayLike | None = None,
    budget: int | None = None,
    repeats: int = 1,
    rng: np.random.Generator | None = None,
    allowed: ArrayLike | None = None,
    progress: Callable[[int], None] | None = None,
) -> ElementSet:
    """A set of elements whose removal undoes the decision, and of which no member can be put back.

    game: keep-masks (m, n) bool -> values (m,); the decision is kept where the value is above 0. n: elements.
    order: element numbers, most important first, of all elements or some; finds small sets early when it is good, and
    None takes the elements as numbered. budget: most mask rows to evaluate; when it is spent, the smallest flip set
    seen so far comes back without certificate. repeats: most asks of one mask in a noisy game, 12 or more
    to prove sets of several members (25 where one answer in ten is wrong, 100 where one in four is); 1 takes the game
    as deterministic. rng: draws sets to start from where removing everything does not flip; None: a fixed seed.
    allowed: bool (n,) or numbers of the elements that may be removed; the others are always kept. progress: called
    with the rows evaluated so far.

    A decision that is not kept with everything kept gives found=False with a note, not an error.
    An infinite value counts by its sign. ValueError: arguments out of range, or a game that gives nan, no numbers or
    another number of values than masks.
    Sources: QuickXplain (Junker 2004) on prefixes, with the certificate of `certificate`.

    Examples:
        >>> def kept(keep):  # while fact 2 or fact 5 is there
        ...     return np.where(keep[:, 2] | keep[:, 5], 1.0, -1.0)
        >>> found = minimal_flip_set(kept, 8)
        >>> found.elements, found.certified
        ((2, 5), True)
    """
    judge = Judge(Meter(game, n, budget=budget, cache=False, progress=progress), repeats=repeats)
    question = Question(judge, "flip", ranking(n, order=order, allowed=allowed))
    return search(question, gallop=order is not None, rng=rng)


def minimal_sufficient_set(
    game: Oracle,
    n: int,
    *,
    order: ArrayLike | None = None,
    budget: int | None = None,
    repeats: int = 1,
    rng: np.random.Generator | None = None,
    allowed: ArrayLike | None = None,
    progress: Callable[[int], None] | None = None,
) -> ElementSet:
    """A set of elements that keeps the decision when nothing else is kept, and of which no member can be dropped.

    Arguments and errors as in `minimal_flip_set`. allowed: elements that the set is made of and that may be removed;
    the others are always kept. The empty set is sufficient where the decision needs no element at all.

    Examples:
        >>> def kept(keep):  # while fact 2 or fact 5 is there, and fact 7
        ...     return np.where((keep[:, 2] | keep[:, 5]) & keep[:, 7], 1.0, -1.0)
        >>> found = minimal_sufficient_set(kept, 8, order=[5, 7])
        >>> sorted(found.elements), found.certified
        ([5, 7], True)
    """
    judge = Judge(Meter(game, n, budget=budget, cache=False, progress=progress), repeats=repeats)
    question = Question(judge, "sufficient", ranking(n, order=order, allowed=allowed))
    return search(question, gallop=order is not None, rng=rng)


def search(question: Question, *, gallop: bool, rng: np.random.Generator | None = None) -> ElementSet:
    """A minimal set that holds; gallop: the order is worth trusting (see `narrow`)."""
    return concluded(question, partial(_found, question, gallop=gallop, rng=rng or np.random.default_rng(0)))


Found = tuple[Collection[int] | None, str]
"""The members of a set that is proved minimal, None where there is none, and what else should be known."""


def concluded(question: Question, find: Callable[[], Found]) -> ElementSet:
    """The result of a search. find: where it raises Unproved, the set comes back without certificate."""
    judge, meter = question.judge, question.judge.meter
    calls, ledger = meter.calls, meter.ledger
    try:
        members, note = find()
        certified = members is not None
    except Unproved as doubt:
        members, note, certified = doubt.members, str(doubt), False
        if question.kind == "flip" and not members:
            members = None  # removing nothing flips nothing, or that was not seen yet
    return ElementSet(
        kind=question.kind,
        elements=tuple(sorted(members or ())),
        found=members is not None,
        certified=certified,
        calls=meter.calls - calls,
        value=math.nan if members is None else judge.value(question.masks([members])[0]),
        confidence=CONFIDENCE if judge.noisy else 1.0,
        note=note,
        ledger=meter.ledger - ledger,
    )


def _found(question: Question, *, gallop: bool, rng: np.random.Generator) -> Found:
    """By divide and conquer, from a set to start from where removing everything does not flip."""
    try:
        if not question.decided():
            return None, NOT_KEPT
        members, note = narrow(question, question.free, holds=question.kind == "sufficient", gallop=gallop), ""
        if members is None:
            start, note = probe(question, rng=rng)
            members = None if start is None else narrow(question, question.ranked(start), holds=True, gallop=gallop)
        if members is None:
            return None, note
        proved, proof = certify(question, members)
        return proved, "; ".join(filter(None, [note, proof]))
    except BudgetSpent as spent:
        raise Unproved(question.smallest(), SPENT.format(question.judge.meter.budget)) from spent


PAIRED, TRIPLED = 24, 12  # elements whose pairs (276) and triples (220) are asked
SMALLEST = "an element flips alone: no smaller set exists"
NO_SMALLER = "no element flips alone: no smaller set exists"


def smallest_flip_set(
    game: Oracle,
    n: int,
    *,
    allowed: ArrayLike | None = None,
    budget: int | None = None,
    rng: np.random.Generator | None = None,
) -> ElementSet:
    """A certified minimal flip set of a deterministic game, as small as its elements, pairs and triples show.

    One element that flips alone is a smallest set; so are two, since all single elements were asked. allowed: element
    numbers or a bool mask (n,), as in `minimal_flip_set`. Costs n + 1 rows where one element flips, some 276 more where
    two do. A budget ends the search with the best set so far.

    Examples:
        >>> def kept(keep):  # 0 and 1 go together, or 4 alone does
        ...     return np.where((keep[:, 0] | keep[:, 1]) & keep[:, 4], 1.0, -1.0)
        >>> smallest_flip_set(kept, 6).elements
        (4,)
    """
    meter = Meter(game, n, budget=budget)
    free = np.array(ranking(n, order=None, allowed=allowed), int)
    best: ElementSet | None = None
    try:
        if meter(without(n, [()]))[0] > 0:
            best, values = _lowest(meter, [(e,) for e in free.tolist()], note=SMALLEST)
            if best is None:
                order = free[np.argsort(values, kind="stable")]
                best = minimal_flip_set(meter, n, order=order, allowed=free, budget=meter.left, rng=rng)
                best = _smaller(meter, order, best)
    except BudgetSpent:
        pass
    if best is None:
        best = minimal_flip_set(meter, n, allowed=free, budget=meter.left, rng=rng)
    return replace(best, calls=meter.calls, ledger=meter.ledger)


def gradient_order(game: Game | Restricted) -> np.ndarray:
    """Element numbers (n,), first those whose removal should lower the value most, by one gradient pass through the
    gates: an order for `minimal_flip_set`, which then needs few rows.
    """
    _, slopes = game.view(removal="gate").gradients(np.ones((1, game.n)))
    return np.argsort(-slopes[0], kind="stable")


def _lowest(
    meter: Meter, sets: Sequence[tuple[int, ...]], *, note: str, certified: bool = True
) -> tuple[ElementSet | None, np.ndarray]:
    """The set of these whose removal lowers the value most, None where none of them flips, and the values of all."""
    values = meter(without(meter.n, sets))
    if (values > 0).all():
        return None, values
    best = int(values.argmin())
    return ElementSet("flip", sets[best], True, certified, meter.calls, float(values[best]), note=note), values


def _smaller(meter: Meter, order: np.ndarray, found: ElementSet) -> ElementSet:
    """A flipping pair or triple of the foremost elements, where the set found is larger. No single element flips."""
    size = len(found.elements) if found.found else meter.n + 1
    if size == 2 and found.certified:
        return replace(found, note=NO_SMALLER)
    for members, among in ((2, order[:PAIRED]), (3, order[:TRIPLED])):
        sets = [tuple(sorted(s)) for s in combinations(among.tolist(), members)] if members < size else []
        note = NO_SMALLER if members == 2 else "no element flips alone"
        one, _ = _lowest(meter, sets, note=note, certified=members == 2)
        if one and not one.certified:  # a triple, certified when each of its pairs keeps the decision
            pair, _ = _lowest(meter, list(combinations(one.elements, 2)), note=note)
            return pair or replace(one, certified=True)
        if one:
            return one
    return found
