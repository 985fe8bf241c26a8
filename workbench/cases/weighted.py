"""Things that are drawn, some more often than others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Weighted(NamedTuple):
    """Things to draw from, and the sums of how often each is drawn compared with the others."""

    things: list[tuple[str, str]]
    sums: np.ndarray

    def drawn(self, rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
        """Up to `count` things, by their weights, one after another without replacement."""
        if not self.things:
            return []
        places = np.searchsorted(self.sums, rng.random(4 * count) * self.sums[-1], side="right")
        return [self.things[place] for place in dict.fromkeys(places.tolist())][:count]


def weighted(pairs: Sequence[tuple[tuple[str, str], float]]) -> Weighted:
    """Those of weight above 0."""
    kept = [(thing, weight) for thing, weight in pairs if weight > 0]
    return Weighted([thing for thing, _ in kept], np.cumsum([weight for _, weight in kept]))
