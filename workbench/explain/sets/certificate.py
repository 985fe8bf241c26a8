"""Divide and conquer from a set that holds to a minimal one within it, the proof that it is, and its repair.

After QuickXplain (Junker, AAAI 2004), on prefixes of a ranking: where a prefix holds, together with the members found
so far, and a shorter one does not, halving between the two ends at a member. How much shorter the next prefix is
follows the gap between members seen so far, as in group testing (Hwang, JASA 1972): some log2(n / k) + 2 asks for each
of k members. In every game, monotone or not, members and remaining prefix together hold at each step.

The certificate: the decision is kept with everything kept, the set holds, and without any one member it does not. In a
monotone game no smaller set within it can then hold. In other games one could, so all sets within it are asked as well
where they are few, or the game is small; in a noisy game that is a look, and no part of the certificate.

In a noisy game each of these signs is a claim that must pass the test of `judge` by asks made after the set was fixed,
since those before have led to it, and the doubts of all of them together must come to 5 % or less. What that promises:

- Of any games, under any noise that leaves a mask's sign right more often than wrong: a set that is not minimal is
  certified only if a claim that is false of it passes (an intersection-union test: Berger, Technometrics 1982; their
  number needs no correction, and the level is halved for each further set that is tried). The chance of that is at
  the worst: .015 or less with 15 to 25 asks left to the claim, .003 or less with 60 to 100. Of all
  searches, twice that share at most end in a wrong certificate.
- Of certified sets, 95 % are right, however few searches end in one, where the masks' shares of values above 0 spread
  about a half by .11 or more (`judge.PRIOR`). Of games that all lie nearer to the threshold hardly a search ends in a
  certificate, and no test could promise anything of those that do: of signs that are a coin's but for a hair, as many
  pass on the wrong side as on the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log

from workbench.explain.sets.question import SMALL_GAME, Question, Unproved

CUT = 0.4  # share of a pool that is tried off first: of several members the last lies near the end
FIRST = 3  # members, after each of which is asked whether they suffice
PRIOR_GAP = 1 / 3  # of the pool, between two members, before any was found
CONFIRMED = 3  # answers by which a side must lead, of a noisy ask on which all that follows rests
RESTARTS = 3  # times noise may send the search back


def narrow(
    question: Question, pool: Sequence[int], *, base: Sequence[int] = (), holds: bool = False, gallop: bool = False
) -> list[int] | None:
    """Members of a set that holds, `base` and elements of `pool`; None when base and pool together do not hold.

    pool: most important first. holds: base and pool are known to hold. gallop: look at prefixes of 1, 2, 4 ... elements
    first, which pays when the ranking is a good one. Unproved: noise led the search astray again and again.
    """
    for _ in range(RESTARTS + 1):
        search = _Search(question, base, pool, holds=holds)
        try:
            return search.members if search.run(gallop=gallop) else None
        except _Astray:
            base, holds = search.members, False
            pool = [element for element in question.free if element not in base]
    raise Unproved(base, f"by noise, {RESTARTS + 1} searches ended in sets that did not hold when asked again")


class _Astray(Exception):
    """A set that was taken to hold does not, asked again."""


class _Search:
    """Members found, and the rest of the pool: a prefix that holds together with them."""

    def __init__(self, question: Question, base: Sequence[int], pool: Sequence[int], *, holds: bool):
        self.question, self.holds = question, holds
        self.members, self.rest = list(base), list(pool)
        self.size, self.found = len(self.rest), 0

    def run(self, *, gallop: bool) -> bool:
        """Finds the members; False: the whole does not hold."""
        if not self.rest:
            return self.holds or self.prefix_holds(0)
        if gallop:
            low, high = self.gallop()
            if not self.take(low, high):
                return False
        while self.rest:
            if self.suffice():
                self.shorten(0)
                break
            low = len(self.rest) - self.cut()
            if self.prefix_holds(low):
                self.shorten(low)
            elif not self.take(low, len(self.rest)):
                return False
        return True

    def prefix_holds(self, length: int) -> bool:
        """Whether the members and the first `length` of the rest hold."""
        return self.question.holds([[*self.members, *self.rest[:length]]])[0]

    def shorten(self, length: int) -> None:
        """The rest is a shorter prefix, which was seen to hold."""
        self.rest, self.holds = self.rest[:length], True

    def gallop(self) -> tuple[int, int]:
        """Lengths (low, high]: the prefix of `low` does not hold, that of `high` does, as far as it was asked."""
        low, step = 0, 1
        while step < len(self.rest):
            if self.prefix_holds(step):
                self.shorten(step)
            else:
                low, step = step, 2 * step
        return low, len(self.rest)

    def suffice(self) -> bool:
        """Whether the members hold without the rest; asked when by the gaps so far they may be all.

        After the first members it is asked whatever the gaps: the certificate asks for such small sets anyway, and in
        a game that is not monotone they may end the search early.
        """
        likely = self.found <= FIRST or self.gap() >= len(self.rest)
        return self.found > 0 and likely and self.prefix_holds(0)

    def gap(self) -> float:
        """Elements between two members, as far as members were found."""
        return (self.size * (1 + PRIOR_GAP) - len(self.rest)) / max(self.found, 1)

    def cut(self) -> int:
        """How many elements to try off: so many that a member is among them about half the time."""
        most = int(len(self.rest) * CUT)
        return max(1, min(round(log(2) * self.gap()), most) if self.found else most)

    def take(self, low: int, high: int) -> bool:
        """Halves (low, high] to a member and takes it; False: the whole pool was never seen to hold and does not."""
        end = high
        while high - low > 1:
            middle = low + round((high - low) * (1 - CUT))
            if self.prefix_holds(middle):
                high = middle
            else:
                low = middle
        if high < end:
            self.shorten(high)
        elif not self._confirmed():
            return False
        self.members.append(self.rest.pop())
        self.found += 1
        return True

    def _confirmed(self) -> bool:
        """Whether the whole that is left holds, all of whose halves did not."""
        if not self.holds:
            self.holds = self.prefix_holds(len(self.rest))
            return self.holds
        whole = [*self.members, *self.rest]
        if self.question.judge.noisy and not self.question.holds([whole], lead=CONFIRMED)[0]:
            raise _Astray
        return True


CONFIDENCE = 0.95  # of a noisy game's certificate
LEVEL = 0.1  # chance to pass of a sign too near the threshold; half of it for each further set that is tried
FEW_MEMBERS = 3  # of which all sets within are asked: 8 with the set itself
SURE = 3  # answers by which a side must lead in the look at the sets within
SINGLY = "sets without two or more of the members were not asked"
REGROWN = 3  # times a set may turn out not to hold, by noise, before the search gives up


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
