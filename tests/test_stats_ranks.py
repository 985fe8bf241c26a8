"""Keep-masks, measures along an order and LDS against closed forms; scores against planted elements and themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from table_games import additive, all_of, refused

from workbench.stats import SHARES, auroc, comprehensiveness, lds, ranking, spearman, top_k_drop
from workbench.stats.keeps import all_masks, alone, draw_masks, losses, only, without, without_first

weights = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=24).map(np.array)


@given(weights, st.floats(-3, 3))
def test_drops_of_an_additive_game_are_partial_sums(w: np.ndarray, offset: float) -> None:
    order = ranking(w)
    gone = np.concatenate([[0.0], np.cumsum(w[order])])
    game = additive(w, offset)
    for k in range(len(w) + 1):
        assert top_k_drop(game, order, k) == pytest.approx(gone[k], abs=1e-6)


@given(weights)
def test_comprehensiveness_of_an_additive_game(w: np.ndarray) -> None:
    order, n = ranking(w), len(w)
    first = [int(np.ceil(n * percent / 100)) for percent in (1, 5, 10, 20, 50)]
    tops = [w[order[:k]].sum() for k in first]
    assert comprehensiveness(additive(w), order) == pytest.approx(np.mean(tops), abs=1e-6)


def test_shares_are_those_of_eraser_and_round_up_without_an_error_of_floats() -> None:
    assert SHARES == (0.01, 0.05, 0.1, 0.2, 0.5)
    asked: list[int] = []
    game = additive(np.ones(100))
    comprehensiveness(lambda keep: asked.extend((~keep).sum(1)) or game(keep), np.arange(100), shares=[0.07, 0.29])
    assert sorted(asked) == [0, 7, 29]


def test_equal_scores_follow_the_elements_or_chance() -> None:
    assert ranking([1, 2, 1, 2]).tolist() == [1, 3, 0, 2]
    drawn = {tuple(ranking([1, 2, 1, 2], rng=np.random.default_rng(seed)).tolist()) for seed in range(40)}
    assert drawn == {(a, b, c, d) for a, b in ((1, 3), (3, 1)) for c, d in ((0, 2), (2, 0))}


def test_scores_in_place_of_an_order_are_refused() -> None:
    refused(r"order must name elements 0 \.\. 2", top_k_drop, additive(np.ones(3)), np.array([0.3, 0.1, 0.6]), 1)
    refused(r"in 0\.\.3, not 4", top_k_drop, additive(np.ones(3)), np.arange(3), 4)
    refused(r"in \(0, 1\]", comprehensiveness, additive(np.ones(3)), np.arange(3), shares=[0.0])
    refused("finite", ranking, [1.0, np.nan])


def test_masks_are_drawn_with_the_chances_asked_for() -> None:
    masks = draw_masks(4000, 3, rng=np.random.default_rng(0), keep=np.array([0.0, 0.3, 1.0]))
    assert masks.mean(0) == pytest.approx([0, 0.3, 1], abs=0.03)
    refused("for each of 3", draw_masks, 2, 3, rng=np.random.default_rng(0), keep=np.ones(2))
    refused(r"in \[0, 1\], not 1.5", draw_masks, 2, 3, rng=np.random.default_rng(0), keep=1.5)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, float).T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(spearman(a, b))
    else:
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-6)


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
    found = auroc(scores, planted)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs), abs=1e-6)


def test_what_cannot_be_ranked() -> None:
    refused(r"in 0\.\.1, not \[2\]", auroc, [1.0, 2.0], [2])
    refused("finite", auroc, [np.nan, 2.0], [1])
