"""Intervals over cases, and paired differences with a sign-flip p-value.

Means and ratios: bootstrap-t, made to hold for few cases; medians: order statistics; shares: Wilson's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit
from scipy.stats import binom

LEVEL = 95  # per cent, of every interval
ENDS = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)  # percentiles
ANYWHERE = (-np.inf, np.inf)
EXACT_UP_TO = 12  # pairs: all 4096 sign patterns are counted; beyond, patterns are drawn
WILSON_Z = 1.959964  # the normal quantile of a 95 % interval
CELLS = 2**22  # resampled values held at once


class Interval(NamedTuple):
    """A mean or ratio with its 95 % bootstrap-t interval, in the unit of the values; n: how many values.

    Examples:
        >>> mean, low, high, n = Interval(0.5, 0.2, 0.8, n=10)
        >>> f"{mean} [{low}, {high}], n = {n}"
        '0.5 [0.2, 0.8], n = 10'
    """

    mean: float
    low: float
    high: float
    n: int


class MedianInterval(NamedTuple):
    """A median with its 95 % interval of order statistics, in the unit of the values; n: how many values.

    Examples:
        >>> median_interval(range(1, 20)).median
        10.0
    """

    median: float
    low: float
    high: float
    n: int


class Proportion(NamedTuple):
    """A share of n with its 95 % interval, all in [0, 1].

    Examples:
        >>> proportion([True, True, False, True]).as_mean().mean
        0.75
    """

    share: float
    n: int
    low: float
    high: float

    def as_mean(self) -> Interval:
        """The same under the names of any mean."""
        return Interval(self.share, self.low, self.high, self.n)


class PairedDifference(NamedTuple):
    """Mean of a - b with its 95 % bootstrap-t interval and the two-sided p-value of a sign-flip permutation test.

    Examples:
        >>> paired_difference([3.0, 4.0], [1.0, 3.0], rng=np.random.default_rng(0)).mean
        1.5
    """

    mean: float
    low: float
    high: float
    n: int
    p: float


def bootstrap_mean(
    values: ArrayLike, *, rng: np.random.Generator, draws: int = 2000, within: tuple[float, float] = ANYWHERE
) -> Interval:
    """Mean of `values` (n,) with a bootstrap-t interval that on no side is shorter than Student's t (Efron 1981; Hall
    1988).

    A percentile bootstrap holds the truth in some 90 % of samples of 10, and in 77 % of 5 skewed ones. This one
    holds it in 95 % or more from n = 10 on where values are normal, bounded or moderately skewed (exponential). It
    falls short where a sample does not show what the values can be: to some 91 % for heavy tails (lognormal, sigma 1)
    and 90 % for values of which few differ from the rest, at n = 10, and for any skewed ones at n = 5. Equal values,
    or one alone, have an interval without width.

    within: the range that a mean can lie in, where the interval is cut. ValueError: no values, one not finite or
    outside that range.

    Examples:
        >>> found = bootstrap_mean([2.0, 3.0, 4.0], rng=np.random.default_rng(0))
        >>> found.mean, found.n, found.low < 3 < found.high
        (3.0, 3, True)
    """
    sample = _sample("values", values)
    if sample.min() < within[0] or sample.max() > within[1]:
        raise ValueError(f"values must lie within {within}, not {sample.min():g} to {sample.max():g}")
    low, high = _studentised(sample - sample.mean(), np.ones(len(sample)), rng=rng, draws=draws)
    mean = float(sample.mean())
    return Interval(mean, max(float(within[0]), mean + low), min(float(within[1]), mean + high), len(sample))


def bootstrap_ratio(top: ArrayLike, bottom: ArrayLike, *, rng: np.random.Generator, draws: int = 2000) -> Interval:
    """Sum of `top` (n,) over sum of `bottom` (n,), pairs resampled, with an interval as `bootstrap_mean`'s.

    The error of a ratio is that of its linearisation, mean of (top - ratio * bottom)^2, over the mean of bottom.
    ValueError: lengths differ, no values, one that is not finite, or a bottom whose sum is 0.

    Examples:
        >>> bootstrap_ratio([1.0, 2.0], [2.0, 4.0], rng=np.random.default_rng(0)).mean
        0.5
    """
    first, second = _pair("top", top, "bottom", bottom)
    if not second.sum():
        raise ValueError("bottom adds up to 0, so no ratio to it is defined")
    ratio = float(first.sum() / second.sum())
    low, high = _studentised(first - ratio * second, second, rng=rng, draws=draws)
    return Interval(ratio, ratio + low, ratio + high, len(first))


def shares_of_all(counts: Mapping[str, Sequence[float]], *, seed: int) -> dict[str, Interval]:
    """The share that each kind has of all that is counted, see `bootstrap_ratio`, within 0 and 1; none where that is
    nothing. counts: kind -> (n,), one a case.

    Examples:
        >>> shares_of_all({"kept": [1, 1], "dropped": [3, 3]}, seed=0)["dropped"].mean
        0.75
    """
    whole = np.sum(list(counts.values()), axis=0)
    if not np.any(whole):
        return {}
    found = {kind: bootstrap_ratio(some, whole, rng=np.random.default_rng(seed)) for kind, some in counts.items()}
    return {kind: one._replace(low=max(0.0, one.low), high=min(1.0, one.high)) for kind, one in found.items()}


def median_interval(values: ArrayLike) -> MedianInterval:
    """Median of `values` (n,) between two of them, the k-th from either end: for calls and seconds.

    The interval misses the true median with probability 2 P(Binomial(n, 1/2) < k), whatever the distribution, at most
    5 % from n = 6 on; of fewer values the lowest and the highest hold it in 1 - 2^(1 - n), 94 % for 5. ValueError: as
    `bootstrap_mean`.

    Examples:
        >>> median_interval([1.0, 2.0, 3.0, 4.0, 50.0])
        MedianInterval(median=3.0, low=1.0, high=50.0, n=5)
    """
    sample = np.sort(_sample("values", values))
    k = max(1, int(binom.ppf(ENDS[0] / 100, len(sample), 0.5)))
    return MedianInterval(float(np.median(sample)), float(sample[k - 1]), float(sample[-k]), len(sample))


def proportion(hits: ArrayLike) -> Proportion:
    """Share of hits (n,), bool or 0 and 1, with Wilson's interval. ValueError: anything but 0 and 1, or no row.

    Examples:
        >>> proportion([True, True, False, True]).share
        0.75
    """
    array = np.asarray(hits)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise ValueError(f"hits must be 0 or 1, one a case in a row, not {array!r}"[:300])
    return wilson(int(array.sum()), len(array))


def wilson(hits: int, n: int) -> Proportion:
    """hits / n with its 95 % score interval (Wilson 1927); of 0 cases the share is 0. ValueError: hits not in 0..n.

    Examples:
        >>> found = wilson(0, 10)
        >>> found.share, round(found.high, 3)  # never without width
        (0.0, 0.278)
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must lie in 0..n, not {hits!r} of {n!r}")
    cases, z, share = max(n, 1), WILSON_Z, hits / max(n, 1)
    middle = share + z * z / (2 * cases)
    half = z * np.sqrt(share * (1 - share) / cases + z * z / (4 * cases**2))
    scale = 1 + z * z / cases
    # rounding can carry the ends a last digit beyond 0 and 1
    return Proportion(share, n, max(0.0, float((middle - half) / scale)), min(1.0, float((middle + half) / scale)))


def paired_difference(a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator, draws: int = 2000) -> PairedDifference:
    """Mean of a - b, value by value, with an interval and a p-value (Fisher's sign-flip test of mean 0).

    Up to 12 pairs the p-value is exact; beyond, it is (1 + patterns as extreme) / (1 + draws), never 0.
    ValueError: lengths differ, no values, or one that is not finite.

    Examples:
        >>> found = paired_difference([3.0, 4.0, 5.0], [2.0, 3.0, 4.0], rng=np.random.default_rng(0))
        >>> found.mean, found.p  # of the eight ways to put signs, two are as far from 0
        (1.0, 0.25)
    """
    first, second = _pair("a", a, "b", b)
    difference = first - second
    interval = bootstrap_mean(difference, rng=rng, draws=draws)
    return PairedDifference(*interval, p=_sign_flip_p(difference, rng=rng, draws=draws))


def _studentised(rest: np.ndarray, scale: np.ndarray, *, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """Ends, seen from the estimate, of the interval of a mean or ratio with residuals `rest` (n,), which add up to 0,
    over the mean of `scale` (n,); pairs are resampled."""
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, not {draws!r}")
    n = len(rest)
    error = float(np.sqrt(np.mean(rest**2)) / abs(scale.mean()))  # times sqrt(n) throughout
    if not np.ptp(rest):  # nothing to resample, and a mean that is off by rounding alone
        return 0.0, 0.0
    found = np.concatenate([_t_values(rest, scale, rng.integers(n, size=(k, n)), error) for k in _blocks(draws, n)])
    left, right = np.nanpercentile(found, ENDS)
    student = float(stdtrit(n - 1, ENDS[1] / 100)) / float(np.sqrt(n - 1))
    return -error * max(float(right), student), error * max(-float(left), student)


def _t_values(rest: np.ndarray, scale: np.ndarray, pick: np.ndarray, error: float) -> np.ndarray:
    """How far each resample (k, n) is from the estimate, in units of its own error: NaN where it has no ratio.

    A resample of equal values has no error of its own; it counts as one nth of the variance of all at least.
    """
    some, whole, n = rest.take(pick), scale.take(pick), pick.shape[1]
    mean, size = (part @ np.full(n, 1 / n) for part in (some, whole))
    squares, cross, sizes = (np.einsum("kn,kn->k", a, b) / n for a, b in ((some, some), (some, whole), (whole, whole)))
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = mean / size
        own = np.sqrt(np.maximum(squares - 2 * moved * cross + moved**2 * sizes, 0)) / abs(size)
        return moved / np.maximum(own, error / np.sqrt(n))


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


def _sample(name: str, values: ArrayLike) -> np.ndarray:
    """The values as float64 (n,), n at least 1, all finite."""
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"{name} must be one or more numbers in a row, not of shape {sample.shape}")
    if not np.isfinite(sample).all():
        where = int(np.flatnonzero(~np.isfinite(sample))[0])
        raise ValueError(f"{name} must be finite numbers, but value {where} is {sample[where]}; find where it arose")
    return sample


def _pair(name: str, first: ArrayLike, other: str, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of one length."""
    a, b = _sample(name, first), _sample(other, second)
    if len(a) != len(b):
        raise ValueError(f"{name} and {other} must have one value per pair, but hold {len(a)} and {len(b)}")
    return a, b


def _blocks(draws: int, n: int) -> Iterator[int]:
    """Sizes of blocks of draws that fit in memory together with n values each."""
    size = max(1, CELLS // n)
    for start in range(0, draws, size):
        yield min(size, draws - start)
