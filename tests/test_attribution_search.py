"""Methods that search: TracLLM, ReAGent, LiMA and CF-GNNExplainer, against their formulas worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from table_games import Counted, Smooth, additive, disjunction, rng, table, top

from workbench.attribution import METHODS, LimaWeights, cf_search
from workbench.attribution.perturbation import SCORERS, Objective, bidirectional, search
from workbench.stats.games import without

# TracLLM


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 100))
def test_groups_are_halved_in_order_and_cover_what_is_left(n, groups, seed):
    weights, levels = rng(seed).normal(size=n), []

    def score(level):
        levels.append(level)
        return np.array([weights[list(g)].max() for g in level])

    scores = search(additive(weights), score, groups=groups)
    for level in levels:
        flat = [i for g in level for i in g]
        assert flat == sorted(set(flat))
    assert all(len(level) <= 2 * groups for level in levels)
    last = [g[0] for g in levels[-1]]
    assert np.array_equal(scores[last], weights[last]) and int(np.argmax(weights)) in last
    lost = np.setdiff1d(np.arange(n), last)
    assert np.all(scores[lost] == min(0, weights[last].min()))


def test_scorers_are_their_formulas_within_what_is_left():
    game, level = table(6, seed=1), [(0, 1), (3,), (5,)]

    def v(*groups):
        keep = np.zeros((1, 6), dtype=bool)
        keep[0, [i for g in groups for i in g]] = True
        return game(keep)[0]

    how = {"rng": rng(), "permutations": 3, "top": 0.4}
    assert np.allclose(SCORERS["single"](game, level, **how), [v(g) - v() for g in level])
    left = [v(*level) - v(*(o for o in level if o != g)) for g in level]
    assert np.allclose(SCORERS["leave_one_out"](game, level, **how), left)
    again, gains = rng(), {g: [] for g in level}
    for _ in range(3):
        before = []
        for i in again.permutation(3):
            gains[level[i]].append(v(*before, level[i]) - v(*before))
            before.append(level[i])
    assert np.allclose(SCORERS["shapley"](game, level, **how), [max(gains[g]) for g in level])  # one of three
    mean = SCORERS["shapley"](game, level, rng=rng(), permutations=3, top=1.0)
    assert np.allclose(mean, [np.mean(gains[g]) for g in level])


def test_tracllm_weighs_and_takes_the_largest():
    weights = np.arange(1.0, 9)
    parts = [METHODS["tracllm"](additive(weights), rng=rng(), groups=8, weights={s: w}).scores for s, w in
             (("single", 1.0), ("leave_one_out", 2.0), ("shapley", 1.0))]  # fmt: skip
    assert np.allclose(parts, [weights, 2 * weights, weights])
    assert np.allclose(METHODS["tracllm"](additive(weights), rng=rng(), groups=8).scores, 2 * weights)
    refused("unknown scorer 'luck'", METHODS["tracllm"], additive(weights), weights={"luck": 1.0})


# ReAGent


def test_a_step_of_reagent_is_its_formula():
    weights = np.array([0.5, -0.25, 1.0, 0.0, 0.25])
    game, asked = additive(weights), []
    value = game.value
    game.value = lambda keep: asked.append(keep) or value(keep)
    scores = METHODS["reagent"](game, rng=rng(5), probes=1, steps=1, share=0.4).scores
    start = rng(5).random((1, 5))[0]
    out = ~asked[1][0]
    assert out.sum() == 2
    delta = np.tanh(weights[out].sum() / weights.sum())  # the ends are 0 and the sum of all
    logit = np.log((delta + 1) / 2) - np.log((1 - delta) / 2)
    moved = start + np.where(out, logit, -logit)
    assert np.allclose(scores, np.exp(moved) / np.exp(moved).sum())


def test_reagent_averages_the_probes_that_converged():
    # the decision stands with any player: every probe stops after one step, with rows for 2 ends, 1 step and 1 check
    game = disjunction(6, range(6))
    scores = METHODS["reagent"](game, rng=rng(), probes=4).scores
    assert game.rows == 2 + 4 + 4 and scores.sum() == pytest.approx(1)
    never = Counted(6, lambda keep: keep[:, 0] - 2.0)  # nothing keeps the decision: all probes run to the end
    scores = METHODS["reagent"](never, rng=rng(), probes=4, steps=20).scores
    assert never.rows == 2 + 20 * 8 and top(scores, 1) == {0}
    for wrong in ({"share": 1.0}, {"probes": 0}):
        refused("probes, steps and top must be 1 or more", METHODS["reagent"], never, **wrong)


# LiMA


def test_the_objective_is_its_formula():
    game = table(4, seed=3)
    distances = np.array([[0, 0.1, 0.5, 0.9], [0.1, 0, 0.3, 0.2], [0.5, 0.3, 0, 0.4], [0.9, 0.2, 0.4, 0]])
    f = Objective(game, LimaWeights(0.05, 20.0, 1.0), distances)
    keep = np.array([[True, True, False, True]])
    spread = 0.1 + 0.1 + 0.2
    expected = 0.05 * spread + 20 * game(keep)[0] + 1 - game(~keep)[0]
    assert f(keep)[0] == pytest.approx(expected)
    assert f.spread(np.array([[False, True, False, False]]))[0] == 0


def by_the_letter(f, n, candidates):
    """The bidirectional greedy search as the paper words it, one set at a time."""
    first, last, everyone = [], [], set(range(n))

    def value(members):
        return f(np.array([[i in members for i in range(n)]]))[0]

    while len(everyone - {*first, *last}) > 1:
        left = sorted(everyone - {*first, *last})
        gains = {c: value({*first, c}) for c in left}
        best = max(left, key=lambda c: gains[c])
        first.append(best)
        if len(left) > candidates:
            pool = sorted((c for c in left if c != best), key=lambda c: gains[c])[:candidates]
            last.append(min(pool, key=lambda c: value({*last, c})))
    return [*first, *(everyone - {*first, *last}), *reversed(last)]


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 1000))
def test_the_order_is_that_of_the_search_as_worded(n, candidates, seed):
    f = Objective(table(n, seed), LimaWeights(), np.zeros((n, n)))
    assert bidirectional(f, n, candidates=candidates) == by_the_letter(f, n, candidates)


def test_lima_scores_the_order():
    assert np.allclose(METHODS["lima"](additive([3.0, 1.0, 2.0])).scores, [1, 1 / 3, 1 / 2])


# CF-GNNExplainer


def test_the_search_finds_the_flip_and_stores_every_one():
    game = Smooth(6, {(1, 4): 4.0, (0,): 0.1, (2,): 0.1, (3,): 0.1}, offset=-2.0)  # kept where 1 and 4 are
    found = cf_search(game, steps=80, beta=0.2)
    assert found.flips and all(game(without(6, [flip]))[0] <= 0 for flip in found.flips)
    assert len(found.best) == min(map(len, found.flips)) and set(found.best) & {1, 4}
    scores = METHODS["cf_gnn"](game, steps=80, beta=0.2).scores
    assert top(scores, len(found.best)) == set(found.best) and scores.max() > 1
    assert game.passes <= 160


def test_one_step_is_its_formula():
    game = Smooth(3, {(0, 1): 2.0, (2,): 0.5}, offset=5.0)
    s = 1 / (1 + np.exp(-0.1))
    slope = np.array([2 * s, 2 * s, 0.5])  # of log p(answer) in the gates
    gradient = (slope - 0.3) * s * (1 - s)
    keep = cf_search(game, steps=1, learning_rate=0.7, beta=0.3).keep
    assert np.allclose(keep, 1 / (1 + np.exp(-(0.1 - 0.7 * gradient))))
    steep = Smooth(3, {(0,): 1000.0}, offset=5.0)
    moved = np.log(1 / cf_search(steep, steps=1, learning_rate=0.5).keep - 1)
    assert -moved[0] == pytest.approx(0.1 - 0.5 * 2.0, rel=1e-3)  # the gradient is clipped to a norm of 2


def test_no_flip_leaves_the_gates_as_scores():
    game = Smooth(3, {(0,): 1.0}, offset=5.0)
    found = cf_search(game, steps=5)
    assert found.flips == [] and found.best == ()
    scores = METHODS["cf_gnn"](game, steps=5).scores
    assert np.allclose(scores, 1 - found.keep) and top(scores, 1) == {0}
    for wrong in ({"steps": 0}, {"momentum": 1.0}, {"beta": -1.0}):
        refused("out of range", cf_search, game, **wrong)
