"""Proof that a set is minimal, and its repair where the proof fails.

The certificate: the decision is kept with everything kept, the set holds, and without any one member it does not. In a
monotone game no smaller set within it can then hold. In other games one could, so all sets within it are asked as well
where they are few, or the game is small; in a noisy game that is a look, and no part of the certificate.

In a noisy game each of these signs is a claim that must pass the test of `signs` by asks made after the set was fixed,
since those before have led to it, and the doubts of all of them together must come to 5 % or less. What that promises:

- Of any games, under any noise that leaves a mask's sign right more often than wrong: a set that is not minimal is
  certified only if a claim that is false of it passes (an intersection-union test: Berger, Technometrics 1982; their
  number needs no correction, and the level is halved for each further set that is tried). The chance of that is
  `false_pass` at the worst: .015 or less with 15 to 25 asks left to the claim, .003 or less with 60 to 100. Of all
  searches, twice that share at most end in a wrong certificate.
- Of certified sets, 95 % are right, however few searches end in one, where the masks' shares of values above 0 spread
  about a half by .11 or more (`signs.PRIOR`). Of games that all lie nearer to the threshold hardly a search ends in a
  certificate, and no test could promise anything of those that do: of signs that are a coin's but for a hair, as many
  pass on the wrong side as on the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from workbench.explain.sets.narrow import narrow
from workbench.explain.sets.probe import SMALL_GAME
from workbench.explain.sets.question import Question, Unproved
from workbench.explain.sets.signs import most_against, passes

CONFIDENCE = 0.95  # of a noisy game's certificate
LEVEL = 0.1  # chance to pass of a sign too near the threshold; half of it for each further set that is tried
FEW_MEMBERS = 3  # of which all sets within are asked: 8 with the set itself
SURE = 3  # answers by which a side must lead in the look at the sets within
SINGLY = "sets without two or more of the members were not asked"
REGROWN = 3  # times a set may turn out not to hold, by noise, before the search gives up


def false_pass(asks: int) -> float:
    """The chance that a false claim passes in so many asks at the worst, with a mask that is kept half the time."""
    return passes(most_against(asks, LEVEL), 0.5)


def certify(question: Question, members: Sequence[int]) -> tuple[list[int], str]:
    """The proved set, `members` or what repair made of them, and what the proof leaves open.

    A member that can be spared is dropped, the least important first; where the set itself does not hold, by noise,
    more is added. Unproved: with the last set and the reason.
    """
    level, regrown = LEVEL, 0
    while True:
        members = question.ranked(members)
        without = [[m for m in members if m != spared] for spared in reversed(members)]
        held, *still = question.proved([members, *without], level=level, whole=LEVEL, doubt=1 - CONFIDENCE)
        if held is False:
            regrown += 1
            members = _regrow(question, members, regrown)
        elif True in still:
            members = without[still.index(True)]
        elif None in (held, *still):
            why = f"a sign that the proof rests on is not clear after {question.judge.repeats} asks of its mask"
            raise Unproved(members, f"{why}; allow more repeats")
        else:
            smallest, note = _within(question, members)
            if smallest == members or not question.judge.noisy:
                return smallest, note
            members = smallest
        level /= 2


def _regrow(question: Question, members: Sequence[int], times: int) -> Sequence[int]:
    """Another set that holds: what noise had hidden is added, and what that makes spare is left out."""
    others = [element for element in question.free if element not in members]
    grown = narrow(question, others, base=members) if times <= REGROWN else None
    anew = None if grown is None else narrow(question, question.ranked(grown))
    if anew is None:
        raise Unproved(members, "by noise, the set found did not hold when it was asked again")
    return anew


def _within(question: Question, members: list[int]) -> tuple[list[int], str]:
    """The members, or the smallest set within them that holds as well, in a game that is not monotone."""
    noisy, few = question.judge.noisy, len(members) <= FEW_MEMBERS
    smallest_asked = 1 if question.kind == "flip" else 0  # removing nothing does not flip
    small = few or (not noisy and question.judge.meter.n <= SMALL_GAME)
    note = SINGLY if (noisy or not small) and len(members) - 1 > smallest_asked else ""
    sets = [list(one) for size in range(len(members) - 1) for one in combinations(members, size)] if small else []
    held = question.holds(sets, lead=SURE)
    return (sets[held.index(True)], "the game is not monotone") if True in held else (members, note)
