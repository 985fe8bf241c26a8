"""A flip set to start from when removing everything does not flip: such a game is not monotone, or nothing flips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from workbench.explain.sets.question import Question

SMALL_GAME = 12  # elements: all sets of so small a game can be asked, 4,096 at most
DRAWS = 8  # sets of random elements that are asked at each share of the elements
SHARES = (0.5, 0.25)
PAIRED = 10  # foremost elements all of whose pairs are asked


def probe(question: Question, *, rng: np.random.Generator) -> tuple[list[int] | None, str]:
    """A set that holds, or None, and what was asked to find it.

    Of a small deterministic game all sets are asked, smallest first; else random halves and quarters (which find
    parities), every element alone, and pairs of the foremost.
    """
    free = question.free
    whole = len(free) <= SMALL_GAME and not question.judge.noisy
    asked = 0
    for batch in _by_size(free) if whole else _samples(free, rng):
        held = question.holds(batch)
        if True in held:
            return list(batch[held.index(True)]), "the game is not monotone: removing everything allowed does not flip"
        asked += len(batch)
    if whole:
        return None, "no set of allowed elements flips: all were asked"
    return None, f"removing everything allowed does not flip, nor does any of {asked} smaller sets asked"


def _by_size(free: Sequence[int]) -> Iterator[list[tuple[int, ...]]]:
    for size in range(1, len(free)):
        yield list(combinations(free, size))


def _samples(free: Sequence[int], rng: np.random.Generator) -> Iterator[list[tuple[int, ...]]]:
    for share in SHARES:
        drawn = rng.random((DRAWS, len(free))) < share
        yield [tuple(e for e, taken in zip(free, row, strict=True) if taken) for row in drawn]
    if free:
        yield [(element,) for element in free]
    if len(free) > 1:
        yield list(combinations(free[:PAIRED], 2))
