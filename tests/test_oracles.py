"""Planted games: the stated truth is that of a look at every set, and the searches are measured against it."""

import numpy as np
import pytest
from table_games import TableGame, table_of

from workbench.hands.bench.oracles import FORMULAS, PlantedGame, planted_game
from workbench.hands.bench.planted import SEARCHES, play, set_games
from workbench.stats import proportion


@pytest.mark.parametrize("n", [5, 8, 10])
@pytest.mark.parametrize("name", FORMULAS)
def test_stated_minimal_sets_are_all_there_are(name: str, n: int) -> None:
    game = planted_game(name, n, rng=np.random.default_rng(n))
    table = TableGame(table_of(n, lambda masks: game.quiet(masks) > 0))
    assert table.table[-1], "the decision is kept with everything kept"
    assert game.flips == table.minimal("flip")
    assert game.sufficient == table.minimal("sufficient")
    matters = {game.elements[role] for role in game.formula.matters}
    assert matters == set().union(*game.flips)


@pytest.mark.parametrize("name", FORMULAS)
def test_margins_are_one_but_for_the_sum_of_weights(name: str) -> None:
    masks = np.random.default_rng(0).random((400, 6)) < 0.5
    sizes = set(np.round(np.abs(planted_game(name, 6, rng=np.random.default_rng(1)).quiet(masks)), 9))
    assert sizes == ({0.3, 0.5, 0.7, 1.5} if name == "additive" else {1.0})


def test_other_elements_have_no_effect_and_float_masks_are_cut_at_a_half() -> None:
    game = planted_game("dnf", 30, rng=np.random.default_rng(3))
    masks = np.random.default_rng(4).random((50, 30))
    rest = np.setdiff1d(np.arange(30), game.elements)
    values = game(masks)
    np.testing.assert_array_equal(values, game(masks > 0.5))
    masks[:, rest] = 1 - masks[:, rest]
    np.testing.assert_array_equal(values, game(masks))
    assert values.shape == (50,) and game(masks[:0]).shape == (0,)


def test_noise_is_gaussian_of_the_stated_size_and_new_each_time() -> None:
    game = planted_game("or", 8, rng=np.random.default_rng(0), noise=0.3)
    everything = np.ones((4000, 8), bool)
    values = game(everything) - game.quiet(everything)
    assert values.mean() == pytest.approx(0, abs=0.02) and values.std() == pytest.approx(0.3, rel=0.05)
    assert len(set(values)) == 4000
    again = [planted_game("or", 8, rng=np.random.default_rng(5), noise=0.3)(everything[:3]) for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_games_that_cannot_be_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="name must be one of additive, and, or, dnf, inhibitor, xor, not 'nor'"):
        planted_game("nor", 8, rng=rng)
    with pytest.raises(ValueError, match=r"dnf needs 4 different elements below 3, not"):
        planted_game("dnf", 3, rng=rng)
    with pytest.raises(ValueError, match=r"or needs 2 different elements below 8, not \(1, 1\)"):
        PlantedGame("or", 8, (1, 1))
    with pytest.raises(ValueError, match="with noise an rng is needed"):
        PlantedGame("or", 8, (1, 2), noise=0.1)


def test_searches_are_measured_cell_by_cell() -> None:
    grid = {"games": ("and", "xor"), "sizes": (16,), "noises": (0.0, 0.1), "seeds": 1, "search_seeds": 12}
    rows = [row for row in set_games(**grid) if row["method"] in SEARCHES]
    assert {(r["method"], r["game"], r["noise"]) for r in rows} == {
        (s, g, x) for s in ("flip", "sufficient") for g in ("and", "xor") for x in (0.0, 0.1)
    }
    for row in rows:
        assert row["exact"] == proportion([True] * 12)._asdict() and row["certified"] == 1
        assert row["wrong_certificates"] == 0 and 5 <= row["calls"]["median"] <= (130 if row["noise"] else 30)
    assert [row for row in set_games(**grid) if row["method"] in SEARCHES] == rows


def test_a_game_that_is_too_noisy_counts_as_missed() -> None:
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found.append(play("flip", planted_game("and", 16, rng=rng, noise=60.0), rng=rng))
    assert np.mean([one.exact for one in found]) < 0.9 and np.mean([one.certified for one in found]) < 0.5
