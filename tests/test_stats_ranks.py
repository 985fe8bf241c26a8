"""Scores against planted elements and against themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats import auroc, kendall_stability

cases = st.lists(st.integers(-3, 3), min_size=2, max_size=15).flatmap(
    lambda scores: st.tuples(st.just(scores), st.sets(st.integers(0, len(scores) - 1)).map(sorted))
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_auroc_is_the_share_of_pairs_in_order(case: tuple[list[int], list[int]]) -> None:
    scores, planted = case
    others = [i for i in range(len(scores)) if i not in planted]
    pairs = [(np.sign(scores[a] - scores[b]) + 1) / 2 for a in planted for b in others]
    found = auroc(scores, planted)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs), abs=1e-6)


def test_perfect_reversed_and_constant_scores() -> None:
    scores, planted = [3, 2, 1, 0], [0, 1]
    assert (auroc(scores, planted), auroc([0, 1, 2, 3], planted), auroc([1, 1, 1, 1], planted)) == (1, 0, 0.5)


def test_stability_is_1_for_runs_that_rank_alike_and_counts_swaps() -> None:
    assert kendall_stability([[1, 2, 3], [10, 20, 40], [-3, -2, -1]]) == pytest.approx(1, abs=1e-6)
    assert kendall_stability([[1, 2, 3], [3, 2, 1]]) == pytest.approx(-1, abs=1e-6)
    # one of six pairs swapped between the first two runs: (5 - 1) / 6; the third run is the first
    runs = [[1, 2, 3, 4], [2, 1, 3, 4], [1, 2, 3, 4]]
    assert kendall_stability(runs) == pytest.approx((4 / 6 + 1 + 4 / 6) / 3, abs=1e-6)
    # tau-b: the pair tied in one run counts in neither, (2 - 0) / sqrt(3 * 2)
    assert kendall_stability([[1, 1, 2], [1, 2, 3]]) == pytest.approx(2 / np.sqrt(6), abs=1e-6)


def test_what_cannot_be_ranked() -> None:
    assert np.isnan(kendall_stability([[1, 1, 1], [1, 2, 3]]))
    with pytest.raises(ValueError, match="2 or more runs"):
        kendall_stability([[1, 2, 3]])
    with pytest.raises(ValueError, match=r"in 0\.\.1, not \[2\]"):
        auroc([1.0, 2.0], [2])
    with pytest.raises(ValueError, match="finite"):
        auroc([np.nan, 2.0], [1])
