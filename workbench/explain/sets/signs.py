"""Sequential sign tests: is the decision kept under a mask, as a certificate claims it?

A mask's truth is the sign of the median of its values: kept when a value is above 0 more often than not (a value of 0
is not above). So an answer counts by its side of 0 alone, and what follows holds for any noise that is drawn anew with
each ask: discrete, one-sided, of another size for every mask.

A claim has to stand two tests. It **passes** when it rejects that a value lies on the claimed side in a share `NEAR` of
the asks, or less. `NEAR` is above a half on purpose: a false claim, of a share of a half or less, then passes the less
often the more asks there are. The test is exact: the chance to pass at any ask, spent over the asks (Lan and DeMets,
Biometrika 1983), is counted over the binomial paths. Its **doubt** is the posterior chance that it is false, as though
`PRIOR` answers had been heard on either side before: the doubts of all claims together tell how sure they jointly are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.special import betainc

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


def passes(most: tuple[int, ...], share: float) -> float:
    """The chance that a claim passes whose answers speak for it in this share of the asks."""
    paths, passed = np.zeros(len(most) + 1), 0.0
    paths[0] = 1
    for against in most:
        paths = paths * share + np.concatenate([[0.0], paths[:-1]]) * (1 - share)
        passed += float(paths[: against + 1].sum())
        paths[: against + 1] = 0
    return passed


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
            self.failed |= not self.passed and (clearly or self.hopeless)

    @property
    def hopeless(self) -> bool:
        """Whether too many answers speak against the claim to pass with those to come."""
        return self.against > max(self.most[self.heard :], default=-1)

    @property
    def doubt(self) -> float:
        """The chance that it is false; see `doubt`."""
        return doubt(self.heard - self.against, self.against)

    @property
    def refuted(self) -> bool:
        """Failed with most answers against it: a reason to look further, no proof."""
        return self.failed and 2 * self.against > self.heard
