"""The smallest flip set: as small as an exhaustive search, and certified by what was asked."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.explain.sets.minimal import smallest_flip_set


def exhaustive(game, n, allowed):
    """The size of the smallest flip set among `allowed`, None where there is none."""
    for size in range(1, len(allowed) + 1):
        for members in combinations(allowed, size):
            keep = np.ones((1, n), bool)
            keep[0, list(members)] = False
            if game(keep)[0] <= 0:
                return size
    return None


def cuts(groups, n):
    """A game that is lost when all of any group is gone."""

    def game(keep):
        lost = np.zeros(len(keep), bool)
        for group in groups:
            lost |= ~keep[:, list(group)].any(1)
        return np.where(lost, -1.0, 1.0)

    return game


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_as_small_as_exhaustive_search(data):
    n = data.draw(st.integers(3, 9))
    group = st.sets(st.integers(0, n - 1), min_size=1, max_size=4)
    game = cuts(data.draw(st.lists(group, min_size=1, max_size=4)), n)
    allowed = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
    found = smallest_flip_set(game, n, allowed=allowed, rng=np.random.default_rng(0))
    size = exhaustive(game, n, allowed)
    assert found.found == (size is not None)
    if size is not None:
        assert set(found.elements) <= set(allowed) and len(found.elements) == size and found.certified


@pytest.mark.parametrize(("groups", "note"), [([{2}], "flips alone"), ([{1, 3}], "no element flips alone: no smaller")])
def test_says_when_no_smaller_set_exists(groups, note):
    found = smallest_flip_set(cuts(groups, 5), 5)
    assert note in found.note and found.elements == tuple(sorted(groups[0]))


def test_budget_is_never_exceeded_and_the_best_so_far_comes_back():
    asked = []
    game = cuts([{0, 1, 2}], 12)

    def counted(keep):
        asked.append(len(keep))
        return game(keep)

    for budget in range(0, 60, 3):
        asked.clear()
        found = smallest_flip_set(counted, 12, budget=budget)
        assert sum(asked) == found.calls <= budget
        if found.found:
            keep = np.ones((1, 12), bool)
            keep[0, list(found.elements)] = False
            assert game(keep)[0] <= 0
    assert found.certified
