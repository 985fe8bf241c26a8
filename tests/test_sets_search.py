"""Minimal sets: true, proved and within budget, against a look at every set; the smallest flip set as small as any."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from table_games import TableGame, all_of, any_of, cuts, random_table, table_of

from workbench.explain import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.explain.sets.minimal import smallest_flip_set

SEARCHES = {"flip": minimal_flip_set, "sufficient": minimal_sufficient_set}


def games(low: int):
    """Truth tables of up to 6 elements, entry by entry, that keep the decision with everything kept."""
    tables = st.integers(low, 6).flatmap(lambda n: st.lists(st.booleans(), min_size=2**n - 1, max_size=2**n - 1))
    return tables.map(lambda bits: TableGame(np.array([*bits, True])))


@pytest.mark.parametrize("kind", SEARCHES)
def test_two_thousand_random_games_have_no_wrong_certificate_and_no_set_is_missed(kind: str) -> None:
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        game = TableGame(random_table(int(rng.integers(1, 11)), rng))
        order = rng.permutation(game.n)[: rng.integers(game.n + 1)] if rng.random() < 0.5 else None
        found = SEARCHES[kind](game, game.n, order=order)
        exists = game.table[-1] and (kind == "sufficient" or not game.table.all())
        assert found.found == found.certified == exists, seed
        assert found.calls == game.rows == len({row.tobytes() for batch in game.batches for row in batch}), seed
        if found.found:
            assert game.holds(kind, found.elements) and found.value == (-1 if kind == "flip" else 1), seed
            sizes = range(len(found.elements))
            assert not any(game.holds(kind, s) for k in sizes for s in combinations(found.elements, k)), seed
        else:
            assert np.isnan(found.value), seed
            assert game.table[-1] or ("nothing to explain" in found.note and found.calls == 1), seed


@given(games(1), st.sampled_from(sorted(SEARCHES)), st.integers(0, 40))
def test_a_budget_is_never_exceeded_and_the_best_set_so_far_holds(game: TableGame, kind: str, budget: int) -> None:
    free = SEARCHES[kind](TableGame(game.table), game.n)
    found = SEARCHES[kind](game, game.n, budget=budget)
    assert found.calls == game.rows <= budget
    if budget >= free.calls:
        assert found == free
    else:
        assert not found.certified and f"budget of {budget} rows" in found.note
        assert not found.found or game.holds(kind, found.elements)


def test_a_spent_budget_gives_the_smallest_set_seen() -> None:
    game = any_of(10, 40)
    sizes = [len(minimal_flip_set(game, 64, budget=b).elements) for b in range(3, 17)]
    assert sizes == sorted(sizes, reverse=True) and 2 < sizes[0] < 64 and sizes[-1] == 2
    assert minimal_sufficient_set(game, 64, budget=1).elements == tuple(range(64))


@given(games(2), st.sampled_from(sorted(SEARCHES)), st.sets(st.integers(0, 5)), st.booleans())
def test_what_is_not_allowed_is_kept_in_every_row(game: TableGame, kind: str, allowed: set, as_mask: bool) -> None:
    allowed = {e for e in allowed if e < game.n}
    given_as = np.isin(np.arange(game.n), list(allowed)) if as_mask else sorted(allowed)
    found = SEARCHES[kind](game, game.n, allowed=given_as)
    others = [e for e in range(game.n) if e not in allowed]
    assert all(batch[:, others].all() for batch in game.batches)
    assert set(found.elements) <= allowed
    always = [] if kind == "flip" else others
    subsets = [s for k in range(len(allowed) + 1) for s in combinations(sorted(allowed), k)]
    holding = [set(s) for s in subsets if game.holds(kind, [*s, *always])]
    assert found.found == bool(holding)
    if found.found:
        assert set(found.elements) in holding and not any(s < set(found.elements) for s in holding)


def test_only_one_call_of_the_game_for_the_rows_of_the_proof() -> None:
    game = TableGame(table_of(14, lambda z: z[:, [2, 5, 8, 11]].any(axis=1)))
    found = minimal_flip_set(game, 14)
    assert found.elements == (2, 5, 8, 11) and found.certified
    # the set itself, and the set without its first or its last member, were asked on the way
    assert len(game.batches[-1]) == 5 - 2 and all(len(batch) == 1 for batch in game.batches[:-1])
    assert (~game.batches[-1]).sum(1).tolist() == [3, 3, 3]
    assert "two or more of the members" in found.note


@pytest.mark.parametrize(("n", "most"), [(64, 25), (256, 35)])
def test_sparse_sets_cost_some_log_n_rows_a_member(n: int, most: int) -> None:
    calls = []
    for seed in range(41):
        a, b, c = np.random.default_rng(seed).choice(n, 3, replace=False).tolist()
        searched = [minimal_flip_set(all_of(a, b, c), n), minimal_flip_set(any_of(a, b), n)]
        searched += [minimal_sufficient_set(all_of(a, b, c), n), minimal_sufficient_set(any_of(a, b, c), n)]
        assert [len(one.elements) for one in searched] == [1, 2, 3, 1]
        calls.append([one.calls for one in searched])
    assert np.median(calls, axis=0).max() <= most and np.max(calls) <= most + 4


def test_dense_sets_cost_little_more_than_asking_for_each_element() -> None:
    found = minimal_sufficient_set(lambda z: z.all(axis=1) - 0.5, 64)
    assert found.elements == tuple(range(64)) and found.certified and found.calls <= 3 * 64


def test_members_that_suffice_are_noticed_early() -> None:
    drawn = [np.random.default_rng(seed).choice(256, 5, replace=False).tolist() for seed in range(20)]
    found = [minimal_sufficient_set(all_of(*members), 256) for members in drawn]
    assert [one.elements for one in found] == [tuple(sorted(members)) for members in drawn]
    assert np.median([one.calls for one in found]) < 50


def test_a_good_order_is_cheaper_and_decides_between_sets() -> None:
    game = all_of(7, 90, 200)
    assert minimal_flip_set(game, 256, order=[200]).elements == (200,)
    ordered = minimal_flip_set(game, 256, order=[200, 7, 90])
    assert ordered.calls <= 3 < minimal_flip_set(game, 256).calls
    assert minimal_sufficient_set(game, 256, order=[7, 200, 90]).calls <= 12


def test_what_removing_everything_hides_is_found() -> None:
    # kept while both are there or both are gone, as an answer that needs no graph
    found = minimal_flip_set(lambda z: np.where(z[:, 5] == z[:, 33], 1.0, -1.0), 40)
    assert found.elements in {(5,), (33,)} and found.certified
    # one removal that flips, and that others undo: only the elements alone show it
    found = minimal_flip_set(lambda z: np.where(~z[:, 25] & z[:, :25].all(axis=1), -1.0, 1.0), 40, budget=200)
    assert found.elements == (25,) and found.certified and "not monotone" in found.note


def test_nothing_to_find_is_said_so() -> None:
    always = minimal_flip_set(lambda z: np.ones(len(z)), 30)
    assert not always.found and not always.certified and always.elements == () and "nor does any" in always.note
    small = minimal_flip_set(lambda z: np.ones(len(z)), 6)
    assert not small.found and "all were asked" in small.note and small.calls == 2**6
    none = minimal_sufficient_set(lambda z: np.ones(len(z)), 30)
    assert none.found and none.certified and none.elements == ()
    assert not minimal_flip_set(lambda z: np.ones(len(z)), 5, allowed=[]).found
    assert not minimal_flip_set(lambda z: np.zeros(len(z)), 5).found, "a value of 0 is not kept"


def test_arguments_out_of_range_are_refused() -> None:
    game = all_of(*range(5))
    for order in ([0, 0], [5], [-1], [[0]], [0.5]):
        refused("order must", minimal_flip_set, game, 5, order=order)
    with pytest.raises(ValueError, match=r"allowed as a bool mask must be of shape \(5,\), not \(4,\)"):
        minimal_flip_set(game, 5, allowed=np.ones(4, bool))
    refused("repeats must be 1 or more, not 0", minimal_flip_set, game, 5, repeats=0)
    for name in ("budget", "repeats"):
        for value in (np.nan, 2.0, True, "3"):
            with pytest.raises(ValueError, match=f"{name} must be a whole number, . or more, not .*; give an int"):
                minimal_sufficient_set(game, 5, **{name: value})
    for n in (-1, 2.5, None):
        refused("n must be", minimal_flip_set, game, n)
    refused("the game must give numbers, one a mask, not", minimal_flip_set, lambda z: ["kept"] * len(z), 5)
    refused("is nan", minimal_flip_set, lambda z: np.full(len(z), np.nan), 5)


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("repeats", [1, 20])
def test_a_game_that_writes_into_its_masks_changes_nothing(kind: str, repeats: int) -> None:
    def game(keep: np.ndarray) -> np.ndarray:
        return np.where(keep[:, [2, 5, 8]].sum(1) > 1, 1.0, -1.0)

    def scribbling(keep: np.ndarray) -> np.ndarray:
        values = game(keep)
        keep[:] = False
        return values

    assert SEARCHES[kind](scribbling, 10, repeats=repeats) == SEARCHES[kind](game, 10, repeats=repeats)


def test_progress_hears_the_rows_and_the_result_is_plain_json() -> None:
    heard: list[int] = []
    found = minimal_flip_set(lambda z: z[:, 2] - 0.5, 9, progress=heard.append)
    assert heard[-1] == found.calls and heard == sorted(heard)
    assert ElementSet(**{**json.loads(json.dumps(found.to_dict())), "elements": found.elements}) == found


@given(st.data())
def test_as_small_as_exhaustive_search(data):
    n = data.draw(st.integers(3, 9))
    group = st.sets(st.integers(0, n - 1), min_size=1, max_size=4)
    game = cuts(data.draw(st.lists(group, min_size=1, max_size=4)), n)
    allowed = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
    found = smallest_flip_set(game, n, allowed=allowed, rng=np.random.default_rng(0))
    subsets = (s for k in range(1, len(allowed) + 1) for s in combinations(allowed, k))
    smallest = next((s for s in subsets if game.holds("flip", s)), None)
    assert found.found == (smallest is not None)
    if smallest is not None:
        assert set(found.elements) <= set(allowed) and len(found.elements) == len(smallest) and found.certified


@pytest.mark.parametrize(("groups", "note"), [([{2}], "flips alone"), ([{1, 3}], "no element flips alone: no smaller")])
def test_says_when_no_smaller_set_exists(groups, note):
    found = smallest_flip_set(cuts(groups, 5), 5)
    assert note in found.note and found.elements == tuple(sorted(groups[0]))


def test_the_budget_of_the_smallest_set_is_never_exceeded_and_the_best_so_far_comes_back():
    for budget in range(0, 60, 3):
        game = cuts([{0, 1, 2}], 12)
        found = smallest_flip_set(game, 12, budget=budget)
        assert game.rows == found.calls <= budget
        assert not found.found or game.holds("flip", found.elements)
    assert found.certified
