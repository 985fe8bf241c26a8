"""A smallest flip set by way of sufficient sets: for games in which a mask that keeps little is cheap to ask.

Implicit hitting sets (Reiter, Artificial Intelligence 1987; smallest ones: Ignatiev et al., CP 2015): whatever turns
the decision must meet every set that keeps it by itself. So a smallest set that meets those known is removed; where
that turns the decision, no smaller one could, and where not, what is left holds one more set that keeps it. A language
model reads some lines for a sufficient set, and nearly all of a long prompt for a flip set: of these few are asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from workbench.explain.sets.certificate import certify, narrow
from workbench.explain.sets.diverse import cheapest_hitting_set
from workbench.explain.sets.judge import Judge
from workbench.explain.sets.minimal import NOT_KEPT, ElementSet, concluded
from workbench.explain.sets.question import Question, Unproved, ranking
from workbench.stats.meter import BudgetSpent, Meter, Oracle

NONE = "removing every allowed element does not flip"
HIDDEN = "by noise, no set that keeps the decision was found beside one whose removal does not flip it"


class DualSets(NamedTuple):
    """flip: a minimal flip set; smallest: whether no smaller one exists, if keeping more never undoes the decision (not
    said of a noisy game). sufficient: minimal sets that keep the decision by themselves, as far as they were needed to
    show it."""

    flip: ElementSet
    sufficient: tuple[ElementSet, ...]
    smallest: bool


def dual_sets(
    game: Oracle,
    n: int,
    *,
    order: ArrayLike | None = None,
    budget: int | None = None,
    repeats: int = 1,
    allowed: ArrayLike | None = None,
    known: Sequence[Collection[int]] = (),
) -> DualSets:
    """A minimal flip set, in a deterministic game that is monotone a smallest one, and sufficient sets.

    order: element numbers, most important first. budget: most mask rows; when it is spent, what was seen comes back
    without certificate, and so it does where the game raises `BudgetSpent`. repeats, allowed: as in
    `minimal_flip_set`, allowed of the flip set; sufficient sets are of all elements. known: sets seen to keep the
    decision by themselves.

    Examples:
        >>> def kept(keep):  # needs fact 2 or fact 5, and fact 7
        ...     return np.where((keep[:, 2] | keep[:, 5]) & keep[:, 7], 1.0, -1.0)
        >>> found = dual_sets(kept, 8)
        >>> found.flip.elements, found.smallest, [one.elements for one in found.sufficient]
        ((7,), True, [(2, 7), (5, 7)])
    """
    judge = Judge(Meter(game, n, budget=budget, cache=False), repeats=repeats)
    flips = Question(judge, "flip", ranking(n, order=order, allowed=allowed))
    return _Dual(flips, ranking(n, order=order, allowed=None)).found(known)


class _Dual:
    def __init__(self, flips: Question, order: Sequence[int]):
        self.flips, self.order = flips, order
        self.sets: dict[tuple[int, ...], ElementSet] = {}

    def found(self, known: Sequence[Collection[int]]) -> DualSets:
        before, members, smallest, note, certified = self.flips.judge.meter.mark(), None, False, "", False
        try:
            if not self.flips.decided():
                note = NOT_KEPT
            else:
                for one in known:
                    self._within(one)
                members, note, least = self._flip()
                certified = members is not None
                smallest = members is not None and not self.flips.judge.noisy and len(members) <= least
        except Unproved as doubt:
            members, note = list(doubt.members) or None, str(doubt)
        except BudgetSpent as spent:
            best = self.flips.smallest()
            members, note = None if best is None else list(best), f"no certificate: {spent}"
        flip = concluded(self.flips, members, certified=certified, note=note, before=before)
        return DualSets(flip, tuple(self.sets.values()), smallest)

    def _flip(self) -> tuple[list[int] | None, str, int]:
        """A minimal flip set or None, what its proof leaves open, and the size below which a monotone game has none."""
        free = self.flips.free
        while True:
            to_hit = [set(one) & set(free) for one in self.sets]
            some = [element for element in free if any(element in one for one in to_hit)]
            hits = cheapest_hitting_set(some, to_hit, [], [1.0] * len(some))
            if hits is None:
                return None, NONE, 0
            if self.flips.holds([hits])[0]:
                return *certify(self.flips, self.flips.ranked(hits)), len(hits)
            if len(hits) == len(free):
                return None, NONE, 0
            known = len(self.sets)
            self._within([element for element in self.order if element not in hits])
            if len(self.sets) == known:
                raise Unproved((), HIDDEN)

    def _within(self, pool: Collection[int]) -> None:
        """A minimal sufficient set within one that keeps the decision; by noise it may stay without certificate."""
        keeps, before = self._keeps(), self.flips.judge.meter.mark()
        try:
            members, note = certify(keeps, narrow(keeps, keeps.ranked(pool), holds=True, gallop=True) or [])
            certified = True
        except Unproved as doubt:
            members, note, certified = list(doubt.members), str(doubt), False
        if members or certified:
            one = concluded(keeps, members, certified=certified, note=note, before=before)
            self.sets[one.elements] = one

    def _keeps(self) -> Question:
        """The question for one set. In a noisy game each has answers of its own, lest those that proved one set be
        missing for another; only that everything keeps the decision is shown once for all."""
        judge = self.flips.judge
        if judge.noisy:
            whole = np.ones(judge.meter.n, bool).tobytes()
            judge = Judge(judge.meter, repeats=judge.repeats)
            judge.records[whole] = self.flips.judge.records.setdefault(whole, [])
        return Question(judge, "sufficient", self.order)
