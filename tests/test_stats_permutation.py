"""Rank correlations and their permutations against scipy and loops; corrections for many tests by their definitions."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, kstest, pearsonr, rankdata, spearmanr
from table_games import refused

from workbench.stats import (
    STATISTICS,
    benjamini_hochberg,
    deal,
    dealt_correlations,
    holm,
    partial,
    permutation_p,
    rank_correlations,
)

BY_SCIPY = {"kendall": kendalltau, "spearman": spearmanr}
TABLES = st.integers(2, 9).flatmap(
    lambda n: st.lists(st.lists(st.integers(-2, 3), min_size=n, max_size=n), min_size=2, max_size=4)
)


@pytest.mark.parametrize("statistic", STATISTICS)
@given(TABLES)
def test_coefficients_are_those_of_scipy_with_ties(statistic: str, values: list[list[int]]) -> None:
    found = rank_correlations(np.array(values), statistic=statistic)
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if len(set(a)) == 1 or len(set(b)) == 1:
                assert np.isnan(found[i, j])
            else:
                assert found[i, j] == pytest.approx(BY_SCIPY[statistic](a, b).statistic, abs=1e-12)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_deals_move_the_second_measure(statistic: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(4, size=(3, 7)).astype(float)
    deals = deal(7, 20, rng=rng)
    found = dealt_correlations(values, deals, statistic=statistic)
    assert found.shape == (3, 3, 20)
    for i in range(3):
        for j in range(i, 3):
            expected = [BY_SCIPY[statistic](values[i], values[j][one]).statistic for one in deals]
            np.testing.assert_allclose(found[i, j], expected, atol=1e-12)


def test_all_arrangements_give_the_exact_p_of_kendalls_test() -> None:
    values = np.array([[1.0, 2, 3, 4, 5], [2.0, 1, 3, 5, 4]])
    deals = np.array(list(permutations(range(5))))
    dealt = dealt_correlations(values, deals, statistic="kendall")[0, 1]
    exact = kendalltau(*values, method="exact")
    again = len(dealt) + 1, len(dealt)  # one that was seen counts among those that were dealt out
    assert (permutation_p(exact.statistic, dealt) * again[0] - 1) / again[1] == pytest.approx(exact.pvalue, abs=1e-12)
    drawn = dealt_correlations(values, deal(5, 9999, rng=np.random.default_rng(0)), statistic="kendall")[0, 1]
    assert permutation_p(exact.statistic, drawn) == pytest.approx(exact.pvalue, abs=0.02)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_is_uniform_where_there_is_nothing(statistic: str) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        deals = np.vstack([np.arange(25), deal(25, 199, rng=rng)])  # the first is what was seen
        dealt = dealt_correlations(rng.random((2, 25)), deals, statistic=statistic)[0, 1]
        found.append(permutation_p(dealt[0], dealt[1:]))
    assert min(found) >= 1 / 200 and kstest(found, "uniform").pvalue > 0.01


def test_p_counts_equal_values_as_beyond_and_is_never_0() -> None:
    assert permutation_p(0.5, np.array([0.5, -0.5, 0.2])) == 3 / 4
    assert permutation_p(0.9, np.zeros(9)) == 1 / 10


def test_strata_keep_their_values() -> None:
    strata = np.array([5, 1, 5, 1, 1, 9])
    deals = deal(6, 200, rng=np.random.default_rng(0), strata=strata)
    assert (strata[deals] == strata).all() and (np.sort(deals, axis=1) == np.arange(6)).all()
    assert len(np.unique(deals, axis=0)) == 12  # 3! x 2! x 1!
    refused("strata must be", deal, 6, 1, rng=np.random.default_rng(0), strata=np.zeros(5))


def test_partial_spearman_is_the_correlation_of_residual_ranks() -> None:
    rng = np.random.default_rng(2)
    c = rng.random(30)
    a, b = c + 0.3 * rng.random(30), c + 0.3 * rng.random(30)
    ranks = [rankdata(one) for one in (a, b)]
    residuals = [one - np.polyval(np.polyfit(rankdata(c), one, 1), rankdata(c)) for one in ranks]
    table = rank_correlations(np.array([a, b, c]), statistic="spearman")
    assert partial(table[0, 1], table[0, 2], table[1, 2]) == pytest.approx(pearsonr(*residuals).statistic)
    assert table[0, 1] > 0.5 > abs(pearsonr(*residuals).statistic)


def test_partial_kendall_is_phi_of_the_pairs_that_the_control_orders() -> None:
    rng = np.random.default_rng(3)
    a, b, c = rng.random((3, 12))
    i, j = np.triu_indices(12, 1)
    with_c = [np.sign(x[i] - x[j]) == np.sign(c[i] - c[j]) for x in (a, b)]  # no ties: concordant or not
    table = rank_correlations(np.array([a, b, c]), statistic="kendall")
    # Kendall 1942: the phi coefficient of the two-way table of concordances with the control
    assert partial(table[0, 1], table[0, 2], table[1, 2]) == pytest.approx(pearsonr(*with_c).statistic)
    assert np.isnan(partial(np.array([0.5]), np.array([1.0]), np.array([0.2])))[0]


def test_unknown_values_and_other_statistics_are_told() -> None:
    values = np.array([[1.0, 2, 3], [np.nan, 1, 2], [3.0, 1, 2]])
    found = rank_correlations(values, statistic="kendall")
    assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all() and np.isfinite(found[0, 2])
    refused("one of kendall, spearman", rank_correlations, values, statistic="pearson")


P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def by_steps_down(p: np.ndarray, level: float) -> np.ndarray:
    """Holm's procedure as he wrote it: reject from the smallest on while p_(k) <= level / (m - k + 1)."""
    out = np.zeros(len(p), bool)
    for k, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] > level / (len(p) - k):
            break
        out[i] = True
    return out


def by_steps_up(p: np.ndarray, level: float) -> np.ndarray:
    """Benjamini and Hochberg's: reject up to the last p_(k) <= k / m level."""
    ordered = np.sort(p)
    under = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / len(p))
    return p <= ordered[under[-1]] if len(under) else np.zeros(len(p), bool)


@settings(max_examples=100)
@given(P, st.sampled_from([0.013, 0.051, 0.21]))
def test_adjusted_values_decide_as_the_procedures_do(values: list[float], level: float) -> None:
    p = np.round(values, 3)
    for adjust, procedure in ((holm, by_steps_down), (benjamini_hochberg, by_steps_up)):
        adjusted = adjust(p)
        assert ((adjusted >= p) & (adjusted <= 1)).all()
        clear = abs(adjusted - level) > 1e-9  # at the level itself rounding decides
        np.testing.assert_array_equal((adjusted <= level)[clear], procedure(p, level)[clear])


def test_tests_that_could_not_be_made_do_not_count() -> None:
    p = [0.01, np.nan, 0.03]
    np.testing.assert_allclose(holm(p), [0.02, np.nan, 0.03])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, np.nan, 0.03])
    for adjust in (holm, benjamini_hochberg):
        assert np.isnan(adjust([np.nan, np.nan])).all() and adjust([]).shape == (0,)
        refused(r"each in \[0, 1\]", adjust, [0.5, 1.5])
