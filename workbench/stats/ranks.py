"""Scores against planted elements, and scores against themselves under another order of the facts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.stats import kendalltau, rankdata


def auroc(scores: Sequence[float] | np.ndarray, planted: Sequence[int] | np.ndarray) -> float:
    """Share of (planted, other) pairs that the scores (n,) put in the right order, ties counting half.

    planted: element numbers. NaN where all elements or none are planted. ValueError: a number that is no element.

    Examples:
        >>> auroc([0.9, 0.8, 0.1], [0]), auroc([0.9, 0.8, 0.1], [2])
        (1.0, 0.0)
    """
    values, numbers = np.asarray(scores, dtype=float), np.asarray(planted, dtype=int)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite numbers in a row, one an element, not {values!r}"[:300])
    if ((numbers < 0) | (numbers >= len(values))).any():
        raise ValueError(f"planted must be element numbers in 0..{len(values) - 1}, not {numbers.tolist()}")
    truth = np.isin(np.arange(len(values)), numbers)
    some, others = int(truth.sum()), int((~truth).sum())
    if not some or not others:
        return float("nan")
    # the Mann-Whitney statistic: scikit-learn draws the whole curve, and a notebook asks thousands of times
    return float(rankdata(values)[truth].sum() - some * (some + 1) / 2) / (some * others)


def kendall_stability(scores: Sequence[Sequence[float]] | np.ndarray) -> float:
    """Mean Kendall tau-b over all pairs of rows of (runs, n): 1 where every run ranks the elements alike.

    Runs: the same elements scored again, say with the facts in another order. NaN where a row is constant,
    which ranks nothing. ValueError: fewer than 2 runs, or fewer than 2 elements.

    Examples:
        >>> round(kendall_stability([[3, 2, 1], [30, 20, 10], [1, 2, 3]]), 4)  # one pair agrees, two disagree
        -0.3333
    """
    runs = np.asarray(scores, dtype=float)
    if runs.ndim != 2 or min(runs.shape) < 2:
        raise ValueError(f"scores must be of 2 or more runs of 2 or more elements, not of shape {runs.shape}")
    if (np.ptp(runs, axis=1) == 0).any():
        return float("nan")
    return float(np.mean([kendalltau(a, b).statistic for a, b in combinations(runs, 2)]))
