"""The smallest flip set of a game that is cheap to ask, as a language model's on short prompts is.

Divide and conquer gives a set of which no member can be spared; a smaller one may lie elsewhere. Where rows are cheap,
every element alone is asked first, then pairs and triples of the elements that moved the value most.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from workbench.explain.sets import ElementSet, minimal_flip_set
from workbench.explain.sets.question import ranking
from workbench.game import Game, Restricted
from workbench.keeps import without
from workbench.meter import BudgetSpent, Meter, Oracle

PAIRED, TRIPLED = 24, 12  # elements whose pairs (276) and triples (220) are asked
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
    values = np.zeros(n)
    best: ElementSet | None = None
    try:
        kept = meter(without(n, [()]))[0]
        if kept > 0:
            values[free] = meter(without(n, [(int(e),) for e in free]))
            order = free[np.argsort(values[free], kind="stable")]
            if len(order) and values[order[0]] <= 0:
                note = "an element flips alone: no smaller set exists"
                best = ElementSet("flip", (int(order[0]),), True, True, meter.calls, float(values[order[0]]), note=note)
            else:
                best = minimal_flip_set(meter, n, order=order, allowed=free, budget=meter.left, rng=rng)
                best = _smaller(meter, n, order, best)
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


def _smaller(meter: Meter, n: int, order: np.ndarray, found: ElementSet) -> ElementSet:
    """A flipping pair or triple of the foremost elements, where the set found is larger. No single element flips."""
    size = len(found.elements) if found.found else n + 1
    if size == 2 and found.certified:
        return replace(found, note=NO_SMALLER)
    for members, among in ((2, order[:PAIRED]), (3, order[:TRIPLED])):
        if members >= size:
            break
        sets = [tuple(sorted(s)) for s in combinations(among.tolist(), members)]
        values = meter(without(n, sets)) if sets else np.ones(0)
        if (values <= 0).any():
            best = int(values.argmin())
            note = NO_SMALLER if members == 2 else "no element flips alone"
            one = ElementSet("flip", sets[best], True, members == 2, meter.calls, float(values[best]), note=note)
            return one if members == 2 else _proved(meter, n, one)
    return found


def _proved(meter: Meter, n: int, triple: ElementSet) -> ElementSet:
    """The triple, certified when each of its pairs keeps the decision; else the pair that flips."""
    pairs = list(combinations(triple.elements, 2))
    values = meter(without(n, pairs))
    if (values > 0).all():
        return replace(triple, certified=True)
    best = int(values.argmin())
    return replace(triple, elements=pairs[best], certified=True, value=float(values[best]))
