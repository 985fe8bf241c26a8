"""Rank correlations and their permutations against scipy and loops; corrections for many tests by their definitions.
Keep-masks, measures along an order and LDS against closed forms; scores against planted elements and themselves."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy.stats import kendalltau, kstest, pearsonr, rankdata, spearmanr
from table_games import additive, all_of

from workbench import stats
from workbench.stats import deal, dealt_correlations, lds, permutation_p
from workbench.stats.games import all_masks, alone, draw_masks, losses, only, without, without_first

BY_SCIPY = {"kendall": kendalltau, "spearman": spearmanr}
TABLES = st.integers(2, 20).flatmap(
    lambda n: st.lists(st.lists(st.integers(-2, 3), min_size=n, max_size=n), min_size=2, max_size=4)
)


@pytest.mark.parametrize("statistic", stats.STATISTICS)
@given(TABLES)
def test_coefficients_are_those_of_scipy_with_ties(statistic: str, values: list[list[int]]) -> None:
    found = stats.rank_correlations(np.array(values), statistic=statistic)
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            constant = len(set(a)) == 1 or len(set(b)) == 1
            expected = np.nan if constant else BY_SCIPY[statistic](a, b).statistic
            assert found[i, j] == pytest.approx(expected, abs=1e-12, nan_ok=True)
            if statistic == "spearman":
                assert stats.spearman(a, b) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("statistic", stats.STATISTICS)
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


@pytest.mark.parametrize("statistic", stats.STATISTICS)
def test_p_is_uniform_where_there_is_nothing(statistic: str) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        deals = np.vstack([np.arange(25), deal(25, 199, rng=rng)])  # the first is what was seen
        dealt = dealt_correlations(rng.random((2, 25)), deals, statistic=statistic)[0, 1]
        found.append(permutation_p(dealt[0], dealt[1:]))
    assert min(found) >= 1 / 200 and kstest(found, "uniform").pvalue > 0.01


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
    table = stats.rank_correlations(np.array([a, b, c]), statistic="spearman")
    assert stats.partial(table[0, 1], table[0, 2], table[1, 2]) == pytest.approx(pearsonr(*residuals).statistic)
    assert table[0, 1] > 0.5 > abs(pearsonr(*residuals).statistic)


def test_partial_kendall_is_phi_of_the_pairs_that_the_control_orders() -> None:
    rng = np.random.default_rng(3)
    a, b, c = rng.random((3, 12))
    i, j = np.triu_indices(12, 1)
    with_c = [np.sign(x[i] - x[j]) == np.sign(c[i] - c[j]) for x in (a, b)]  # no ties: concordant or not
    table = stats.rank_correlations(np.array([a, b, c]), statistic="kendall")
    # Kendall 1942: the phi coefficient of the two-way table of concordances with the control
    assert stats.partial(table[0, 1], table[0, 2], table[1, 2]) == pytest.approx(pearsonr(*with_c).statistic)
    assert np.isnan(stats.partial(np.array([0.5]), np.array([1.0]), np.array([0.2])))[0]


def test_unknown_values_and_other_statistics_are_told() -> None:
    values = np.array([[1.0, 2, 3], [np.nan, 1, 2], [3.0, 1, 2]])
    found = stats.rank_correlations(values, statistic="kendall")
    assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all() and np.isfinite(found[0, 2])
    refused("one of kendall, spearman", stats.rank_correlations, values, statistic="pearson")


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
    for adjust, procedure in ((stats.holm, by_steps_down), (stats.benjamini_hochberg, by_steps_up)):
        adjusted = adjust(p)
        assert ((adjusted >= p) & (adjusted <= 1)).all()
        clear = abs(adjusted - level) > 1e-9  # at the level itself rounding decides
        np.testing.assert_array_equal((adjusted <= level)[clear], procedure(p, level)[clear])


def test_tests_that_could_not_be_made_do_not_count() -> None:
    p = [0.01, np.nan, 0.03]
    np.testing.assert_allclose(stats.holm(p), [0.02, np.nan, 0.03])
    np.testing.assert_allclose(stats.benjamini_hochberg(p), [0.02, np.nan, 0.03])
    for adjust in (stats.holm, stats.benjamini_hochberg):
        assert np.isnan(adjust([np.nan, np.nan])).all() and adjust([]).shape == (0,)
        refused(r"each in \[0, 1\]", adjust, [0.5, 1.5])


weights = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=24).map(np.array)


@given(weights, st.floats(-3, 3))
def test_drops_of_an_additive_game_are_partial_sums(w: np.ndarray, offset: float) -> None:
    order = stats.ranking(w)
    gone = np.concatenate([[0.0], np.cumsum(w[order])])
    game = additive(w, offset)
    for k in range(len(w) + 1):
        assert stats.top_k_drop(game, order, k) == pytest.approx(gone[k], abs=1e-6)


@given(weights)
def test_comprehensiveness_of_an_additive_game(w: np.ndarray) -> None:
    order, n = stats.ranking(w), len(w)
    first = [int(np.ceil(n * percent / 100)) for percent in (1, 5, 10, 20, 50)]
    tops = [w[order[:k]].sum() for k in first]
    assert stats.comprehensiveness(additive(w), order) == pytest.approx(np.mean(tops), abs=1e-6)


def test_shares_are_those_of_eraser_and_round_up_without_an_error_of_floats() -> None:
    assert stats.SHARES == (0.01, 0.05, 0.1, 0.2, 0.5)
    asked: list[int] = []
    game, order = additive(np.ones(100)), np.arange(100)
    stats.comprehensiveness(lambda keep: asked.extend((~keep).sum(1)) or game(keep), order, shares=[0.07, 0.29])
    assert sorted(asked) == [0, 7, 29]


def test_equal_scores_follow_the_elements_or_chance() -> None:
    assert stats.ranking([1, 2, 1, 2]).tolist() == [1, 3, 0, 2]
    drawn = {tuple(stats.ranking([1, 2, 1, 2], rng=np.random.default_rng(seed)).tolist()) for seed in range(40)}
    assert drawn == {(a, b, c, d) for a, b in ((1, 3), (3, 1)) for c, d in ((0, 2), (2, 0))}


def test_scores_in_place_of_an_order_are_refused() -> None:
    refused(r"order must name elements 0 \.\. 2", stats.top_k_drop, additive(np.ones(3)), np.array([0.3, 0.1, 0.6]), 1)
    refused(r"in 0\.\.3, not 4", stats.top_k_drop, additive(np.ones(3)), np.arange(3), 4)
    refused(r"in \(0, 1\]", stats.comprehensiveness, additive(np.ones(3)), np.arange(3), shares=[0.0])
    refused("finite", stats.ranking, [1.0, np.nan])


def test_masks_are_drawn_with_the_chances_asked_for() -> None:
    masks = draw_masks(4000, 3, rng=np.random.default_rng(0), keep=np.array([0.0, 0.3, 1.0]))
    assert masks.mean(0) == pytest.approx([0, 0.3, 1], abs=0.03)
    refused("for each of 3", draw_masks, 2, 3, rng=np.random.default_rng(0), keep=np.ones(2))
    refused(r"in \[0, 1\], not 1.5", draw_masks, 2, 3, rng=np.random.default_rng(0), keep=1.5)


def test_lds_is_1_for_the_game_s_own_weights_and_less_for_others() -> None:
    w = np.random.default_rng(1).normal(size=20)

    def score(scores: np.ndarray) -> float:
        return lds(lambda keep: np.exp(keep @ w), scores, rng=np.random.default_rng(2))  # any rising function of w z

    assert score(w) == pytest.approx(1, abs=1e-6)
    assert score(-w) == pytest.approx(-1, abs=1e-6)
    assert score(np.where(np.arange(20) < 10, w, 0)) < 0.95
    assert np.isnan(score(np.zeros(20)))


def test_lds_of_an_and_game_is_the_correlation_over_its_four_states() -> None:
    # the sum of two kept elements against their AND: with all masks, ranks 1 2.5 2.5 4 against 2 2 2 4
    expected = spearmanr([0, 1, 1, 2], [0, 0, 0, 1]).statistic
    drawn = lds(all_of(0, 1), np.array([1.0, 1.0]), rng=np.random.default_rng(0), masks=20_000)
    assert drawn == pytest.approx(expected, abs=0.02)


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.sets(st.integers(0, n - 1)), max_size=6))))
def test_masks_of_sets_keep_all_but_them_or_them_alone(drawn: tuple[int, list[set[int]]]) -> None:
    n, sets = drawn
    expected = np.array([[i not in one for i in range(n)] for one in sets], bool).reshape(len(sets), n)
    assert (without(n, sets) == expected).all() and (only(n, sets) == ~expected).all()
    w = np.arange(1.0, n + 1)
    assert losses(additive(w, 3.0), n, sets).tolist() == [sum(w[i] for i in one) for one in sets]
    assert losses(additive(w), n).tolist() == w.tolist() and alone(n) == [(i,) for i in range(n)]
    left = np.arange(n) < n - np.arange(n + 1)[:, None]
    assert (without_first(n, np.arange(n)[::-1], range(n + 1)) == left).all()


def test_all_masks_are_the_bits_of_their_row() -> None:
    assert all_masks(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert all_masks(0).shape == (1, 0)


cases = st.lists(st.integers(-3, 3), min_size=2, max_size=15).flatmap(
    lambda scores: st.tuples(st.just(scores), st.sets(st.integers(0, len(scores) - 1)).map(sorted))
)


@given(cases)
def test_auroc_is_the_share_of_pairs_in_order(case: tuple[list[int], list[int]]) -> None:
    scores, planted = case
    others = [i for i in range(len(scores)) if i not in planted]
    pairs = [(np.sign(scores[a] - scores[b]) + 1) / 2 for a in planted for b in others]
    found = stats.auroc(scores, planted)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs), abs=1e-6)


def test_what_cannot_be_ranked() -> None:
    refused(r"in 0\.\.1, not \[2\]", stats.auroc, [1.0, 2.0], [2])
    refused("finite", stats.auroc, [np.nan, 2.0], [1])
