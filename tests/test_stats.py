"""Intervals, shares and paired tests: closed forms, properties, and what is refused."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from table_games import refused

from workbench.stats import bootstrap_mean, bootstrap_ratio, median_interval, paired_difference, proportion, wilson

numbers = st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=30)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@given(numbers)
def test_interval_is_finite_and_has_width_where_values_differ(values: list[float]) -> None:
    found = bootstrap_mean(values, rng=rng(), draws=200)
    assert found.n == len(values) and found.mean == pytest.approx(np.mean(values))
    assert np.isfinite(found).all() and found.low <= found.mean <= found.high
    assert (found.low < found.high) == (len(set(values)) > 1)
    cut = bootstrap_mean(values, rng=rng(), draws=200, within=(min(values), max(values)))
    assert cut.low == max(found.low, min(values)) and cut.high == min(found.high, max(values))


@given(numbers, st.floats(0.5, 4, width=16), st.integers(-8, 8))
def test_interval_moves_with_the_unit_of_the_values(values: list[float], unit: float, shift: int) -> None:
    found = bootstrap_mean(values, rng=rng(), draws=200)
    moved = bootstrap_mean([unit * v + shift for v in values], rng=rng(), draws=200)
    assert moved[:3] == pytest.approx([unit * v + shift for v in found[:3]], rel=1e-6, abs=1e-6)


def test_interval_of_a_large_sample_is_that_of_the_normal_approximation() -> None:
    values = rng().normal(5, 2, size=2500)  # too many for all draws at once: they are resampled in blocks
    found = bootstrap_mean(values, rng=rng())
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(found.mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.1 * half)


DRAWN = {  # how n values are drawn, their mean and median
    "normal": (lambda g, n: g.normal(size=n), 0, 0),
    "exponential": (lambda g, n: g.exponential(size=n), 1, np.log(2)),
    "lognormal": (lambda g, n: g.lognormal(0, 0.5, n), np.exp(0.125), 1),
    "beta": (lambda g, n: g.beta(0.3, 0.9, n), 0.25, None),
    "tied": (lambda g, n: g.choice([0, 0.25, 0.5, 1], p=[0.5, 0.2, 0.1, 0.2], size=n), 0.3, None),
}
TIMES = 1500  # samples; the standard error of a coverage of 95 % is then 0.6 %


@pytest.mark.parametrize("name", DRAWN)
def test_interval_of_few_values_covers_the_mean_as_often_as_it_says(name: str) -> None:
    generator, (draw, mean, _) = rng(), DRAWN[name]
    found = (bootstrap_mean(draw(generator, 10), rng=generator, draws=400) for _ in range(TIMES))
    assert sum(one.low <= mean <= one.high for one in found) / TIMES >= 0.93


def test_interval_of_a_ratio_covers_it_and_that_to_ones_is_the_means() -> None:
    generator, hits = rng(), 0
    for _ in range(TIMES):
        bottom = generator.gamma(4, size=10)
        found = bootstrap_ratio(0.4 * bottom + generator.normal(0, 0.3, 10), bottom, rng=generator, draws=400)
        hits += found.low <= 0.4 <= found.high
    assert hits / TIMES >= 0.93
    values = generator.normal(size=30)
    assert bootstrap_ratio(values, np.ones(30), rng=rng()) == pytest.approx(bootstrap_mean(values, rng=rng()))
    refused("adds up to 0", bootstrap_ratio, [1.0, 2.0], [1.0, -1.0], rng=rng())


@pytest.mark.parametrize("n", [6, 10, 21])
def test_interval_of_a_median_covers_it_whatever_the_distribution(n: int) -> None:
    for name in ("normal", "exponential", "lognormal"):
        generator, (draw, _, median) = rng(), DRAWN[name]
        found = (median_interval(draw(generator, n)) for _ in range(TIMES))
        assert sum(one.low <= median <= one.high for one in found) / TIMES >= 0.935


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_interval_of_a_median_is_the_shortest_of_order_statistics_that_is_sure(values: list[int]) -> None:
    found, n = median_interval(values), len(values)
    inner = sorted(values)
    missed = [2 * sum(math.comb(n, j) for j in range(k)) / 2**n for k in range(1, n // 2 + 2)]  # below the k-th
    k = max([k for k, p in enumerate(missed, start=1) if p <= 0.05], default=1)
    assert found == (np.median(values), inner[k - 1], inner[n - k], n)


def test_one_value_and_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap_mean([4.0], rng=rng()) == (4.0, 4.0, 4.0, 1)
    assert bootstrap_mean([2.0] * 9, rng=rng()) == (2.0, 2.0, 2.0, 9)
    tenths = bootstrap_mean([0.1] * 7, rng=rng())
    assert tenths.low == tenths.mean == tenths.high == pytest.approx(0.1)


def test_one_value_unlike_all_others_does_not_make_the_interval_endless() -> None:
    found = bootstrap_mean([0.0] * 9 + [1.0], rng=rng())
    assert found.low < 0 < 0.25 < found.high < 1
    assert bootstrap_mean([0.0] * 9 + [1.0], rng=rng(), within=(0, 1)).low == 0
    refused(r"values must lie within \(0, 1\), not 0 to 2", bootstrap_mean, [0.0, 2.0], rng=rng(), within=(0, 1))


@given(st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=8))
def test_p_value_of_few_pairs_is_the_exact_one(difference: list[float]) -> None:
    observed = abs(sum(difference)) - 1e-9
    patterns = list(itertools.product((1, -1), repeat=len(difference)))
    extreme = sum(abs(np.dot(signs, difference)) >= observed for signs in patterns)
    found = paired_difference(difference, [0.0] * len(difference), rng=rng(), draws=50)
    assert found.p == pytest.approx(extreme / len(patterns))


def test_drawn_p_value_is_near_the_exact_one_and_never_0() -> None:
    clear = paired_difference(np.ones(40), np.zeros(40), rng=rng())
    assert clear.p == pytest.approx(1 / 2001)
    assert clear.mean == 1
    a = rng().normal(size=400)
    b = a[rng().permutation(400)]
    assert paired_difference(a, b, rng=rng()).p > 0.05


def test_differences_change_sign_with_the_order_of_the_pair_and_equal_samples_have_p_1() -> None:
    a, b = rng().random(20), np.random.default_rng(8).random(20)
    there, back = paired_difference(a, b, rng=rng()), paired_difference(b, a, rng=rng())
    assert there.mean == pytest.approx(-back.mean)
    assert there.p == back.p
    assert paired_difference(a, a, rng=rng()).p == 1


def test_what_has_no_interval_is_refused() -> None:
    for values, words in (([], "one or more numbers"), ([[1.0]], "in a row"), ([1.0, np.nan], "value 1 is nan")):
        refused(words, bootstrap_mean, values, rng=rng())
    refused("hold 2 and 1", paired_difference, [1.0, 2.0], [1.0], rng=rng())
    refused("draws must be 1 or more", bootstrap_mean, [1.0], rng=rng(), draws=0)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_is_that_of_scipy(hits_of_n: tuple[int, int]) -> None:
    hits, n = hits_of_n
    found, known = wilson(hits, n), binomtest(hits, n).proportion_ci(method="wilson")
    assert found.share == hits / n and found.n == n
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-6)


def test_hits_may_be_bool_or_numbers_or_none_at_all_and_nothing_else() -> None:
    assert proportion([True, False, True]) == proportion([1, 0, 1]) == wilson(2, 3)
    assert proportion(np.zeros(0, bool)) == wilson(0, 0)
    assert wilson(0, 0).share == 0 and wilson(0, 0).low == 0 < wilson(0, 0).high < 1
    refused("0 or 1, one a case", proportion, [0.5, 1])
    refused(r"in 0\.\.n, not 3 of 2", wilson, 3, 2)
