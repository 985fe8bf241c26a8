"""Intervals, shares and paired tests: closed forms, properties, and what is refused. The meter: rows are counted, known
masks are free, the budget is never exceeded."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from refusals import refused
from scipy.stats import binomtest
from table_games import additive

from workbench.stats import bootstrap_mean, bootstrap_ratio, median_interval, paired_difference, proportion, wilson
from workbench.stats.games import BudgetSpent, Ledger, Meter

numbers = st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=30)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@given(numbers)
@example([4.0])
@example([2.0] * 9)
@example([0.1] * 7)
def test_interval_is_finite_and_has_width_where_values_differ(values: list[float]) -> None:
    found = bootstrap_mean(values, rng=rng(), draws=200)
    assert found.n == len(values) and found.mean == pytest.approx(np.mean(values))
    assert np.isfinite(found).all() and found.low <= found.mean <= found.high
    assert (found.low < found.high) == (len(set(values)) > 1), "equal values have an interval without width"
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


masks = st.lists(st.tuples(*[st.booleans()] * 3), max_size=6)


@given(st.lists(masks, max_size=5), st.integers(0, 12), st.booleans())
def test_counts_rows_and_never_exceeds_the_budget(asks: list, budget: int, cache: bool) -> None:
    game, known = additive(np.ones(3)), set[tuple]()
    meter = Meter(game, 3, budget=budget, cache=cache)
    for ask in asks:
        keep, before = np.array(ask, bool).reshape(-1, 3), meter.calls
        cost = len({*ask} - known) if cache else len(ask)
        try:
            np.testing.assert_array_equal(meter(keep), keep.sum(1))
            assert meter.calls == before + cost
            known |= {*ask}
        except BudgetSpent:
            assert before + cost > budget and meter.calls == before
        assert meter.calls == game.rows <= budget
        assert meter.left == budget - meter.calls
    assert Meter(game, 3).left is None


def test_float_masks_are_told_from_bool_ones() -> None:
    meter = Meter(lambda keep: keep.sum(1) * (2 if keep.dtype == float else 1), 2)
    assert meter(np.array([[True, True]])).tolist() == [2]
    assert meter(np.array([[1.0, 1.0]])).tolist() == [4]
    assert meter(np.array([[0.5, 0.0]])).tolist() == [1]
    assert meter.calls == 3


def test_without_a_cache_noise_is_drawn_anew() -> None:
    rng = np.random.default_rng(0)
    meter = Meter(lambda keep: rng.normal(size=len(keep)), 2, cache=False)
    same = np.ones((3, 2), bool)
    assert len(set(meter(same)) | set(meter(same))) == 6 == meter.calls


def test_wrong_shapes_and_nan_are_refused() -> None:
    refused(r"shape \(m, 3\), not \(3,\)", Meter(additive(np.ones(3)), 3), np.ones(3, bool))
    refused(r"one value a mask, \(2,\), not \(2, 1\)", Meter(lambda keep: keep[:, :1], 3, cache=False), np.ones((2, 3)))
    refused("mask 1 is nan", Meter(lambda keep: np.array([0.0, np.nan]), 3, cache=False), np.ones((2, 3)))
    refused("budget must be 0 or more, not -1", Meter, additive(np.ones(3)), 3, budget=-1)


def test_the_ledger_is_the_game_s_own_where_it_keeps_one() -> None:
    class Booked:
        ledger = Ledger(rows=7)

        def __call__(self, keep: np.ndarray) -> np.ndarray:
            self.ledger = self.ledger + Ledger(calls=1, rows=1, tokens=30, seconds=2.0)  # the masks are one prompt
            return np.ones(len(keep))

    game = Booked()
    meter = Meter(game, 3)
    meter(np.eye(3, dtype=bool))
    before = meter.ledger
    meter(np.ones((1, 3), bool))
    assert meter.ledger == Ledger(calls=2, rows=2, tokens=60, seconds=4.0)
    assert meter.ledger - before == Ledger(calls=1, rows=1, tokens=30, seconds=2.0)
    outer = Meter(Meter(game, 3), 3)
    outer(np.ones((1, 3), bool))
    assert outer.ledger == Ledger(calls=1, rows=1, tokens=30, seconds=2.0)


def test_of_a_bare_game_calls_rows_and_seconds_are_booked_and_progress_hears_the_rows_so_far() -> None:
    heard: list[int] = []
    meter = Meter(lambda keep: keep.sum(axis=1), 3, progress=heard.append)
    meter(np.eye(3, dtype=bool))
    meter(np.eye(3, dtype=bool))  # known: costs nothing
    assert (meter.ledger.calls, meter.ledger.rows, meter.ledger.tokens) == (1, 3, 0)
    assert meter.ledger.seconds > 0
    meter(np.ones((1, 3), bool))
    assert heard == [3, 4]
