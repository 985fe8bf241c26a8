"""Keep-masks made of sets, of an order, or by chance, and what a game loses without a set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from workbench.stats.meter import Meter, Oracle


def without(n: int, sets: Iterable[Collection[int]]) -> np.ndarray:
    """Keep-masks (sets, n) bool of all n elements but the members of each set; the empty set keeps everything."""
    listed = [list(members) for members in sets]
    keep = np.ones((len(listed), n), bool)
    for mask, members in zip(keep, listed, strict=True):
        mask[members] = False
    return keep


def only(n: int, sets: Iterable[Collection[int]]) -> np.ndarray:
    """Keep-masks (sets, n) bool of the members of each set alone."""
    return ~without(n, sets)


def alone(n: int) -> list[tuple[int]]:
    """Every element as a set of its own."""
    return [(i,) for i in range(n)]


def without_first(n: int, order: Sequence[int] | np.ndarray, counts: Iterable[int]) -> np.ndarray:
    """Keep-masks (counts, n) bool of everything but the first `count` elements of an order, which may leave some out.

    ValueError: an order of nothing, or with an element that is named twice or not there; a count beyond the order.
    """
    numbers, sizes = np.asarray(order).tolist(), list(counts)
    if not numbers or len({*numbers} & {*range(n)}) < len(numbers):
        raise ValueError(f"order must name elements 0 .. {n - 1}, each once at most, not {numbers!r}"[:300])
    if wrong := [k for k in sizes if not 0 <= k <= len(numbers)]:
        raise ValueError(f"a number of elements must lie in 0..{len(numbers)}, not {wrong[0]!r}")
    return without(n, (numbers[:k] for k in sizes))


def all_masks(n: int) -> np.ndarray:
    """Every keep-mask of n elements, (2^n, n) bool: row r keeps the elements whose bits are set in r."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 > 0


def draw_masks(count: int, n: int, *, rng: np.random.Generator, keep: float | np.ndarray = 0.5) -> np.ndarray:
    """Random keep-masks (count, n) bool: element i stays with probability keep, or keep[i], on its own.

    ValueError: a probability outside [0, 1], or not one for every element.
    """
    stay = np.asarray(keep, dtype=float)
    if stay.shape not in ((), (n,)):
        raise ValueError(f"keep must be one probability or one for each of {n} elements, not of shape {stay.shape}")
    if not ((stay >= 0) & (stay <= 1)).all():
        raise ValueError(f"keep must lie in [0, 1], not {stay[~((stay >= 0) & (stay <= 1))].flat[0]}")
    return rng.random((count, n)) < stay


def ask(game: Oracle, keep: np.ndarray) -> np.ndarray:
    """Values (m,) float64 of keep-masks (m, n), equal masks asked once, in one call. ValueError: see `Meter`."""
    return Meter(game, np.shape(keep)[-1])(keep)


def losses(game: Oracle, n: int, sets: Iterable[Collection[int]] | None = None) -> np.ndarray:
    """v(all) - v(all but the set): (sets,) in the unit of the game; sets: None: every element alone (leave one out).

    sets + 1 rows, in one call.
    """
    values = np.asarray(game(without(n, [(), *(alone(n) if sets is None else sets)])), dtype=float)
    return values[0] - values[1:]
