"""Several flip sets: all of them in small monotone games, unlike one another, within budget; and the duality check."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_games import TableGame, random_table, refused, ways

from workbench.explain import disjoint_pairs, diverse_flip_sets, minimal_flip_set, minimal_sufficient_set
from workbench.explain.sets.hitting import cheapest_hitting_set, dual_sets

terms = st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=4)


@given(terms)
def test_all_minimal_flip_sets_of_a_monotone_game_are_found(terms: list[set[int]]) -> None:
    game = ways(terms, 6)
    found = diverse_flip_sets(game, 6, count=100)
    assert {frozenset(one.elements) for one in found} == game.minimal("flip")
    assert len(found) == len(game.minimal("flip")) and all(one.certified for one in found)
    assert sum(one.calls for one in found) <= game.rows


@given(terms, st.integers(1, 4))
def test_every_flip_set_meets_every_sufficient_set_of_a_monotone_game(terms: list[set[int]], count: int) -> None:
    game = ways(terms, 6)
    flips = diverse_flip_sets(game, 6, count=count)
    orders = [np.random.default_rng(seed).permutation(6) for seed in range(4)]
    kept = [minimal_sufficient_set(game, 6, order=order) for order in orders]
    assert len(flips) == min(count, len(game.minimal("flip")))
    assert disjoint_pairs(flips, kept) == []


def test_a_pair_without_a_common_element_shows_a_game_that_is_not_monotone() -> None:
    def inhibited(keep: np.ndarray) -> np.ndarray:
        return (keep[:, 0] & ~(keep[:, 1] & ~keep[:, 2])) - 0.5

    guard = minimal_flip_set(inhibited, 3, order=[2])
    source = minimal_flip_set(inhibited, 3, order=[0])
    alone = minimal_sufficient_set(inhibited, 3)
    assert (guard.elements, source.elements, alone.elements) == ((2,), (0,), (0,))
    assert disjoint_pairs([source, guard], [alone]) == [(guard, alone)]
    nothing = minimal_flip_set(lambda z: np.ones(len(z)), 3)
    assert disjoint_pairs([nothing], [alone]) == [], "what was not found is in no pair"


def test_sets_differ_as_much_as_the_game_allows() -> None:
    def game(keep: np.ndarray) -> np.ndarray:
        return (keep[:, [3, 9]].all(axis=1) | keep[:, [14, 30]].all(axis=1)) - 0.5

    first, second, *rest = diverse_flip_sets(game, 40, count=10)
    assert not set(first.elements) & set(second.elements)
    found = {one.elements for one in (first, second, *rest)}
    assert found == {(3, 14), (3, 30), (9, 14), (9, 30)} and len(rest) == 2
    assert all(one.certified for one in (first, second, *rest))


@pytest.mark.parametrize("seed", range(30))
def test_sets_of_any_game_hold_none_within_another_and_within_budget(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(7, rng)
    table[-1] = True
    budget = int(rng.integers(0, 80))
    game = TableGame(table)
    found = diverse_flip_sets(game, 7, count=5, budget=budget, order=rng.permutation(7), rng=rng)
    assert sum(one.calls for one in found) <= game.rows <= budget
    assert all(game.holds("flip", one.elements) for one in found)
    assert all(frozenset(one.elements) in game.minimal("flip") for one in found if one.certified)
    assert all(one.certified for one in found[1:-1])
    assert not any(set(a.elements) <= set(b.elements) for a in found for b in found if a is not b)


def test_sets_that_only_a_game_without_monotony_has_are_looked_for() -> None:
    found = diverse_flip_sets(lambda z: z[:, [4, 12, 20]].sum(1) % 2 - 0.5, 24, count=3)
    assert {one.elements for one in found} == {(4,), (12,), (20,)} and all(one.certified for one in found)


def test_only_allowed_elements_and_at_least_one_set() -> None:
    game = ways([{0, 1}, {2, 3}], 6)
    found = diverse_flip_sets(game, 6, count=9, allowed=[0, 2, 3])
    assert {one.elements for one in found} == {(0, 2), (0, 3)}
    assert diverse_flip_sets(lambda z: np.ones(len(z)), 6, count=2) == []
    refused("count must be 1 or more, not 0", diverse_flip_sets, game, 6, count=0)


def test_noisy_games_give_certified_sets_too() -> None:
    rng = np.random.default_rng(0)

    def game(keep: np.ndarray) -> np.ndarray:
        return keep[:, [2, 5]].all(axis=1) * 2 - 1 + rng.normal(0, 0.3, len(keep))

    found = diverse_flip_sets(game, 12, count=5, repeats=20)
    assert {one.elements for one in found} == {(2,), (5,)} and all(one.certified for one in found)
    assert {one.confidence for one in found} == {0.95}


@settings(max_examples=80)
@given(
    st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=5),
    st.lists(st.sets(st.integers(0, 5), min_size=1), max_size=3),
    st.lists(st.integers(1, 4), min_size=6, max_size=6),
)
def test_hitting_set_is_the_cheapest_of_all_subsets(to_hit: list[set], to_avoid: list[set], weights: list) -> None:
    subsets = [set(s) for k in range(7) for s in combinations(range(6), k)]
    fit = [s for s in subsets if all(s & one for one in to_hit) and not any(one <= s for one in to_avoid)]
    found = cheapest_hitting_set(range(6), to_hit, to_avoid, weights)
    if not fit:
        assert found is None
    else:
        assert found in fit
        assert sum(weights[e] for e in found) == min(sum(weights[e] for e in s) for s in fit)


def test_hitting_sets_at_the_edges() -> None:
    assert cheapest_hitting_set([4, 2], [], [], [1, 1]) == frozenset()
    assert cheapest_hitting_set([4, 2], [{4, 2}], [], [1, 1]) == {4}, "among equals the first"
    assert cheapest_hitting_set([4, 2], [{4}, set()], [], [1, 1]) is None
    assert cheapest_hitting_set([4, 2], [{4}], [set()], [1, 1]) is None


@pytest.mark.parametrize("budget", range(2, 16))
def test_where_every_element_flips_alone_one_that_was_seen_to_is_proved_at_any_budget(budget: int) -> None:
    seen = []

    def kept(keep: np.ndarray) -> np.ndarray:
        seen.extend(keep.sum(axis=1).tolist())
        return np.where(keep.all(axis=1), 1.0, -1.0)

    found = dual_sets(kept, 20, budget=budget)
    alone = seen.count(19)
    assert len(seen) <= budget and found.sufficient == ()
    assert found.flip.certified == found.smallest == (alone > 0) == (len(found.flip.elements) == 1)
    assert ("each of 3" in found.flip.note) == (alone == 3)
