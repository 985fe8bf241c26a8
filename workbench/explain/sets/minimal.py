"""Minimal flip sets and minimal sufficient sets of any game of keep-masks, with a certificate."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import ArrayLike

from workbench.explain.sets.certificate import CONFIDENCE, certify
from workbench.explain.sets.judge import Judge
from workbench.explain.sets.narrow import narrow
from workbench.explain.sets.probe import probe
from workbench.explain.sets.question import Question, Unproved, ranking
from workbench.explain.sets.result import ElementSet
from workbench.meter import BudgetSpent, Mark, Meter, Oracle

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
    before = question.judge.meter.mark()
    try:
        members, note = _found(question, gallop=gallop, rng=rng or np.random.default_rng(0))
        proof = ""
        if members is not None:
            members, proof = certify(question, members)
        certified, notes = members is not None, [note, proof]
    except Unproved as doubt:
        members, certified, notes = list(doubt.members), False, [str(doubt)]
    except BudgetSpent:
        best = question.smallest()
        members, certified = None if best is None else list(best), False
        notes = [SPENT.format(question.judge.meter.budget)]
    return concluded(question, members, certified=certified, note="; ".join(filter(None, notes)), before=before)


def concluded(
    question: Question, members: Collection[int] | None, *, certified: bool, note: str, before: Mark
) -> ElementSet:
    """The result of a search that ended with these members (None: with no set) and began at the mark `before`."""
    judge = question.judge
    value = math.nan if members is None else judge.value(question.masks([members])[0])
    calls, ledger = judge.meter.since(before)
    return ElementSet(
        kind=question.kind,
        elements=tuple(sorted(members or ())),
        found=members is not None,
        certified=certified,
        calls=calls,
        value=value,
        confidence=CONFIDENCE if judge.noisy else 1.0,
        note=note,
        ledger=ledger,
    )


def _found(question: Question, *, gallop: bool, rng: np.random.Generator) -> tuple[list[int] | None, str]:
    """A set that holds, as small as divide and conquer makes it, or None; and a note."""
    if not question.decided():
        return None, NOT_KEPT
    members = narrow(question, question.free, holds=question.kind == "sufficient", gallop=gallop)
    if members is not None:
        return members, ""
    start, note = probe(question, rng=rng)
    return (None if start is None else narrow(question, question.ranked(start), holds=True, gallop=gallop)), note
