"""Soft measures: equal retention for every method, and closed forms of additive and AND games."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats import (
    RETENTIONS,
    area,
    expected_drop,
    hellinger_drop,
    keep_probabilities,
    soft_comprehensiveness,
    soft_sufficiency,
    value_drop,
)

scores = st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=40).map(np.array)


@settings(max_examples=80, deadline=None)
@given(scores, st.floats(0, 1))
def test_every_method_keeps_the_same_share_and_higher_scores_are_kept_more(values: np.ndarray, share: float) -> None:
    chances = keep_probabilities(values, share)
    assert chances.mean() == pytest.approx(share, abs=1e-9)
    assert ((chances >= -1e-12) & (chances <= 1 + 1e-12)).all()
    assert (np.diff(chances[np.argsort(values)]) >= -1e-12).all()
    # keeping by the negative scores at the complement is removing by the scores
    np.testing.assert_allclose(keep_probabilities(-values, 1 - share), 1 - chances, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(scores, st.floats(0.1, 9), st.floats(-5, 5))
def test_unit_and_zero_of_a_method_s_scores_do_not_matter(values: np.ndarray, scale: float, shift: float) -> None:
    moved = values * scale + shift
    if np.ptp(moved) > 1e-6:
        np.testing.assert_allclose(keep_probabilities(moved, 0.4), keep_probabilities(values, 0.4), atol=1e-6)


def test_soft_measures_of_an_additive_game_are_linear_in_the_chances() -> None:
    w = np.array([4.0, 3.0, 2.0, 1.0, 0.5])
    drop = value_drop(lambda keep: keep @ w - 7)
    kept = np.array([keep_probabilities(w, r) @ w for r in RETENTIONS]) / w.sum()
    against = np.array([keep_probabilities(-w, r) @ w for r in RETENTIONS]) / w.sum()
    np.testing.assert_allclose(soft_sufficiency(drop, w), kept, atol=1e-6)
    np.testing.assert_allclose(soft_comprehensiveness(drop, w), 1 - against, atol=1e-6)
    assert area(kept, at=RETENTIONS) == pytest.approx(((kept[1:] + kept[:-1]) / 2).mean(), abs=1e-6)


def test_of_an_and_game_the_true_scores_reach_the_product_of_the_chances() -> None:
    truth = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    drop = value_drop(lambda keep: keep[:, 0] * keep[:, 1] * 1.0)
    chances = np.array([keep_probabilities(truth, r)[0] for r in RETENTIONS])
    np.testing.assert_allclose(soft_sufficiency(drop, truth), chances**2, atol=1e-6)
    flat = soft_sufficiency(drop, np.zeros(6))
    np.testing.assert_allclose(flat, np.array(RETENTIONS) ** 2, atol=1e-6)
    assert (soft_sufficiency(drop, truth) > flat).all()
    assert (soft_sufficiency(drop, -truth) < flat).all()


def test_drawn_masks_agree_with_the_closed_form_and_cost_what_they_say() -> None:
    w, rows = np.random.default_rng(0).random(20), []

    def game(keep: np.ndarray) -> np.ndarray:
        rows.append(len(keep))
        return keep @ w

    expected = np.array([(1 - keep_probabilities(w, r)) @ w for r in RETENTIONS])
    lost, empty = expected_drop(value_drop(game), w, draws=800, rng=np.random.default_rng(1))
    assert empty == pytest.approx(w.sum()) and len(rows) == 1 and rows[0] <= 800 * 9 + 2
    np.testing.assert_allclose(lost, expected, atol=0.2)
    assert (np.diff(lost) < 0).all()  # the same random numbers at every retention: more kept, less lost
    with pytest.raises(ValueError, match="needs rng"):
        soft_sufficiency(value_drop(game), w)


def test_hellinger_distance_of_two_answers_in_closed_form() -> None:
    def distributions(keep: np.ndarray) -> np.ndarray:  # element 0 turns the one token of the answer
        p = np.where(keep[:, 0], 0.9, 0.2)[:, None]
        return np.stack([p, 1 - p], axis=-1)  # (m, 1 position, 2 classes)

    distance = np.sqrt(((np.sqrt(0.9) - np.sqrt(0.2)) ** 2 + (np.sqrt(0.1) - np.sqrt(0.8)) ** 2) / 2)
    drop = hellinger_drop(distributions)
    found = drop(np.array([[True, False], [False, True], [False, False]]))
    np.testing.assert_allclose(found, [0, distance, distance], atol=1e-6)
    np.testing.assert_allclose(
        soft_sufficiency(drop, np.array([1.0, 0.0])), [keep_probabilities([1, 0], r)[0] for r in RETENTIONS], atol=1e-6
    )
    two = hellinger_drop(lambda keep: np.repeat(distributions(keep), 3, axis=1))
    np.testing.assert_allclose(two(np.zeros((1, 2), bool)), [distance], atol=1e-6)


def test_where_nothing_is_lost_soft_measures_are_undefined() -> None:
    drop = value_drop(lambda keep: np.zeros(len(keep)))
    assert np.isnan(soft_sufficiency(drop, np.arange(3.0))).all()
    assert np.isnan(soft_comprehensiveness(drop, np.arange(3.0))).all()


def test_scores_and_retentions_that_make_no_chances_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        keep_probabilities([np.inf, 1], 0.5)
    with pytest.raises(ValueError, match=r"in \[0, 1\], not 1.1"):
        keep_probabilities([0.0, 1.0], 1.1)
