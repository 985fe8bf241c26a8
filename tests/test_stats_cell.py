"""Shares, medians and cells: closed forms, and what a reported number carries."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from workbench.stats import bootstrap_mean, cell, median_interval, paired_difference, proportion, wilson


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_is_that_of_scipy(hits_of_n: tuple[int, int]) -> None:
    hits, n = hits_of_n
    found, known = wilson(hits, n), binomtest(hits, n).proportion_ci(method="wilson")
    assert found.share == hits / n and found.n == n
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-6)


def test_share_of_nothing_is_0_with_all_that_is_possible_below_the_upper_end() -> None:
    assert proportion(np.zeros(0, bool)) == wilson(0, 0)
    assert wilson(0, 0).share == 0 and wilson(0, 0).low == 0 < wilson(0, 0).high < 1


def test_hits_may_be_bool_or_numbers_and_nothing_else() -> None:
    assert proportion([True, False, True]) == proportion([1, 0, 1]) == wilson(2, 3)
    with pytest.raises(ValueError, match="0 or 1, one a case"):
        proportion([0.5, 1])
    with pytest.raises(ValueError, match=r"in 0\.\.n, not 3 of 2"):
        wilson(3, 2)


def test_median_of_skewed_calls_is_not_their_mean_and_its_interval_holds_the_true_one() -> None:
    calls = rng().exponential(size=500)
    found = median_interval(calls)
    assert found.median == np.median(calls) and found.n == 500
    assert found.low < np.log(2) < found.high < calls.mean()


def test_median_of_three_values_has_the_interval_of_the_binomial() -> None:
    # all three lie on one side of the median in a quarter of all samples, which no shorter interval betters
    assert median_interval([1.0, 5.0, 9.0]) == (5.0, 1.0, 9.0, 3)


def test_cell_carries_interval_number_and_paired_difference_to_random() -> None:
    values, control = rng().random(40) + 0.5, rng().random(40)
    found = cell(values, control, rng=rng())
    assert (found.mean, found.n, found.interval) == (pytest.approx(values.mean()), 40, "bootstrap-t")
    assert (found.mean, found.low, found.high, found.n) == bootstrap_mean(values, rng=rng())
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(0.5) and found.difference.p == pytest.approx(1 / 2001)


def test_several_random_draws_a_case_count_by_their_mean() -> None:
    values, control = rng().random(12), rng().random((12, 5))
    found = cell(values, control, rng=rng()).difference
    assert found is not None
    assert found.p == paired_difference(values, control.mean(1), rng=rng()).p
    assert found.mean == pytest.approx((values - control.mean(1)).mean())


def test_cell_is_plain_json_and_reads_as_one_line() -> None:
    found = cell([1.0, 2.0], [0.0, 0.0], rng=rng())
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert found.to_dict()["difference"]["p"] == 0.5
    assert str(found) == f"1.500 [{found.low:.3f}, {found.high:.3f}], n 2, +1.500 to random (p 0.5000)"
    assert str(cell([1.5, 1.5], rng=rng())) == "1.500 [1.500, 1.500], n 2"


def test_a_control_of_other_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="hold 3 and 2"):
        cell([1.0, 2.0, 3.0], [1.0, 2.0], rng=rng())
