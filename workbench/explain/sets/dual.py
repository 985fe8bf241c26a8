"""A smallest flip set by way of sufficient sets: for games in which a mask that keeps little is cheap to ask.

Implicit hitting sets (Reiter, Artificial Intelligence 1987; smallest ones: Ignatiev et al., CP 2015): whatever turns
the decision must meet every set that keeps it by itself. So a smallest set that meets those known is removed; where
that turns the decision, no smaller one could, and where not, what is left holds one more set that keeps it. A language
model reads some lines for a sufficient set, and nearly all of a long prompt for a flip set: of these few are asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from workbench.explain.sets.certificate import certify
from workbench.explain.sets.hitting import cheapest_hitting_set
from workbench.explain.sets.judge import Judge
from workbench.explain.sets.minimal import NOT_KEPT, concluded
from workbench.explain.sets.narrow import narrow
from workbench.explain.sets.question import Question, Unproved, ranking
from workbench.explain.sets.result import ElementSet
from workbench.meter import BudgetSpent, Meter, Oracle

NONE = "removing every allowed element does not flip"


class DualSets(NamedTuple):
    """flip: a minimal flip set; smallest: whether no smaller one exists, if keeping more never undoes the decision.
    sufficient: minimal sets that keep the decision by themselves, as far as they were needed to show it."""

    flip: ElementSet
    sufficient: tuple[ElementSet, ...]
    smallest: bool


def dual_sets(
    game: Oracle,
    n: int,
    *,
    order: ArrayLike | None = None,
    budget: int | None = None,
    allowed: ArrayLike | None = None,
    known: Sequence[Collection[int]] = (),
) -> DualSets:
    """A minimal flip set of a deterministic game, a smallest one where the game is monotone, and sufficient sets.

    order: element numbers, most important first. budget: most mask rows; when it is spent, what was seen comes back
    without certificate, and so it does where the game raises `BudgetSpent`. allowed: what the flip set is made of, as
    in `minimal_flip_set`; sufficient sets are of all elements. known: sets seen to keep the decision by themselves.

    Examples:
        >>> def kept(keep):  # needs fact 2 or fact 5, and fact 7
        ...     return np.where((keep[:, 2] | keep[:, 5]) & keep[:, 7], 1.0, -1.0)
        >>> found = dual_sets(kept, 8)
        >>> found.flip.elements, found.smallest, [one.elements for one in found.sufficient]
        ((7,), True, [(5, 7)])
    """
    judge = Judge(Meter(game, n, budget=budget, cache=False))
    keeps = Question(judge, "sufficient", ranking(n, order=order, allowed=None))
    return _Dual(Question(judge, "flip", ranking(n, order=order, allowed=allowed)), keeps).found(known)


class _Dual:
    def __init__(self, flips: Question, keeps: Question):
        self.flips, self.keeps = flips, keeps
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
                certified, smallest = members is not None, members is not None and len(members) <= least
        except Unproved as doubt:
            members, note = list(doubt.members), str(doubt)
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
            self._within([element for element in self.keeps.free if element not in hits])

    def _within(self, pool: Collection[int]) -> None:
        """A minimal sufficient set within one that keeps the decision."""
        before = self.keeps.judge.meter.mark()
        members = narrow(self.keeps, self.keeps.ranked(pool), holds=True, gallop=True) or []
        proved, note = certify(self.keeps, members)
        one = concluded(self.keeps, proved, certified=True, note=note, before=before)
        self.sets[one.elements] = one
