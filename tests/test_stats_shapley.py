"""Shapley values of known values: closed forms, and the definition over all orders."""

from itertools import permutations

import numpy as np
import pytest

from workbench.stats import all_masks, shapley_values


def test_masks_are_the_bits_of_their_row() -> None:
    assert all_masks(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert all_masks(0).shape == (1, 0)


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_values_are_the_mean_gain_over_all_orders(n: int) -> None:
    values = np.random.default_rng(n).normal(size=2**n)
    gains = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        known = 0
        for player in order:
            gains[player] += values[known | 1 << player] - values[known]
            known |= 1 << player
    assert shapley_values(values) == pytest.approx(gains / len(orders), abs=1e-12)


def test_players_that_decide_together_share_and_others_get_nothing() -> None:
    both = all_masks(4)[:, :2].all(axis=1)
    assert shapley_values(both) == pytest.approx([0.5, 0.5, 0, 0])


def test_values_that_are_not_of_all_masks_are_refused() -> None:
    for wrong in (np.zeros(3), np.zeros((2, 2)), np.zeros(0)):
        with pytest.raises(ValueError, match=r"2\^n in a row"):
            shapley_values(wrong)
