"""Proof that a set is minimal, and its repair where the proof fails.

The certificate: the set holds, and without any one member it does not. In a monotone game no smaller set within it can
then hold. In other games one could, so all sets within it are asked as well where they are few, or the game is small.

In a noisy game every one of these signs must be clear of 0 at 95 %. A set that is not minimal passes only if the sign
that speaks against it is wrong, so at most 5 % of searches end in a wrong certificate, however many signs there are: an
intersection-union test (Berger, Technometrics 1982), which needs no correction for their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from workbench.explain.sets.narrow import narrow
from workbench.explain.sets.probe import SMALL_GAME
from workbench.explain.sets.question import Question, Unproved

CONFIDENCE = 0.95  # of a noisy game's certificate
FEW_MEMBERS = 3  # of which all sets within are asked in a deterministic game: 8 with the set itself
SINGLY = "sets without two or more of the members were not asked"
REGROWN = 3  # times a set may turn out not to hold, by noise, before the search gives up


def certify(question: Question, members: Sequence[int]) -> tuple[list[int], str]:
    """The proved set, `members` or what repair made of them, and what the proof leaves open.

    A member that can be spared is dropped, the least important first; where the set itself does not hold, by noise,
    more is added. Unproved: with the last set and the reason.
    """
    regrown = 0
    while True:
        members = question.ranked(members)
        without = [[m for m in members if m != spared] for spared in reversed(members)]
        held, *still = question.holds([members, *without], alpha=1 - CONFIDENCE, spend=True)
        if not held:
            regrown += 1
            members = _regrow(question, members, regrown)
        elif any(still):
            members = without[still.index(True)]
        else:
            _check_clear(question, members, [members, *without])
            return _within(question, members)


def _regrow(question: Question, members: Sequence[int], times: int) -> Sequence[int]:
    """A larger set that holds: what noise had hidden is added; what can be spared goes in the next pass."""
    others = [element for element in question.free if element not in members]
    grown = narrow(question, others, base=members) if times <= REGROWN else None
    if grown is None:
        raise Unproved(members, "by noise, the set found did not hold when it was asked again")
    return grown


def _check_clear(question: Question, members: Sequence[int], sets: Sequence[Sequence[int]]) -> None:
    judge = question.judge
    clear = judge.clear(question.masks(sets), alpha=1 - CONFIDENCE, spend=True)
    if not clear.all():
        doubtful, repeats = int((~clear).sum()), judge.repeats
        why = f"{doubtful} of {len(sets)} margins are not clear of 0 at {CONFIDENCE:.0%} after {repeats} repeats"
        raise Unproved(members, f"{why}; allow more")


def _within(question: Question, members: list[int]) -> tuple[list[int], str]:
    """The members, or the smallest set within them that holds as well, in a game that is not monotone."""
    smaller = range(len(members) - 1)
    few = len(members) <= FEW_MEMBERS or question.judge.meter.n <= SMALL_GAME
    if question.judge.noisy or not few:
        smallest_asked = 1 if question.kind == "flip" else 0  # removing nothing does not flip
        return members, SINGLY if len(members) - 1 > smallest_asked else ""
    sets = [list(one) for size in smaller for one in combinations(members, size)]
    held = question.holds(sets)
    return (sets[held.index(True)], "the game is not monotone") if True in held else (members, "")
