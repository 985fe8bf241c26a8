"""Measures along an order, LDS and fidelity, against closed forms of additive, AND and OR games."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from workbench.stats import (
    SHARES,
    area,
    characterisation,
    comprehensiveness,
    deletion_curve,
    draw_masks,
    fidelity,
    flip_fidelity,
    insertion_curve,
    lds,
    per_token,
    probability,
    ranking,
    spearman,
    sufficiency,
    top_k_drop,
)

weights = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=24).map(np.array)


def additive(w: np.ndarray, offset: float = 0.0):
    return lambda keep: keep @ w + offset


def both(keep: np.ndarray) -> np.ndarray:
    """AND of elements 0 and 1: 1 where both are kept, else -1."""
    return np.where(keep[:, 0] & keep[:, 1], 1.0, -1.0)


@settings(max_examples=40, deadline=None)
@given(weights, st.floats(-3, 3))
def test_curves_of_an_additive_game_are_partial_sums(w: np.ndarray, offset: float) -> None:
    order = ranking(w)
    gone = np.concatenate([[0.0], np.cumsum(w[order])])
    game = additive(w, offset)
    np.testing.assert_allclose(deletion_curve(game, order), offset + w.sum() - gone, atol=1e-6)
    np.testing.assert_allclose(insertion_curve(game, order), offset + gone, atol=1e-6)
    for k in range(len(w) + 1):
        assert top_k_drop(game, order, k) == pytest.approx(gone[k], abs=1e-6)
    # mean height of a curve through k + 1 points: the inner ones whole, the ends half
    assert area(insertion_curve(game, order)) == pytest.approx(
        offset + (gone[1:-1].sum() + gone[-1] / 2) / len(w), abs=1e-6
    )


@settings(max_examples=40, deadline=None)
@given(weights)
def test_comprehensiveness_and_sufficiency_of_an_additive_game(w: np.ndarray) -> None:
    order, n = ranking(w), len(w)
    first = [int(np.ceil(n * percent / 100)) for percent in (1, 5, 10, 20, 50)]
    tops = [w[order[:k]].sum() for k in first]
    assert comprehensiveness(additive(w), order) == pytest.approx(np.mean(tops), abs=1e-6)
    assert sufficiency(additive(w), order) == pytest.approx(w.sum() - np.mean(tops), abs=1e-6)


def test_shares_are_those_of_eraser_and_round_up_without_an_error_of_floats() -> None:
    assert SHARES == (0.01, 0.05, 0.1, 0.2, 0.5)
    asked: list[int] = []
    game = additive(np.ones(100))
    comprehensiveness(lambda keep: asked.extend((~keep).sum(1)) or game(keep), np.arange(100), shares=[0.07, 0.29])
    assert sorted(asked) == [0, 7, 29]


@settings(max_examples=30, deadline=None)
@given(weights)
def test_the_order_by_weight_has_the_best_areas_of_all_that_were_tried(w: np.ndarray) -> None:
    game, best = additive(w), ranking(w)
    other = np.random.default_rng(0).permutation(len(w))
    assert area(deletion_curve(game, best)) <= area(deletion_curve(game, other)) + 1e-6
    assert area(insertion_curve(game, best)) >= area(insertion_curve(game, other)) - 1e-6


def test_area_of_uneven_places_is_that_of_the_trapezoids() -> None:
    assert area([0, 1, 1], at=[0, 0.5, 2]) == pytest.approx((0.25 + 1.5) / 2, abs=1e-12)
    with pytest.raises(ValueError, match="2 or more values at ascending places"):
        area([1.0])
    with pytest.raises(ValueError, match="ascending"):
        area([1.0, 2.0], at=[1, 1])


def test_equal_scores_follow_the_elements_or_chance() -> None:
    assert ranking([1, 2, 1, 2]).tolist() == [1, 3, 0, 2]
    drawn = {tuple(ranking([1, 2, 1, 2], rng=np.random.default_rng(seed)).tolist()) for seed in range(40)}
    assert drawn == {(a, b, c, d) for a, b in ((1, 3), (3, 1)) for c, d in ((0, 2), (2, 0))}


def test_units_of_a_game() -> None:
    game = additive(np.array([-2.0, -4.0]))
    keep = np.array([[True, True], [False, True]])
    np.testing.assert_allclose(per_token(game, 4)(keep), [-1.5, -1.0], atol=1e-12)
    np.testing.assert_allclose(probability(game)(keep), np.exp([-6.0, -4.0]), atol=1e-12)
    assert comprehensiveness(per_token(game, 2), np.array([1, 0]), shares=[0.5]) == pytest.approx(-2)
    with pytest.raises(ValueError, match="1 or more, not 0"):
        per_token(game, 0)


def test_scores_in_place_of_an_order_are_refused() -> None:
    with pytest.raises(ValueError, match="every element's number once"):
        deletion_curve(additive(np.ones(3)), np.array([0.3, 0.1, 0.6]))
    with pytest.raises(ValueError, match=r"in 0\.\.3, not 4"):
        top_k_drop(additive(np.ones(3)), np.arange(3), 4)
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        sufficiency(additive(np.ones(3)), np.arange(3), shares=[0.0])
    with pytest.raises(ValueError, match="finite"):
        ranking([1.0, np.nan])


def test_masks_are_drawn_with_the_chances_asked_for() -> None:
    masks = draw_masks(4000, 3, rng=np.random.default_rng(0), keep=np.array([0.0, 0.3, 1.0]))
    assert masks.mean(0) == pytest.approx([0, 0.3, 1], abs=0.03)
    with pytest.raises(ValueError, match="for each of 3"):
        draw_masks(2, 3, rng=np.random.default_rng(0), keep=np.ones(2))
    with pytest.raises(ValueError, match=r"in \[0, 1\], not 1.5"):
        draw_masks(2, 3, rng=np.random.default_rng(0), keep=1.5)


@settings(max_examples=40, deadline=None)
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
    drawn = lds(both, np.array([1.0, 1.0]), rng=np.random.default_rng(0), masks=20_000)
    assert drawn == pytest.approx(expected, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(weights, st.data())
def test_fidelity_of_an_additive_game(w: np.ndarray, data: st.DataObject) -> None:
    members = data.draw(st.sets(st.integers(0, len(w) - 1)).map(sorted))
    found = fidelity(additive(w), members, len(w))
    assert found.plus == pytest.approx(w[members].sum(), abs=1e-6)
    assert found.minus == pytest.approx(w.sum() - w[members].sum(), abs=1e-6)


def test_flips_of_an_and_game_tell_necessary_from_sufficient() -> None:
    answers = {m: flip_fidelity(both, m, 3) for k in range(4) for m in itertools.combinations(range(3), k)}
    for members, (plus, minus) in answers.items():
        assert plus == float(bool({0, 1} & set(members)))  # without either the decision flips
        assert minus == float(not {0, 1} <= set(members))  # it takes both to keep it
    assert characterisation(*answers[0, 1]) == 1
    assert characterisation(*answers[2,]) == characterisation(*answers[0,]) == 0


def test_characterisation_is_the_weighted_harmonic_mean() -> None:
    assert characterisation(0.6, 0.2) == pytest.approx(2 / (1 / 0.6 + 1 / 0.8), abs=1e-6)
    assert characterisation(0.6, 0.2, weights=(1, 3)) == pytest.approx(4 / (1 / 0.6 + 3 / 0.8), abs=1e-6)
    assert characterisation(1.0, -0.3) == 1 and characterisation(-0.1, 0.0) == 0
    with pytest.raises(ValueError, match="above 0"):
        characterisation(0.5, 0.5, weights=(0, 1))


def test_members_that_are_no_elements_are_refused() -> None:
    with pytest.raises(ValueError, match=r"in 0\.\.2, not \[3\]"):
        fidelity(both, [3], 3)
