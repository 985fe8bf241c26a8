"""Whether the decision is kept under a mask, asked again where noise leaves it open.

The truth of a mask is the sign of the median of its values; an answer counts by its side of 0 alone, see `signs`. Two
equal values show nothing: of ten answers with one wrong in ten, two are mostly equal. So with repeats a game is noisy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workbench.explain.sets.signs import Claim
from workbench.meter import BudgetSpent, Meter, whole

LEAD = 2  # answers by which one side of 0 must lead before a noisy search goes on: what it gets wrong the proof shows
SEARCHED = 0.4  # share of the repeats that a search may use on one mask; the others are for the proof


class Judge:
    """Sides of 0 of a game's values, each mask asked as often as it takes, at most `repeats` times.

    With repeats = 1 the game is taken as deterministic: one value settles a mask.
    """

    def __init__(self, meter: Meter, *, repeats: int = 1):
        """meter: one without a cache; the judge remembers. ValueError: repeats no whole number of 1 or more."""
        self.meter, self.repeats = meter, whole("repeats", repeats, least=1)
        self.records: dict[bytes, list[float]] = {}  # mask -> its values, in the order of the asks

    @property
    def noisy(self) -> bool:
        """Whether values may scatter: they may wherever repeats are allowed."""
        return self.repeats > 1

    def kept(self, keep: np.ndarray, *, lead: int = LEAD) -> np.ndarray:
        """Whether the decision is kept, (m,) bool, for masks (m, n) bool: whether most values seen are above 0.

        All unknown masks are asked in one call, then those again whose sides of 0 lead by less than `lead` answers.
        BudgetSpent: after the rows that fitted were asked.
        """
        rows = {row.tobytes(): row for row in keep}
        while asked := [row for key, row in rows.items() if not self._settled(key, lead)]:
            self.ask(np.array(asked))
        return np.array([self.value(row) > 0 for row in keep], bool)

    def claim(self, mask: np.ndarray, kept: bool, *, level: float, anew: bool = True) -> Claim:
        """A claim on a mask, to be proved by the asks that are left to it.

        anew: answers so far may have led to the claim, so they do not count for it; False: it was clear beforehand.
        """
        values = [] if anew else self.records.get(mask.tobytes(), [])
        claim = Claim(mask, kept, asks=self.left(mask) + len(values), level=level)
        claim.hear(values)
        return claim

    def prove(self, claims: Sequence[Claim], *, doubt: float) -> bool:
        """Whether all claims pass, with doubts that add up to `doubt` at most; the first that fails ends the asking.

        Those that have not passed are asked together, then those of the largest doubts. BudgetSpent: as above.
        """
        while not any(one.failed for one in claims):
            asked = [one for one in claims if not one.passed]
            if not asked:
                if sum(one.doubt for one in claims) <= doubt:
                    return True
                able = [one for one in claims if self.left(one.mask)]
                most = max((one.doubt for one in able), default=0.0)
                asked = [one for one in able if one.doubt >= most / 2]
            if not asked or not all(self.left(one.mask) for one in asked):
                return False
            self.ask(np.array([one.mask for one in asked]))
            for one in asked:
                one.hear(self.records[one.mask.tobytes()][-1:])
        return False

    def left(self, mask: np.ndarray) -> int:
        """How often a mask may still be asked."""
        return self.repeats - len(self.records.get(mask.tobytes(), ()))

    def value(self, mask: np.ndarray) -> float:
        """Median of the values seen of one mask (n,), the lower of two; nan when it was not asked.

        It is above 0 exactly when most values are, and infinite values do it no harm.
        """
        values = sorted(self.records.get(mask.tobytes(), ()))
        return values[(len(values) - 1) // 2] if values else math.nan

    def _settled(self, key: bytes, lead: int) -> bool:
        values = self.records.get(key, ())
        ahead = abs(2 * sum(value > 0 for value in values) - len(values))
        return len(values) > 0 and (ahead >= lead or len(values) >= max(1, int(SEARCHED * self.repeats)))

    def ask(self, masks: np.ndarray) -> None:
        """One more value of each of these different masks; those beyond the budget are left out, then BudgetSpent."""
        left = self.meter.left
        for row, value in zip(masks[:left], self.meter(masks[:left]).tolist(), strict=True):
            self.records.setdefault(row.tobytes(), []).append(value)
        if left is not None and left < len(masks):
            raise BudgetSpent(f"the budget of {self.meter.budget} rows is spent")
