"""Scores against planted elements and against themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats import auroc, average_precision, kendall_stability, recall

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


@settings(max_examples=60, deadline=None)
@given(cases)
def test_average_precision_steps_through_the_levels_of_score(case: tuple[list[int], list[int]]) -> None:
    scores, planted = np.array(case[0]), case[1]
    found, before, total = 0.0, 0, max(len(planted), 1)
    for level in sorted(set(case[0]), reverse=True):
        hits = sum(scores[planted] >= level)
        found += (hits - before) / total * hits / sum(scores >= level)
        before = hits
    mine = average_precision(scores, planted)
    assert np.isnan(mine) if not planted else mine == pytest.approx(found, abs=1e-6)


def test_perfect_reversed_and_constant_scores() -> None:
    scores, planted = [3, 2, 1, 0], [0, 1]
    assert auroc(scores, planted) == average_precision(scores, planted) == recall(scores, planted) == 1
    assert auroc([0, 1, 2, 3], planted) == recall([0, 1, 2, 3], planted) == 0
    assert average_precision([0, 1, 2, 3], planted) == pytest.approx((1 / 3 + 2 / 4) / 2, abs=1e-6)
    assert auroc([1, 1, 1, 1], planted) == average_precision([1, 1, 1, 1], planted) == 0.5


def test_recall_of_the_first_k_and_of_ties() -> None:
    assert recall([3, 2, 1, 0], [0, 3]) == 0.5 and recall([3, 2, 1, 0], [0, 3], k=4) == 1
    assert recall([3, 2, 1, 0], [3], k=0) == 0
    drawn = [recall(np.zeros(4), [2, 3], rng=np.random.default_rng(seed)) for seed in range(300)]
    assert recall(np.zeros(4), [2, 3]) == 0 and np.mean(drawn) == pytest.approx(0.5, abs=0.07)
    assert np.isnan(recall([1.0, 2.0], []))


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
        recall([np.nan, 2.0], [1])
