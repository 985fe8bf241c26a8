"""P-values when many tests are looked at: the chance of one false alarm, or the share of them, held down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (m,): below a level with at most that chance for a single false alarm, however tests depend.

    NaN stands for a test that could not be made: it stays NaN and does not count. Source: Holm 1979.
    ValueError: a value outside [0, 1].

    Examples:
        >>> holm([0.01, 0.04, 0.5]).tolist()
        [0.03, 0.08, 0.5]
    """
    values, known = _checked(p)
    tested = values[known]
    order = np.argsort(tested, kind="stable")
    stepped = np.maximum.accumulate(tested[order] * np.arange(len(tested), 0, -1))
    adjusted = np.empty(len(tested))
    adjusted[order] = np.minimum(stepped, 1)
    return _placed(adjusted, known)


def benjamini_hochberg(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (m,): those below a level hold at most that share of false alarms on average, for tests that
    are independent or positively dependent. NaN as in `holm`. Source: Benjamini, Hochberg 1995.

    Examples:
        >>> benjamini_hochberg([0.01, 0.02, 0.03]).tolist()
        [0.03, 0.03, 0.03]
    """
    values, known = _checked(p)
    return _placed(false_discovery_control(values[known]) if known.any() else np.empty(0), known)


def _checked(p: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(p, dtype=float)
    known = ~np.isnan(values)
    if values.ndim != 1 or ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"p must be p-values in a row, each in [0, 1] or NaN, not {values!r}"[:300])
    return values, known


def _placed(adjusted: np.ndarray, known: np.ndarray) -> np.ndarray:
    out = np.full(len(known), np.nan)
    out[known] = adjusted
    return out
