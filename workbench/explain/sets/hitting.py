"""Sets by way of hitting sets: several minimal flip sets of one game, as unlike one another as it has them, with the
check by duality; and a smallest one.

Hitting sets (Reiter, Artificial Intelligence 1987; MARCO: Liffiton et al., Constraints 2016): in a monotone game a set
flips exactly when it meets every sufficient set. So the next candidate is the cheapest set that meets all sufficient
sets known and contains no flip set known. If it flips, it is a new minimal flip set; if not, what is left holds a
sufficient set that is new. Other games may have flip sets that miss a sufficient set: when there is no candidate left,
some searches in random orders look for them.

A smallest flip set is found so (Ignatiev et al., CP 2015) where a mask that keeps little is cheap to ask: a smallest
set that meets the sufficient ones known is removed, and where that turns the decision, no smaller one could. A language
model reads some lines for a sufficient set, and nearly all of a long prompt for a flip set: of these few are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, LinearConstraint, milp

from workbench.explain.sets.certificate import certify, narrow
from workbench.explain.sets.judge import LEAD, Judge
from workbench.explain.sets.minimal import NOT_KEPT, SPENT, ElementSet, Found, concluded, search
from workbench.explain.sets.question import SMALL_GAME, Question, Unproved, ranking
from workbench.stats.games import BudgetSpent, Meter, Oracle, whole

SHUFFLES = 6  # searches in random orders, once no hitting set is left


def diverse_flip_sets(
    game: Oracle,
    n: int,
    *,
    count: int,
    order: ArrayLike | None = None,
    budget: int | None = None,
    repeats: int = 1,
    rng: np.random.Generator | None = None,
    allowed: ArrayLike | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[ElementSet]:
    """Up to `count` minimal flip sets, none within another; an element costs the more the more sets have used it.

    Arguments as in `minimal_flip_set`; budget: of all sets together. `calls` of a result counts the rows since the one
    before it. Fewer than `count` come back when the budget is spent, or no more are found: of a monotone,
    deterministic game, these are then all. Only the first, or the last of a spent budget, may lack its certificate.
    ValueError: count below 1.

    Examples:
        >>> def kept(keep):  # needs fact 0 and fact 3
        ...     return np.where(keep[:, 0] & keep[:, 3], 1.0, -1.0)
        >>> sorted(one.elements for one in diverse_flip_sets(kept, 5, count=3))
        [(0,), (3,)]
    """
    whole("count", count, least=1)
    judge = Judge(Meter(game, n, budget=budget, cache=False, progress=progress), repeats=repeats)
    generator = rng or np.random.default_rng(0)
    hunt = _Hunt(judge, ranking(n, order=order, allowed=allowed), generator)
    first = search(hunt.flips, gallop=order is not None, rng=generator)
    results = [first] if first.found else []
    while results and judge.meter.left != 0 and len(results) < count and (another := hunt.another(results)):
        results.append(another)
    return results


class _Hunt:
    """The flip sets to avoid and the sufficient sets to meet, so far."""

    def __init__(self, judge: Judge, free: list[int], rng: np.random.Generator):
        self.flips = Question(judge, "flip", free)
        self.keeps = Question(judge, "sufficient", free)
        self.rng = rng
        self.to_hit: list[frozenset[int]] = []
        self.tried: list[frozenset[int]] = []  # candidates that led to a set known already

    def another(self, results: list[ElementSet]) -> ElementSet | None:
        """A flip set that holds none of those known; None when none is found, or the budget is spent."""
        known = [frozenset(one.elements) for one in results]
        found = concluded(self.flips, partial(self._another, known))
        return found if found.found and not _repeats(known, found.elements) else None

    def _another(self, known: list[frozenset[int]]) -> Found:
        members: list[int] | None = None
        try:
            for members in self.flipping(known):
                proved, note = certify(self.flips, members)
                if not _repeats(known, proved):
                    return proved, note
                self.tried.append(frozenset(members))
                members = None
        except BudgetSpent as spent:
            raise Unproved(members, SPENT.format(self.flips.judge.meter.budget)) from spent
        return None, ""

    def flipping(self, known: list[frozenset[int]]) -> Iterator[list[int]]:
        """Sets that flip, not proved yet: hitting sets first, then what random orders lead to."""
        used = [1.0 + sum(element in one for one in known) for element in self.flips.free]
        while (hits := cheapest_hitting_set(self.flips.free, self.to_hit, [*known, *self.tried], used)) is not None:
            if self.flips.holds([hits])[0]:
                yield self.flips.ranked(hits)
            else:
                rest = [element for element in self.flips.free if element not in hits]
                self.to_hit.append(frozenset(narrow(self.keeps, rest, holds=True) or ()))
        for _ in range(SHUFFLES):
            members = narrow(self.flips, self.rng.permutation(self.flips.free).tolist())
            if members is not None:
                yield members


def _repeats(known: list[frozenset[int]], members: Collection[int]) -> bool:
    """Whether a known set lies within the members."""
    return any(one <= set(members) for one in known)


def disjoint_pairs(
    flips: Iterable[ElementSet], sufficient: Iterable[ElementSet]
) -> list[tuple[ElementSet, ElementSet]]:
    """Pairs of a flip set and a sufficient set without a common element: in a monotone game there are none.

    Keeping the sufficient set keeps the decision, and so does keeping more: removing a set that does not touch it
    cannot flip. A pair shows that the game is not monotone, or that noise made one of the two wrong.

    Examples:
        >>> flip = ElementSet("flip", (1,), True, True, calls=2, value=-1.0)
        >>> other, same = (ElementSet("sufficient", (i,), True, True, calls=2, value=1.0) for i in (2, 1))
        >>> [(first.elements, second.elements) for first, second in disjoint_pairs([flip], [other, same])]
        [((1,), (2,))]
    """
    kept = [one for one in sufficient if one.found]
    return [(x, y) for x in flips if x.found for y in kept if not set(x.elements) & set(y.elements)]


RANK_COUNTS = 1e-3  # of the weight of one element, between the first and the last of the ranking: decides among equals


def cheapest_hitting_set(
    free: Sequence[int],
    to_hit: Sequence[Collection[int]],
    to_avoid: Sequence[Collection[int]],
    weights: Sequence[float],
) -> frozenset[int] | None:
    """The subset of `free` of least weight that meets each set of `to_hit` and holds no set of `to_avoid` whole.

    weights: of the free elements, above 0. Among equals the elements that come first in `free`. None: there is none.
    Solved exactly, as an integer program.
    """
    if any(not one for one in (*to_hit, *to_avoid)):
        return None
    if not to_hit:
        return frozenset()
    place = {element: i for i, element in enumerate(free)}
    rows = np.zeros((len(to_hit) + len(to_avoid), len(free)))
    for row, one in zip(rows, (*to_hit, *to_avoid), strict=True):
        row[[place[element] for element in one]] = 1
    lowest = [1.0] * len(to_hit) + [0.0] * len(to_avoid)
    highest = [np.inf] * len(to_hit) + [len(one) - 1.0 for one in to_avoid]
    cost = np.asarray(weights, float) + RANK_COUNTS * np.arange(len(free)) / max(len(free), 1)
    constraints = LinearConstraint(rows, lowest, highest)
    solved = milp(cost, integrality=np.ones(len(free)), bounds=Bounds(0, 1), constraints=constraints)
    return None if solved.x is None else frozenset(e for e, x in zip(free, solved.x, strict=True) if x > 0.5)


NONE = "removing every allowed element does not flip"
HIDDEN = "by noise, no set that keeps the decision was found beside one whose removal does not flip it"
MANY = 3  # elements seen to flip alone, with which the search for sets that keep the decision ends
EARLY = "the search ended early: {}"


class DualSets(NamedTuple):
    """flip: a minimal flip set; smallest: whether no smaller one exists, if keeping more never undoes the decision (not
    said of a noisy game). sufficient: minimal sets that keep the decision by themselves, as far as they were needed to
    show it, and none where it takes nearly everything: of such a decision many elements flip it alone."""

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

    order: element numbers, most important first. budget: most mask rows; when it is spent, or the game raises
    `BudgetSpent`, what was seen comes back: an element that flips alone is certified, a larger set is not. repeats,
    allowed: as in `minimal_flip_set`, allowed of the flip set; sufficient sets are of all elements. known: sets seen to
    keep the decision by themselves.

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


class _Many(Exception):
    """So many elements flip alone that a set that keeps the decision, which holds them all, tells nothing more."""


class _Keeps(Question):
    """Asks whether sets keep the decision. _Many: see there; not where all of them are few."""

    def __init__(self, judge: Judge, order: Sequence[int], alone: Callable[[], list[int]]):
        super().__init__(judge, "sufficient", order)
        self.alone = alone

    def holds(self, sets: Sequence[Collection[int]], *, lead: int = LEAD) -> list[bool]:
        held = super().holds(sets, lead=lead)
        if len(self.free) > SMALL_GAME and len(flipping := self.alone()) >= MANY:
            raise _Many(f"each of {len(flipping)} elements flips it alone")
        return held


class _Dual:
    def __init__(self, flips: Question, order: Sequence[int]):
        self.flips, self.order = flips, order
        self.sets: dict[tuple[int, ...], ElementSet] = {}
        self.least = 0  # a monotone game has no flip set below this size
        one_out = () if flips.judge.noisy else flips.masks([[element] for element in flips.free])
        self.one_out = [mask.tobytes() for mask in one_out]  # in the order of `flips.free`

    def alone(self) -> list[int]:
        """Elements of which each was seen to flip alone, most important first; none of a noisy game."""
        records = self.flips.judge.records
        seen = zip(self.flips.free, self.one_out, strict=False)
        return [element for element, mask in seen if mask in records and records[mask][0] <= 0]

    def found(self, known: Sequence[Collection[int]]) -> DualSets:
        flip = concluded(self.flips, partial(self._found, known))
        smallest = flip.certified and not self.flips.judge.noisy and len(flip.elements) <= self.least
        return DualSets(flip, tuple(self.sets.values()), smallest)

    def _found(self, known: Sequence[Collection[int]]) -> Found:
        try:
            if not self.flips.decided():
                return None, NOT_KEPT
            for one in known:
                self._within(one)
            return self._flip()
        except (BudgetSpent, _Many) as ended:
            if not (alone := self.alone()):
                raise Unproved(self.flips.smallest(), f"no certificate: {ended}") from ended
            self.least = 1  # removing nothing does not flip
            return alone[:1], EARLY.format(ended)

    def _flip(self) -> Found:
        free = self.flips.free
        while True:
            to_hit = [set(one) & set(free) for one in self.sets]
            some = [element for element in free if any(element in one for one in to_hit)]
            hits = cheapest_hitting_set(some, to_hit, [], [1.0] * len(some))
            if hits is None:
                return None, NONE
            if self.flips.holds([hits])[0]:
                self.least = len(hits)
                return certify(self.flips, self.flips.ranked(hits))
            if len(hits) == len(free):
                return None, NONE
            known = len(self.sets)
            self._within([element for element in self.order if element not in hits])
            if len(self.sets) == known:
                raise Unproved(None, HIDDEN)

    def _within(self, pool: Collection[int]) -> None:
        """A minimal sufficient set within one that keeps the decision; by noise it may stay without certificate."""
        keeps = self._keeps()
        found = concluded(
            keeps, lambda: certify(keeps, narrow(keeps, keeps.ranked(pool), holds=True, gallop=True) or [])
        )
        if found.elements or found.certified:
            self.sets[found.elements] = found

    def _keeps(self) -> Question:
        """The question for one set. In a noisy game each has answers of its own, lest those that proved one set be
        missing for another; only that everything keeps the decision is shown once for all."""
        judge = self.flips.judge
        if judge.noisy:
            whole = np.ones(judge.meter.n, bool).tobytes()
            judge = Judge(judge.meter, repeats=judge.repeats)
            judge.records[whole] = self.flips.judge.records.setdefault(whole, [])
        return _Keeps(judge, self.order, self.alone)
