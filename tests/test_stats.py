"""Intervals and paired tests: closed forms, properties, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats import bootstrap_mean, paired_difference

numbers = st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=30)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@settings(max_examples=40, deadline=None)
@given(numbers)
def test_interval_lies_within_the_values_and_names_their_number(values: list[float]) -> None:
    found = bootstrap_mean(values, rng=rng(), draws=200)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_interval_of_a_large_sample_is_that_of_the_normal_approximation() -> None:
    values = rng().normal(5, 2, size=2000)
    found = bootstrap_mean(values, rng=rng())
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(found.mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.1 * half)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = rng()
    hits = 0
    for _ in range(200):
        found = bootstrap_mean(generator.exponential(size=60), rng=generator, draws=300)
        hits += found.low <= 1 <= found.high
    assert 0.86 <= hits / 200 <= 0.99


def test_one_value_and_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap_mean([4.0], rng=rng()) == (4.0, 4.0, 4.0, 1)
    assert bootstrap_mean([2.0] * 9, rng=rng()) == (2.0, 2.0, 2.0, 9)


def test_same_generator_gives_the_same_interval() -> None:
    values = rng().random(30)
    assert bootstrap_mean(values, rng=rng()) == bootstrap_mean(values, rng=rng())
    assert bootstrap_mean(values, rng=rng()) != bootstrap_mean(values, rng=np.random.default_rng(4))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=8))
def test_p_value_of_few_pairs_is_the_exact_one(difference: list[float]) -> None:
    observed = abs(sum(difference)) - 1e-9
    patterns = list(itertools.product((1, -1), repeat=len(difference)))
    extreme = sum(abs(np.dot(signs, difference)) >= observed for signs in patterns)
    found = paired_difference(difference, [0.0] * len(difference), rng=rng(), draws=50)
    assert found.p == pytest.approx(extreme / len(patterns))


def test_ten_wins_of_ten_have_the_p_value_of_a_sign_test() -> None:
    assert paired_difference([1.0] * 10, [0.0] * 10, rng=rng()).p == pytest.approx(2 / 2**10)


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


def test_many_values_are_resampled_in_blocks() -> None:
    values = rng().random(5000)
    assert bootstrap_mean(values, rng=rng(), draws=1000).mean == pytest.approx(values.mean())


@pytest.mark.parametrize(
    ("values", "words"),
    [([], "one or more numbers"), ([[1.0]], "in a row"), ([1.0, float("nan")], "value 1 is nan")],
)
def test_what_has_no_mean_is_refused(values: list, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bootstrap_mean(values, rng=rng())


def test_unpaired_samples_and_no_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="hold 2 and 1"):
        paired_difference([1.0, 2.0], [1.0], rng=rng())
    with pytest.raises(ValueError, match="draws must be 1 or more"):
        bootstrap_mean([1.0], rng=rng(), draws=0)
