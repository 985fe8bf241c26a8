"""Games of keep-masks: the masks, what a game loses without a set, what a search costs and where its budget ends it.

A game is any callable `game(keep) -> values`: keep-masks (m, n) in, one value a mask out; one mask is one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

Oracle = Callable[[np.ndarray], np.ndarray]
"""game(keep: (m, n) bool, or float in [0, 1]) -> (m,) float. The decision is kept where the value is above 0."""


@dataclass
class Ledger:
    """What a result cost: model calls (batches), rows, tokens without padding, backward passes, seconds."""

    calls: int = 0
    rows: int = 0
    tokens: int = 0
    backward_passes: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict:
        """Plain numbers, for manifests."""
        return asdict(self)

    def copy(self) -> Ledger:
        """As it stands now."""
        return replace(self)

    def __add__(self, more: Ledger) -> Ledger:
        """Both together."""
        return Ledger(**{name: value + getattr(more, name) for name, value in vars(self).items()})

    def __sub__(self, before: Ledger) -> Ledger:
        """What came after `before`, a copy of the same ledger."""
        return Ledger(**{name: value - getattr(before, name) for name, value in vars(self).items()})


def whole(name: str, value: object, *, least: int) -> int:
    """The value as an int. ValueError: no whole number (a bool, 2.0 and nan are none), or below `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}; give an int")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, not {value!r}")
    return int(value)


class BudgetSpent(RuntimeError):
    """Raised before a call that would exceed the budget: nothing has been asked, `calls` still holds."""


class Meter:
    """A game with a counter, a memory and a hard limit: what every search asks through.

    n: elements of the game. budget: most mask rows that may be evaluated, None for no limit. cache: a mask asked again
    costs nothing, as befits a deterministic game; False asks every row anew, for a noisy one. progress: called with
    `calls` after each call of the game. Values of a row with a cache are those of its first evaluation.
    """

    def __init__(
        self,
        game: Oracle,
        n: int,
        *,
        budget: int | None = None,
        cache: bool = True,
        progress: Callable[[int], None] | None = None,
    ):
        """ValueError: n or the budget no whole number, or below 0."""
        self.game, self.n, self.progress = game, whole("n", n, least=0), progress
        self.budget = None if budget is None else whole("budget", budget, least=0)
        self.calls = 0  # mask rows evaluated
        self.ledger = Ledger()  # what they cost: by the game's own ledger where it keeps one, else calls, rows, seconds
        self._known: dict[bytes, float] | None = {} if cache else None

    @property
    def left(self) -> int | None:
        """Mask rows that may still be evaluated; None: no limit."""
        return None if self.budget is None else self.budget - self.calls

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) float64 of masks (m, n), the unknown ones in one call of the game.

        BudgetSpent: they are more than `left`. ValueError: masks or values of another shape, or a value that is nan.
        """
        masks = np.asarray(keep)
        if masks.ndim != 2 or masks.shape[1] != self.n:
            raise ValueError(f"masks must be of shape (m, {self.n}), not {masks.shape}; give one row a mask")
        masks = masks if masks.dtype == bool else masks.astype(np.float64)
        if self._known is None:
            return self._evaluate(masks)
        keys = [row.tobytes() for row in masks]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            self._known.update(zip(new, self._evaluate(masks[list(new.values())]).tolist(), strict=True))
        return np.array([self._known[key] for key in keys], float)

    def _evaluate(self, masks: np.ndarray) -> np.ndarray:
        """The game itself: counted, limited, its answer checked."""
        if not len(masks):
            return np.zeros(0)
        if self.left is not None and len(masks) > self.left:
            raise BudgetSpent(f"{len(masks)} more rows would exceed the budget of {self.budget}; {self.left} are left")
        before, started = booked(self.game), time.perf_counter()
        values = _numbers(self.game(masks.copy()))  # a game may write into what it is given
        after = booked(self.game)
        if before is None or after is None:
            spent = Ledger(calls=1, rows=len(masks), seconds=time.perf_counter() - started)
        else:
            spent = after - before
        self.ledger = self.ledger + spent
        self.calls += len(masks)
        if values.shape != (len(masks),):
            raise ValueError(f"the game must give one value a mask, ({len(masks)},), not {values.shape}")
        if np.isnan(values).any():
            raise ValueError(f"the game's value of mask {int(np.flatnonzero(np.isnan(values))[0])} is nan")
        if self.progress:
            self.progress(self.calls)
        return values


def booked(game: object) -> Ledger | None:
    """What a game says it has cost so far; None where it keeps no ledger."""
    ledger = getattr(game, "ledger", None)
    return ledger.copy() if isinstance(ledger, Ledger) else None


def _numbers(values: object) -> np.ndarray:
    """Values as float64. ValueError: not numbers."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the game must give numbers, one a mask, not {values!r:.100}; {error}") from error


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
