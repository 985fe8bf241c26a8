"""Attribution of a difference: exact Shapley values, completeness, surrogates on elements and on facts."""

import itertools
import json
import math

import numpy as np
import pytest
from explain_cases import CHAIN, MORE, engine
from explain_cases import case as small_case
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from table_games import additive, rng, table
from tiny import chain_case, tiny_reader

from workbench.attribution import Features, completed, fit, fit_surrogate, linear_surrogate, shapley, shapley_values
from workbench.game import Difference, Engine, Game

weights = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=10).map(np.array)


def by_all_orders(game, n: int) -> np.ndarray:
    """Shapley values as they are defined: the mean gain over all n! orders."""
    total = np.zeros(n)
    for order in itertools.permutations(range(n)):
        masks = np.zeros((n + 1, n), bool)
        for k, player in enumerate(order):
            masks[k + 1 :, player] = True
        total[list(order)] += np.diff(game(masks))
    return total / math.factorial(n)


def zero(keep: np.ndarray) -> np.ndarray:
    """The difference of a model to itself."""
    return np.zeros(len(keep))


@pytest.mark.parametrize("seed", range(4))
def test_exact_values_are_the_mean_gain_over_all_orders(seed: int) -> None:
    game = table(5, seed)
    found = shapley(game, 5)
    np.testing.assert_allclose(found.scores, by_all_orders(game, 5), atol=1e-9)
    assert found.calls == 32 and found.completeness_error < 1e-9


@given(weights, st.floats(-3, 3), st.integers(1, 6))
def test_of_an_additive_game_every_form_gives_the_weights(w: np.ndarray, offset: float, walks: int) -> None:
    game, n = additive(w, offset), len(w)
    for found in (shapley(game, n), shapley(game, n, permutations=walks, rng=rng())):
        np.testing.assert_allclose(found.scores, w, atol=1e-6)
        assert found.intercept == pytest.approx(offset, abs=1e-6) and found.completeness_error <= 1e-6
    line = linear_surrogate(game, n, rng=rng(), masks=64, alpha=1e-9)
    np.testing.assert_allclose(line.scores, w, atol=1e-4)
    assert line.completeness_error <= 1e-6


@given(st.integers(2, 9), st.integers(0, 1000), st.integers(1, 9))
def test_walks_and_lines_are_complete_whatever_the_game_and_however_few_the_walks(n: int, seed: int, few: int) -> None:
    game = table(n, seed)
    ends = game(np.array([[True] * n, [False] * n]))
    walks = shapley(game, n, permutations=few, rng=rng(seed))
    line = linear_surrogate(game, n, rng=rng(seed), masks=40, held_out=10, alpha=0.1)
    for found in (walks, line):
        assert found.scores.sum() == pytest.approx(ends[0] - ends[1], abs=1e-9) and found.completeness_error <= 1e-9


def test_sampled_values_come_near_the_exact_ones_as_their_errors_say() -> None:
    game, n = table(8, 3), 8
    exact = shapley(game, n).scores
    found = shapley(game, n, permutations=400, rng=rng())
    apart = np.abs(found.scores - exact) / found.stderr
    assert (apart < 4).all() and np.median(apart) < 1.5
    few = shapley(game, n, permutations=40, rng=rng())
    assert few.stderr.mean() == pytest.approx(found.stderr.mean() * np.sqrt(10), rel=0.4)
    assert shapley(game, n, permutations=2, rng=rng()).stderr is None


def test_walking_backwards_too_cancels_pairwise_interaction() -> None:
    upper = np.triu(rng().normal(size=(20, 20)), 1)

    def game(keep: np.ndarray) -> np.ndarray:  # sum of w_ij z_i z_j: of it a walk and its reverse leave no noise
        return ((keep @ upper) * keep).sum(axis=1)

    found = shapley(game, 20, permutations=2, rng=rng())
    np.testing.assert_allclose(found.scores, (upper.sum(0) + upper.sum(1)) / 2, atol=1e-9)


@given(st.integers(2, 14), st.integers(1, 8), st.integers(0, 20))
def test_rows_are_asked_together_and_counted(n: int, walks: int, held_out: int) -> None:
    asked: list[np.ndarray] = []

    def game(keep: np.ndarray) -> np.ndarray:
        asked.append(keep)
        return keep.sum(axis=1).astype(float)

    found = shapley(game, n, permutations=walks, rng=rng(), held_out=held_out)
    assert len(asked) == 1 and found.calls == len(asked[0]) == len(np.unique(asked[0], axis=0))
    assert found.calls <= (walks + walks % 2) * (n - 1) + 2 + held_out
    asked.clear()
    line = linear_surrogate(game, n, rng=rng(), masks=30, held_out=held_out)
    assert len(asked) == 1 and line.calls == len(asked[0]) <= 32 + held_out


def test_one_model_against_itself_scores_exactly_0() -> None:
    case = chain_case()
    n = len(case.elements)
    found = [
        shapley(zero, 6),
        shapley(zero, n, permutations=4, rng=rng()),
        linear_surrogate(zero, n, rng=rng()),
        linear_surrogate(zero, n, rng=rng(), features=Features.of_facts(case)),
    ]
    for one in found:
        assert (one.scores == 0).all() and one.intercept == 0 and one.completeness_error == 0
        assert np.isnan(one.lds) and one.to_dict()["lds"] is None


def test_where_no_mask_drawn_shows_a_difference_all_share_what_there_is() -> None:
    n = 40
    found = linear_surrogate(lambda keep: 2.0 * keep.all(axis=1), n, rng=rng())
    np.testing.assert_allclose(found.scores, np.full(n, 2.0 / n), atol=1e-9)
    np.testing.assert_allclose(completed(np.array([3.0, 0.0, -1.0]), 4.0), [4.5, 0.0, -0.5], atol=1e-12)


def test_a_line_on_facts_sees_what_a_line_on_elements_does_not() -> None:
    case = chain_case()
    n, worth = len(case.elements), rng().normal(size=len(case.facts))

    def game(keep: np.ndarray) -> np.ndarray:  # additive in the facts, as of a model that reads them one by one
        return case.keep_facts(keep) @ worth

    facts = linear_surrogate(game, n, rng=rng(), masks=128, features=Features.of_facts(case))
    elements = linear_surrogate(game, n, rng=rng(), masks=128, keep=Features.of_facts(case).half)
    assert facts.lds > 0.999 > elements.lds and facts.lds_elements < facts.lds
    nodes, total = len(case.nodes), np.zeros(n)
    for i, fact in enumerate(case.facts):  # a third of a fact to its edge and to each of its ends
        total[[nodes + i, case.nodes.index(fact.head), case.nodes.index(fact.tail)]] += worth[i] / 3
    np.testing.assert_allclose(facts.scores, total, atol=0.02)


def test_scores_of_a_line_on_groups_are_the_exact_values_of_that_line() -> None:
    features = Features(6, ((0,), (1, 2), (0, 3, 4), (2, 5)))
    slopes = np.array([1.0, -2.0, 3.0, 0.5])
    exact = shapley(lambda keep: features(keep) @ slopes + 7, 6)
    np.testing.assert_allclose(features.to_elements(slopes), exact.scores, atol=1e-9)


def test_features_are_shown_by_half_of_the_masks() -> None:
    case = chain_case()
    assert Features.of_elements(4).half == 0.5
    features = Features.of_facts(case)
    keep = rng().random((4000, features.n)) < features.half
    np.testing.assert_allclose(features(keep).mean(axis=0), 0.5, atol=0.04)


def test_32_elements_with_interactions_are_foretold_on_masks_held_out() -> None:
    w = rng(2).normal(size=32) * (rng(3).random(32) < 0.4)

    def game(keep: np.ndarray) -> np.ndarray:
        return np.tanh(keep @ w / 3) + 0.3 * keep[:, 4] * keep[:, 9]

    assert linear_surrogate(game, 32, rng=rng()).lds >= 0.9
    assert shapley(game, 32, permutations=8, rng=rng()).lds >= 0.9


def test_masks_may_be_given_and_strength_is_chosen_or_given() -> None:
    design = (rng().random((60, 5)) < 0.5).astype(float)
    truth = np.array([2.0, 0, 0, -1, 0])
    np.testing.assert_allclose(fit(design, design @ truth + 3), truth, atol=0.01)
    assert (fit_surrogate(design, design @ truth, alpha=0.2).scores[[1, 2, 4]] == 0).all()
    assert not fit_surrogate(design, np.ones(60)).scores.any()
    always = np.where(np.arange(5) == 3, 1.0, design)
    assert fit_surrogate(always, always @ truth).scores[3] == 0
    refused("2 or more masks, not 1", fit_surrogate, design[:1], np.ones(1))
    found = linear_surrogate(lambda keep: keep @ truth, 5, rng=rng(), masks=design > 0, held_out=20)
    np.testing.assert_allclose(found.scores, truth, atol=0.01)


def test_result_is_plain_json() -> None:
    found = shapley(table(4, 0), 4, permutations=4, rng=rng(), held_out=0).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["lds"] is None and len(found["stderr"]) == len(found["scores"]) == 4


def test_what_cannot_be_attributed_is_refused() -> None:
    refused("16 elements at most, not of 17; give permutations", shapley, zero, 17)
    refused("1 or more, drawn with rng", shapley, zero, 3, permutations=4)
    refused("of 4 elements, the game is of 3", linear_surrogate, zero, 3, rng=rng(), features=Features.of_elements(4))
    refused("5 or more masks", linear_surrogate, zero, 3, rng=rng(), masks=4)
    for wrong in (np.zeros(3), np.zeros((2, 2)), np.zeros(0)):
        refused(r"2\^n in a row", shapley_values, wrong)
    refused(r"in 0\.\.2, not \[\(0, 3\)\]", Features, 3, ((0, 3),))


def test_of_a_language_model_the_adapter_s_difference_is_complete_and_no_adapter_makes_none() -> None:
    case = small_case(CHAIN + MORE)
    change = Difference(Game.of(engine(), case))
    ends = change(np.array([[True] * change.n, [False] * change.n]))
    features = Features.of_facts(case)
    line = linear_surrogate(change, change.n, rng=rng(), masks=40, held_out=20, features=features)
    walks = shapley(change, change.n, permutations=4, rng=rng(), held_out=20, keep=features.half)
    assert abs(ends[0] - ends[1]) > 0.1
    for found in (line, walks):
        assert found.scores.sum() == pytest.approx(ends[0] - ends[1], abs=1e-3)
        assert found.completeness_error <= 1e-3
    case = chain_case()
    none = Difference(Game.of(Engine(tiny_reader()), case))
    assert (linear_surrogate(none, none.n, rng=rng(), masks=20, held_out=5).scores == 0).all()
    assert (shapley(none, none.n, permutations=2, rng=rng(), held_out=5).scores == 0).all()
