"""Noisy games: repeats go where they are needed, certificates are as sure as they say."""

from collections import Counter

import numpy as np
import pytest
from table_games import TableGame, random_table

from workbench.bench.oracles import planted_game
from workbench.explain import minimal_flip_set, minimal_sufficient_set
from workbench.explain.sets.judge import Judge
from workbench.meter import BudgetSpent, Meter

SEARCHES = {"flip": minimal_flip_set, "sufficient": minimal_sufficient_set}


def scattered(values: list[float]):
    """A game that gives these values in turn, whatever it is asked."""
    queue = iter(values)
    return lambda keep: np.array([next(queue) for _ in keep])


def judge_of(game, n: int, *, repeats: int = 50, budget: int | None = None) -> Judge:
    return Judge(Meter(game, n, budget=budget, cache=False), repeats=repeats)


def masks(n: int) -> np.ndarray:
    """n different masks of n elements."""
    return ~np.eye(n, dtype=bool)


@pytest.mark.parametrize("kind", SEARCHES)
def test_repeats_of_a_deterministic_game_cost_one_row(kind: str) -> None:
    game = planted_game("dnf", 40, rng=np.random.default_rng(1))
    once, often = SEARCHES[kind](game, 40), SEARCHES[kind](game, 40, repeats=9)
    assert often.calls == once.calls + 1
    assert (often.elements, often.certified, often.confidence) == (once.elements, True, 1.0)


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("name", ["and", "or", "dnf", "inhibitor", "xor"])
def test_planted_sets_are_found_under_noise(kind: str, name: str) -> None:
    exact = 0
    for seed in range(40):
        game = planted_game(name, 64, rng=np.random.default_rng(seed), noise=0.3)
        found = SEARCHES[kind](game, 64, repeats=20)
        exact += frozenset(found.elements) in (game.flips if kind == "flip" else game.sufficient)
        assert found.confidence == 0.95 and found.calls < 70
    assert exact >= 38


def test_small_margins_are_asked_again_and_found() -> None:
    exact, more = 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        game = planted_game("additive", 16, rng=rng, noise=0.3)
        found = minimal_flip_set(game, 16, repeats=30)
        exact += frozenset(found.elements) in game.flips
        more += found.calls > minimal_flip_set(game.quiet, 16).calls
    assert exact >= 36 and more == 40


def test_one_value_that_misleads_is_found_out() -> None:
    lies = 0

    def game(keep: np.ndarray) -> np.ndarray:
        nonlocal lies
        values = keep[:, [20, 50]].any(axis=1) * 2 - 1 + rng.normal(0, 0.1, len(keep))
        misled = (~keep).sum(1) == 39  # asked first: the removal of the first 39, which does not flip
        if misled.any() and not lies:
            values[misled], lies = -0.25, 1
        return values

    for seed in range(20):
        rng, lies = np.random.default_rng(seed), 0
        found = minimal_flip_set(game, 64, repeats=10)
        assert (found.elements, found.certified, lies) == ((20, 50), True, 1) and found.calls < 35


def test_at_most_one_search_in_twenty_ends_in_a_wrong_certificate() -> None:
    certified, wrong, searches = 0, 0, 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        game = TableGame(random_table(7, rng))
        if not game.table[-1]:
            continue
        size = rng.uniform(0.05, 1, len(game.table))  # margins from a sixth of the noise to three times as much
        value = np.where(game.table, size, -size)
        for kind, search in SEARCHES.items():
            found = search(lambda z: value[z @ (1 << np.arange(7))] + rng.normal(0, 0.3, len(z)), 7, repeats=12)  # noqa: B023
            searches += 1
            certified += found.certified
            without = [set(found.elements) - {e} for e in found.elements]
            proved = game.holds(kind, found.elements) and not any(game.holds(kind, s) for s in without)
            wrong += found.certified and not proved
    assert searches > 500 and certified > searches / 4 and wrong <= 0.05 * searches


def test_what_noise_leaves_open_is_not_certified() -> None:
    rng = np.random.default_rng(0)
    found = [minimal_flip_set(lambda z: z[:, 3] - 0.5 + rng.normal(0, 20, len(z)), 8, repeats=4) for _ in range(30)]
    doubtful = [one for one in found if not one.certified]
    assert len(doubtful) >= 27 and all(one.note for one in doubtful)
    assert any("not clear of 0 at 95%" in one.note for one in doubtful)


@pytest.mark.parametrize("budget", [0, 1, 2, 5, 13, 21])
def test_no_mask_is_asked_more_often_than_repeats_nor_rows_beyond_the_budget(budget: int) -> None:
    asked: Counter = Counter()
    rng = np.random.default_rng(2)

    def game(keep: np.ndarray) -> np.ndarray:
        asked.update(row.tobytes() for row in keep)
        return keep[:, [1, 4]].any(axis=1) - 0.5 + rng.normal(0, 0.6, len(keep))

    found = minimal_sufficient_set(game, 9, repeats=3, budget=budget)
    assert sum(asked.values()) == found.calls <= budget
    assert not asked or max(asked.values()) <= 3
    minimal_sufficient_set(game, 9, repeats=3)
    assert sum(asked.values()) > budget


def test_noise_is_the_pooled_scatter_of_masks_asked_again() -> None:
    judge = judge_of(scattered([1.0, -2.0, 1.4, -2.3, 0.9]), 2)
    for i in (0, 1, 0, 1, 0):
        judge._ask(masks(2)[i][None])
    first, second = [1.0, 1.4, 0.9], [-2.0, -2.3]
    squares = 2 * np.var(first, ddof=1) + np.var(second, ddof=1)
    assert judge.noise() == (pytest.approx(np.sqrt(squares / 3)), 3)
    assert judge.value(masks(2)[0]) == pytest.approx(np.mean(first))


def test_groups_far_from_zero_add_to_what_is_known_of_the_noise() -> None:
    kept, not_kept = [1.0, 1.2, 0.9, 1.1], [-1.0, -0.8, -1.1]
    judge = judge_of(scattered([*kept, *not_kept, 1.04]), 7)
    judge._ask(masks(7))
    assert judge.noise() == (0.0, 0), "without a repeat the masks may differ in truth alone"
    judge._ask(masks(7)[:1])
    means, counts = np.array([1.02, 1.2, 0.9, 1.1]), np.array([2, 1, 1, 1])
    between = (counts * (means - np.average(means, weights=counts)) ** 2).sum() + 2 * np.var(not_kept, ddof=1)
    assert judge.noise() == (pytest.approx(np.sqrt((between + np.var([1.0, 1.04], ddof=1)) / 6)), 6)
    near = judge_of(scattered([0.2, 1.2, 0.1, 1.1, -1.0, -0.1, -1.1, 0.24]), 7)
    near._ask(masks(7))
    near._ask(masks(7)[:1])
    assert near.noise()[1] == 1, "values near 0 are cut off there: their group says too little"


def test_the_sign_of_a_mean_settles_at_the_stated_quantile() -> None:
    # standard deviation sqrt(0.02), one degree of freedom: t quantiles 3.078 (10 %) and 6.314 (5 %)
    judge = judge_of(scattered([1.0, 1.2, 0.5, 0.6, 0.7]), 2)
    judge._ask(masks(2)[:1])
    judge._ask(masks(2)[:1])
    judge._ask(masks(2)[1:])
    margin, deviation = 0.5, np.sqrt(0.02)
    assert judge.clear(masks(2)[1:], alpha=0.10).tolist() == [margin > 3.078 * deviation]
    assert judge.clear(masks(2)[1:], alpha=0.05).tolist() == [margin > 6.314 * deviation]
    assert judge.clear(masks(2)[1:], alpha=0.10).tolist() != judge.clear(masks(2)[1:], alpha=0.05).tolist()
    # the first ask has half of alpha when it is spent over the asks
    assert judge.clear(masks(2)[1:], alpha=0.10, spend=True).tolist() == [False]
    assert judge.kept(masks(2), alpha=0.05).tolist() == [True, True]
    assert judge.meter.calls > 3


def test_a_spent_budget_keeps_the_rows_that_fitted() -> None:
    judge = judge_of(lambda keep: keep[:, 0] - 0.5, 4, repeats=1, budget=2)
    with pytest.raises(BudgetSpent):
        judge.kept(masks(4), alpha=0.1)
    assert [judge.value(mask) for mask in masks(4)[:2]] == [-0.5, 0.5]
    assert np.isnan(judge.value(masks(4)[2])) and judge.meter.calls == 2
