"""Several minimal flip sets of one game, as unlike one another as it has them, and the check by duality.

Hitting sets (Reiter, Artificial Intelligence 1987; MARCO: Liffiton et al., Constraints 2016): in a monotone game a set
flips exactly when it meets every sufficient set. So the next candidate is the cheapest set that meets all sufficient
sets known and contains no flip set known. If it flips, it is a new minimal flip set; if not, what is left holds a
sufficient set that is new. Other games may have flip sets that miss a sufficient set: when there is no candidate left,
some searches in random orders look for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, LinearConstraint, milp

from workbench.explain.sets.certificate import certify, narrow
from workbench.explain.sets.judge import Judge
from workbench.explain.sets.minimal import SPENT, ElementSet, concluded, search
from workbench.explain.sets.question import Question, Unproved, ranking
from workbench.stats.meter import BudgetSpent, Meter, Oracle, whole

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
        before = self.flips.judge.meter.mark()
        known = [frozenset(one.elements) for one in results]
        members: Collection[int] | None = None
        certified, note = False, ""
        try:
            for members in self.flipping(known):
                proved, note = certify(self.flips, members)
                if certified := not _repeats(known, proved):
                    members = proved
                    break
                self.tried.append(frozenset(members))
                members = None
        except Unproved as doubt:
            members, note = doubt.members, str(doubt)
        except BudgetSpent:
            note = SPENT.format(self.flips.judge.meter.budget)
        if members is None or _repeats(known, members):
            return None
        return concluded(self.flips, members, certified=certified, note=note, before=before)

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
