"""What tuning changed, in sets: whose removal flips the one model and not the other.

Each model has its own game on the same elements, its decision kept where the value is above 0. An element is

- **kept** where both models depend on it,
- **added** where only the tuned one does,
- **dropped** where only the base one does.

To depend on an element is to have a certified minimal flip set with it among the sets found. A model may have many, and
which of them a search finds is a matter of its order: so that the order makes no difference between the models, each
set found on one model is put to the other, and where it flips that one too, is made minimal there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from workbench.artifacts.files import untimed
from workbench.explain.sets import ElementSet, diverse_flip_sets, minimal_flip_set
from workbench.explain.sets.question import ranking
from workbench.game import ForcedChoice
from workbench.stats.games import BudgetSpent, Ledger, Meter, Oracle, whole, without

UNDECIDED = "the {} model does not keep the decision with everything kept: it depends on nothing"
UNASKED = "the budget was spent before every set was put to the {} model"
ALONE = "the budget was too small to ask every element of the {} model alone"


@dataclass(frozen=True)
class ChangedSets:
    """Flip sets of the tuned and the base model, and what they say of the elements (numbers, ascending).

    tuned, base: the sets found on each, those first that were searched for. tuned_only: certified sets of the tuned
    model whose removal leaves the base model's decision; base_only: the reverse; shared: certified sets of either whose
    removal flips both. unsure: elements that would be added or dropped, were it not that a set with them has no
    certificate on the other model or could not be put to it, or that the other model's budget was spent before any set
    was seen there, and elements of no certified set at all. calls: rows asked of both games; ledger: what they cost.
    forced: whether the base's decision is a forced choice (`game.ForcedChoice`).

    Examples:
        >>> def tuned(keep):
        ...     return np.where(keep[:, 2], 1.0, -1.0)
        >>> def base(keep):
        ...     return np.where(keep[:, 0] | keep[:, 1], 1.0, -1.0)
        >>> found = changed_sets(tuned, base, 3)
        >>> found.tuned_only, found.base_only, found.shared
        (((2,),), ((0, 1),), ())
    """

    tuned: tuple[ElementSet, ...]
    base: tuple[ElementSet, ...]
    tuned_only: tuple[tuple[int, ...], ...]
    base_only: tuple[tuple[int, ...], ...]
    shared: tuple[tuple[int, ...], ...]
    added: tuple[int, ...]
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    unsure: tuple[int, ...]
    calls: int
    notes: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger, compare=False)
    forced: bool = False

    def to_dict(self) -> dict:
        """Plain JSON types."""
        found = {name: [one.to_dict() for one in getattr(self, name)] for name in ("tuned", "base")}
        return untimed(json.loads(json.dumps(asdict(self) | found)))


def changed_sets(
    tuned_game: Oracle,
    base_game: Oracle,
    n: int,
    *,
    count: int = 1,
    alone: bool = False,
    order: ArrayLike | None = None,
    budget: int | None = None,
    repeats: int = 1,
    rng: np.random.Generator | None = None,
    allowed: ArrayLike | None = None,
) -> ChangedSets:
    """The sets whose removal flips the tuned model and not the base model, the reverse, and what that says of elements.

    count: how many flip sets are searched for on each model. alone: ask first what every allowed element does alone,
    all in one call, and search only where fewer than `count` flip: complete for sets of one, and fast where rows are
    cheap together. budget: most rows asked of each. The rest as in `minimal_flip_set`; both searches get the same order
    and the same random numbers, so that equal games give equal sets and nothing is added or dropped.
    ValueError: `alone` in a noisy game, where one value is no proof; arguments out of range.

    Examples:
        >>> def tuned(keep):
        ...     return np.where(keep[:, 0] & keep[:, 2], 1.0, -1.0)
        >>> def base(keep):
        ...     return np.where(keep[:, 0] & keep[:, 1], 1.0, -1.0)
        >>> found = changed_sets(tuned, base, 4, count=2)
        >>> found.added, found.kept, found.dropped
        ((2,), (0,), (1,))
    """
    whole("count", count, least=1)
    if whole("repeats", repeats, least=1) > 1 and alone:
        raise ValueError(f"alone asks each element once; it is for deterministic games, not for repeats={repeats}")
    tuned, base = (
        Side(name, Meter(game, n, budget=budget, cache=repeats == 1), order=order, repeats=repeats, rng=rng)
        for name, game in (("tuned", tuned_game), ("base", base_game))
    )
    for side in (tuned, base):
        if alone:
            side.ask_alone(allowed)
        if len(side.certified) < count:
            side.search(count, allowed=allowed)
    return replace(compared(tuned, base), forced=isinstance(base_game, ForcedChoice))


class Side:
    """One model's game and the flip sets found on it. Asks nothing beyond its budget: what is missing is noted."""

    def __init__(
        self, name: str, meter: Meter, *, order: ArrayLike | None, repeats: int, rng: np.random.Generator | None
    ):
        self.name, self.meter, self.order, self.repeats, self.rng = name, meter, order, repeats, rng
        self.sets: dict[tuple[int, ...], ElementSet] = {}
        self.notes: dict[str, None] = {}
        self.open: set[int] = set()  # elements of sets that this model could not be asked about
        kept = self.kept(())
        self.decides = kept is True
        self.spent = kept is None  # whether the budget ended the search, or the first question already
        if kept is False:
            self.notes[UNDECIDED.format(name)] = None

    def kept(self, removed: Sequence[int]) -> bool | None:
        """Whether the decision is kept without these elements; None where the budget does not allow the question."""
        try:
            return bool((self.meter(without(self.meter.n, [removed] * self.repeats)) > 0).mean() > 0.5)
        except BudgetSpent:
            self.notes[UNASKED.format(self.name)] = None
            return None

    def flips(self, removed: Sequence[int]) -> bool | None:
        """Whether removing these elements undoes a decision that was there; None where that could not be asked."""
        kept = self.kept(removed) if self.decides else True
        return None if kept is None else not kept

    def ask_alone(self, allowed: ArrayLike | None) -> None:
        """Adds every allowed element that flips alone: a set of one is minimal where the decision is kept with all."""
        free = ranking(self.meter.n, order=self.order, allowed=allowed)
        try:
            values = self.meter(without(self.meter.n, [(e,) for e in free])).tolist() if self.decides else []
        except BudgetSpent:
            self.notes[ALONE.format(self.name)] = None
            return
        flips = [(e, value) for e, value in zip(free, values, strict=False) if value <= 0]
        self.add([ElementSet("flip", (e,), True, True, 1, value) for e, value in flips])

    def search(self, count: int, *, allowed: ArrayLike | None) -> None:
        """Looks for `count` flip sets among the allowed elements."""
        if not self.decides:
            return
        rows, how = [0], self.how()
        how |= {"allowed": allowed, "progress": rows.append}
        if count == 1:
            self.add([minimal_flip_set(self.meter, self.meter.n, **how)])
        else:
            self.add(diverse_flip_sets(self.meter, self.meter.n, count=count, **how))
        self.spent = rows[-1] == how["budget"]

    def put(self, sets: Sequence[tuple[int, ...]]) -> None:
        """The other model's sets: those that flip this one too are made minimal here and added."""
        for members in sets:
            flips = members not in self.sets and self.flips(members)
            if flips is None:
                self.open.update(members)
            elif flips:
                self.add([minimal_flip_set(self.meter, self.meter.n, allowed=np.array(members), **self.how())])

    def how(self) -> dict[str, Any]:
        """What every search is given: the same random numbers each time, and what is left of the budget."""
        return {"order": self.order, "repeats": self.repeats, "budget": self.meter.left, "rng": deepcopy(self.rng)}

    def add(self, sets: Sequence[ElementSet]) -> None:
        """Remembers what was found, one set once, a certified one before the same without certificate."""
        for one in sets:
            if one.found and (one.certified or one.elements not in self.sets):
                self.sets[one.elements] = one
            if one.note:
                self.notes[f"{self.name}: {one.note}"] = None

    @property
    def unknown(self) -> bool:
        """Whether the budget ended the search before any set was seen: the model may depend on any element."""
        return self.spent and not self.sets

    @property
    def doubtful(self) -> set[int]:
        """Elements of which it is not known whether this model depends on them."""
        return self.open.union(*(elements for elements, one in self.sets.items() if not one.certified))

    @property
    def certified(self) -> list[tuple[int, ...]]:
        """The certified sets, in the order in which they were found."""
        return [elements for elements, one in self.sets.items() if one.certified]


def compared(tuned: Side, base: Side) -> ChangedSets:
    """What the sets found on each model say of both: each set is put to the other model first."""
    searched = tuned.certified, base.certified
    base.put(searched[0])
    tuned.put(searched[1])
    flips = {one: (tuned.flips(one), base.flips(one)) for one in dict.fromkeys([*tuned.certified, *base.certified])}
    ours, theirs = ({e for one in side.certified for e in one} for side in (tuned, base))
    added = set() if base.unknown else ours - theirs - base.doubtful
    dropped = set() if tuned.unknown else theirs - ours - tuned.doubtful
    unsure = (ours | theirs | tuned.doubtful | base.doubtful) - (ours & theirs) - added - dropped
    return ChangedSets(
        tuned=tuple(tuned.sets.values()),
        base=tuple(base.sets.values()),
        tuned_only=tuple(one for one in tuned.certified if flips[one][1] is False),
        base_only=tuple(one for one in base.certified if flips[one][0] is False),
        shared=tuple(one for one, both in flips.items() if all(both)),
        added=tuple(sorted(added)),
        kept=tuple(sorted(ours & theirs)),
        dropped=tuple(sorted(dropped)),
        unsure=tuple(sorted(unsure)),
        calls=tuned.meter.calls + base.meter.calls,
        ledger=tuned.meter.ledger + base.meter.ledger,
        notes=tuple(dict.fromkeys([*tuned.notes, *base.notes])),
    )
