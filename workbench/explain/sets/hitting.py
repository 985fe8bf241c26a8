"""The cheapest set that meets every one of some sets."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

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
