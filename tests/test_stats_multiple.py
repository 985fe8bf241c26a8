"""Corrections for many tests against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats import benjamini_hochberg, holm

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def by_steps_down(p: np.ndarray, level: float) -> np.ndarray:
    """Holm's procedure as he wrote it: reject from the smallest on while p_(k) <= level / (m - k + 1)."""
    out = np.zeros(len(p), bool)
    for k, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] > level / (len(p) - k):
            break
        out[i] = True
    return out


def by_steps_up(p: np.ndarray, level: float) -> np.ndarray:
    """Benjamini and Hochberg's: reject up to the last p_(k) <= k / m level."""
    ordered = np.sort(p)
    under = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / len(p))
    return p <= ordered[under[-1]] if len(under) else np.zeros(len(p), bool)


@settings(max_examples=100, deadline=None)
@given(P, st.sampled_from([0.013, 0.051, 0.21]))
def test_adjusted_values_decide_as_the_procedures_do(values: list[float], level: float) -> None:
    p = np.round(values, 3)
    for adjust, procedure in ((holm, by_steps_down), (benjamini_hochberg, by_steps_up)):
        adjusted = adjust(p)
        assert ((adjusted >= p) & (adjusted <= 1)).all()
        clear = abs(adjusted - level) > 1e-9  # at the level itself rounding decides
        np.testing.assert_array_equal((adjusted <= level)[clear], procedure(p, level)[clear])


def test_adjusted_values_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])


def test_tests_that_could_not_be_made_do_not_count() -> None:
    p = [0.01, np.nan, 0.03]
    np.testing.assert_allclose(holm(p), [0.02, np.nan, 0.03])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, np.nan, 0.03])
    for adjust in (holm, benjamini_hochberg):
        assert np.isnan(adjust([np.nan, np.nan])).all() and adjust([]).shape == (0,)
        with pytest.raises(ValueError, match=r"each in \[0, 1\]"):
            adjust([0.5, 1.5])
