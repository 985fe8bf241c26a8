"""Whether the decision is kept under a mask, asked again where noise leaves it open.

A mask's truth is the sign of the median of its values: kept when a value is above 0 more often than not (a value of 0
is not above). So an answer counts by its side of 0 alone, and what follows holds for any noise that is drawn anew with
each ask: discrete, one-sided, of another size for every mask. Two equal values show nothing: of ten answers with one
wrong in ten, two are mostly equal. So with repeats a game is noisy.

What a certificate claims of a mask has to stand two sequential sign tests. It **passes** when it rejects that a value
lies on the claimed side in a share `NEAR` of the asks, or less. `NEAR` is above a half on purpose: a false claim, of a
share of a half or less, then passes the less often the more asks there are. The test is exact: the chance to pass at
any ask, spent over the asks (Lan and DeMets, Biometrika 1983), is counted over the binomial paths. Its **doubt** is the
posterior chance that it is false, as though `PRIOR` answers had been heard on either side before: the doubts of all
claims together tell how sure they jointly are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import betainc

from workbench.stats.games import BudgetSpent, Meter, whole

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


NEAR = 0.6  # share of a mask's values on one side of 0, up to which the mask counts as too near the threshold
LATE = 3  # power of the share of asks used, by which the chance is spent: most of it late, when it helps most
AGAINST = 4  # answers by which the other side must lead before a claim is given up early
PRIOR = 10  # answers on either side: masks' shares then spread about a half with a standard deviation of 0.11


@lru_cache(maxsize=512)
def most_against(asks: int, level: float) -> tuple[int, ...]:
    """How many of the first 1, 2 ... `asks` answers may speak against a claim that passes there; -1: none passes.

    A claim whose answers speak for it in a share `NEAR` passes at one of the asks with a chance of `level` at most.
    """
    paths, spent, most = np.zeros(asks + 1), 0.0, []  # chance of each number of answers against, not passed yet
    paths[0] = 1
    for ask in range(1, asks + 1):
        paths = paths * NEAR + np.concatenate([[0.0], paths[:-1]]) * (1 - NEAR)
        passing = spent + np.cumsum(paths) <= level * (ask / asks) ** LATE
        against = int(passing.sum()) - 1
        spent += float(paths[: against + 1].sum())
        paths[: against + 1] = 0
        most.append(against)
    return tuple(most)


@lru_cache(maxsize=4096)
def doubt(speaking: int, against: int) -> float:
    """The chance that most values of a mask speak against a claim, after these answers for and against it."""
    return float(betainc(PRIOR + speaking, PRIOR + against, 0.5))


class Claim:
    """That the decision is kept under a mask, or that it is not, with the answers heard since it was made."""

    def __init__(self, mask: np.ndarray, kept: bool, *, asks: int, level: float):
        """asks: most answers to come. level: chance to pass of a mask too near the threshold."""
        self.mask, self.kept = mask, kept
        self.most = most_against(asks, level)
        self.heard, self.against = 0, 0
        self.passed = self.failed = False

    def hear(self, values: Iterable[float]) -> None:
        """Counts answers. The claim fails when the other side leads clearly, or too many speak against it to pass."""
        for value in values:
            self.against += (value > 0) != self.kept
            self.passed |= not self.failed and self.against <= self.most[self.heard]
            self.heard += 1
            clearly = 2 * self.against - self.heard >= AGAINST
            hopeless = self.against > max(self.most[self.heard :], default=-1)
            self.failed |= not self.passed and (clearly or hopeless)

    @property
    def doubt(self) -> float:
        """The chance that it is false; see `doubt`."""
        return doubt(self.heard - self.against, self.against)

    @property
    def refuted(self) -> bool:
        """Failed with most answers against it: a reason to look further, no proof."""
        return self.failed and 2 * self.against > self.heard
