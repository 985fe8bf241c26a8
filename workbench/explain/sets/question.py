"""The two questions asked of a set: does removing it flip the decision, does keeping only it keep the decision,
and a set to start from where removing everything does not flip: such a game is not monotone, or nothing flips.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from workbench.explain.sets.judge import LEAD, Judge
from workbench.stats.games import without

DECIDED = 4  # answers by which one side must lead, of the mask that keeps everything


class Unproved(Exception):
    """The set in `members` could not be proved minimal, or None was found; the message says why."""

    def __init__(self, members: Collection[int] | None, why: str):
        super().__init__(why)
        self.members = members


class Question:
    """Asks `does this set hold?` of a judge, for sets of element numbers.

    A flip set holds when the decision is not kept without it, a sufficient set when it is kept with nothing else.
    kind: `flip` or `sufficient`. free: the elements that sets are made of, most important first; all others are
    kept always.
    """

    def __init__(self, judge: Judge, kind: str, free: Sequence[int]):
        self.judge, self.kind, self.free = judge, kind, tuple(free)

    def masks(self, sets: Iterable[Collection[int]]) -> np.ndarray:
        """Keep-masks (m, n) bool of the sets."""
        if self.kind == "sufficient":
            sets = [[element for element in self.free if element not in one] for one in map(frozenset, sets)]
        return without(self.judge.meter.n, sets)

    def holds(self, sets: Sequence[Collection[int]], *, lead: int = LEAD) -> list[bool]:
        """Whether each set holds; those not known yet are asked together. lead, errors: see `Judge.kept`."""
        kept = self.judge.kept(self.masks(sets), lead=lead)
        return [bool(one) == (self.kind == "sufficient") for one in kept]

    def proved(self, sets: Sequence[Collection[int]], *, level: float, whole: float, doubt: float) -> list[bool | None]:
        """Whether each set holds, where the first is claimed to hold and no other is; None: that stays open.

        In a noisy game each claim is put to the test of `judge` at its level, that everything keeps the decision at the
        level `whole`, and all together at `doubt`. Unproved: everything does not keep the decision.
        """
        if not self.judge.noisy:
            return list(self.holds(sets))
        holding, everything = self.kind == "sufficient", self.masks([self._everything])[0]
        claims = {everything.tobytes(): self.judge.claim(everything, True, level=whole, anew=False)}
        masks = self.masks(sets)
        keys = [mask.tobytes() for mask in masks]
        for place, (key, mask) in enumerate(zip(keys, masks, strict=True)):
            if key not in claims:
                claims[key] = self.judge.claim(mask, (place == 0) == holding, level=level)
        proved = self.judge.prove(list(claims.values()), doubt=doubt)
        if claims[everything.tobytes()].refuted:
            raise Unproved(sets[0], "asked again, the decision is not kept with everything kept")
        seen = [claims[key] for key in keys]
        return [(one.kept != one.refuted) == holding if proved or one.refuted else None for one in seen]

    @property
    def _everything(self) -> Sequence[int]:
        """The set whose mask keeps everything."""
        return () if self.kind == "flip" else self.free

    def decided(self) -> bool:
        """Whether the decision is kept with everything kept: else there is nothing to explain."""
        return self.holds([self._everything], lead=DECIDED)[0] == (self.kind == "sufficient")

    def smallest(self) -> frozenset[int] | None:
        """The smallest set seen to hold so far, whatever its mask was asked for; None when there is none."""
        wanted, value = self.kind == "sufficient", self.judge.value
        seen = [np.frombuffer(mask, bool) for mask in self.judge.records]
        sets = [frozenset(element for element in self.free if row[element] == wanted) for row in seen]
        held = [
            one
            for one, row, mask in zip(sets, seen, self.masks(sets), strict=True)
            if (row == mask).all() and (value(row) > 0 if wanted else value(row) <= 0)
        ]
        return min(held, key=len, default=None)

    def ranked(self, members: Collection[int]) -> list[int]:
        """The members, most important first."""
        return [element for element in self.free if element in members]


def ranking(n: int, *, order: ArrayLike | None, allowed: ArrayLike | None) -> list[int]:
    """The allowed elements, most important first: those in `order` as they stand there, then the others by number.

    ValueError: an order that is no row of different element numbers, or `allowed` neither bool (n,) nor such a row.
    """
    first = [] if order is None else _elements("order", order, n)
    may = set(range(n)) if allowed is None else _allowed(allowed, n)
    return [element for element in dict.fromkeys([*first, *range(n)]) if element in may]


def _allowed(allowed: ArrayLike, n: int) -> set[int]:
    given = np.asarray(allowed)
    if given.dtype != bool:
        return set(_elements("allowed", given, n))
    if given.shape != (n,):
        raise ValueError(f"allowed as a bool mask must be of shape ({n},), not {given.shape}")
    return set(np.flatnonzero(given).tolist())


def _elements(name: str, given: ArrayLike, n: int) -> list[int]:
    numbers = np.asarray(given)
    if numbers.size == 0:
        return []
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"{name} must be element numbers in a row, not {numbers.dtype} of shape {numbers.shape}")
    if numbers.min() < 0 or numbers.max() >= n or len(set(numbers.tolist())) < len(numbers):
        raise ValueError(f"{name} must hold different numbers from 0 to {n - 1}, not {numbers.tolist()}")
    return numbers.tolist()


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
    by_size = ([*combinations(free, size)] for size in range(1, len(free)))
    for batch in by_size if whole else _samples(free, rng):
        held = question.holds(batch)
        if True in held:
            return list(batch[held.index(True)]), "the game is not monotone: removing everything allowed does not flip"
        asked += len(batch)
    if whole:
        return None, "no set of allowed elements flips: all were asked"
    return None, f"removing everything allowed does not flip, nor does any of {asked} smaller sets asked"


def _samples(free: Sequence[int], rng: np.random.Generator) -> Iterator[list[tuple[int, ...]]]:
    for share in SHARES:
        drawn = rng.random((DRAWS, len(free))) < share
        yield [tuple(e for e, taken in zip(free, row, strict=True) if taken) for row in drawn]
    if free:
        yield [(element,) for element in free]
    if len(free) > 1:
        yield list(combinations(free[:PAIRED], 2))
