"""Intervals and tests for means over cases: percentile bootstrap, and paired differences with a sign-flip p-value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval, in the unit of the values; n: how many values."""

    mean: float
    low: float
    high: float
    n: int


class PairedDifference(NamedTuple):
    """Mean of a - b with its 95 % bootstrap interval and the two-sided p-value of a sign-flip permutation test."""

    mean: float
    low: float
    high: float
    n: int
    p: float


def bootstrap_mean(values: Sequence[float], *, rng: np.random.Generator, draws: int = 2000) -> Interval:
    """Mean of `values` (n,) with a percentile bootstrap interval. ValueError: no values, or one that is not finite."""
    raise NotImplementedError


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, rng: np.random.Generator, draws: int = 2000
) -> PairedDifference:
    """Mean of a - b, value by value. ValueError: lengths differ, no values, or one that is not finite."""
    raise NotImplementedError
