"""Intervals over cases (percentile bootstrap; Wilson's for shares), and paired differences with a sign-flip p-value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 95  # per cent, of every interval
EXACT_UP_TO = 12  # pairs: all 4096 sign patterns are counted; beyond, patterns are drawn
WILSON_Z = 1.959964  # the normal quantile of a 95 % interval
CELLS = 2**22  # resampled values held at once


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval, in the unit of the values; n: how many values."""

    mean: float
    low: float
    high: float
    n: int


class MedianInterval(NamedTuple):
    """A median with its 95 % bootstrap interval, in the unit of the values; n: how many values."""

    median: float
    low: float
    high: float
    n: int


class Proportion(NamedTuple):
    """A share of n with its 95 % interval, all in [0, 1]."""

    share: float
    n: int
    low: float
    high: float


class PairedDifference(NamedTuple):
    """Mean of a - b with its 95 % bootstrap interval and the two-sided p-value of a sign-flip permutation test."""

    mean: float
    low: float
    high: float
    n: int
    p: float


def bootstrap_mean(values: Sequence[float] | np.ndarray, *, rng: np.random.Generator, draws: int = 2000) -> Interval:
    """Mean of `values` (n,) with a percentile bootstrap interval. ValueError: no values, or one that is not finite."""
    return Interval(*_bootstrap(np.mean, values, rng=rng, draws=draws))


def bootstrap_median(
    values: Sequence[float] | np.ndarray, *, rng: np.random.Generator, draws: int = 2000
) -> MedianInterval:
    """Median of `values` (n,) with a percentile bootstrap interval: for calls and seconds. ValueError: as above."""
    return MedianInterval(*_bootstrap(np.median, values, rng=rng, draws=draws))


def proportion(hits: Sequence[float] | np.ndarray) -> Proportion:
    """Share of hits (n,), bool or 0 and 1, with Wilson's interval. ValueError: anything but 0 and 1, or no row."""
    array = np.asarray(hits)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise ValueError(f"hits must be 0 or 1, one a case in a row, not {array!r}"[:300])
    return wilson(int(array.sum()), len(array))


def wilson(hits: int, n: int) -> Proportion:
    """hits / n with its 95 % score interval (Wilson 1927); of 0 cases the share is 0. ValueError: hits not in 0..n."""
    if not 0 <= hits <= n:
        raise ValueError(f"hits must lie in 0..n, not {hits!r} of {n!r}")
    cases, z, share = max(n, 1), WILSON_Z, hits / max(n, 1)
    middle = share + z * z / (2 * cases)
    half = z * np.sqrt(share * (1 - share) / cases + z * z / (4 * cases**2))
    scale = 1 + z * z / cases
    # rounding can carry the ends a last digit beyond 0 and 1
    return Proportion(share, n, max(0.0, float((middle - half) / scale)), min(1.0, float((middle + half) / scale)))


def paired_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, rng: np.random.Generator, draws: int = 2000
) -> PairedDifference:
    """Mean of a - b, value by value, with an interval and a p-value (Fisher's sign-flip test of mean 0).

    Up to 12 pairs the p-value is exact; beyond, it is (1 + patterns as extreme) / (1 + draws), never 0.
    ValueError: lengths differ, no values, or one that is not finite.
    """
    first, second = _sample("a", a), _sample("b", b)
    if len(first) != len(second):
        raise ValueError(f"a and b must have one value per pair, but hold {len(first)} and {len(second)}")
    difference = first - second
    interval = bootstrap_mean(difference, rng=rng, draws=draws)
    return PairedDifference(*interval, p=_sign_flip_p(difference, rng=rng, draws=draws))


def _bootstrap(
    statistic: Callable[..., np.ndarray],
    values: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
    draws: int,
) -> tuple[float, float, float, int]:
    """The statistic, the ends of its interval, and how many values; values are resampled with replacement."""
    sample = _sample("values", values)
    _check_draws(draws)
    n = len(sample)
    found = [statistic(sample[rng.integers(n, size=(k, n))], axis=1) for k in _blocks(draws, n)]
    low, high = np.percentile(np.concatenate(found), [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(statistic(sample)), float(low), float(high), n


def _sign_flip_p(difference: np.ndarray, *, rng: np.random.Generator, draws: int) -> float:
    """Share of sign patterns whose mean is at least as far from 0 as the one observed."""
    n = len(difference)
    # a hair below, so that patterns that differ by rounding alone count as equal
    observed = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    if n <= EXACT_UP_TO:
        flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * flips) @ difference) >= observed))
    extreme = 0
    for k in _blocks(draws, n):
        signs = 1 - 2 * rng.integers(2, size=(k, n))
        extreme += int(np.sum(np.abs(signs @ difference) >= observed))
    return (1 + extreme) / (1 + draws)


def _sample(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The values as float64 (n,), n at least 1, all finite."""
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"{name} must be one or more numbers in a row, not of shape {sample.shape}")
    if not np.isfinite(sample).all():
        where = int(np.flatnonzero(~np.isfinite(sample))[0])
        raise ValueError(f"{name} must be finite numbers, but value {where} is {sample[where]}; find where it arose")
    return sample


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, not {draws!r}")


def _blocks(draws: int, n: int) -> Iterator[int]:
    """Sizes of blocks of draws that fit in memory together with n values each."""
    size = max(1, CELLS // n)
    for start in range(0, draws, size):
        yield min(size, draws - start)
