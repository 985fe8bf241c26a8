"""Fitting a linear model to the values of masks: ridge or lasso, its strength by cross-validation."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Lasso, LassoCV, Ridge, RidgeCV

PENALTIES = ("ridge", "lasso")
STRENGTHS = np.logspace(-3, 3, 13)  # of the ridge penalty; columns are 0 and 1, and not scaled


def fit(design: np.ndarray, values: np.ndarray, *, penalty: str = "ridge", alpha: float | None = None) -> np.ndarray:
    """Slopes (columns,) of values (m,) on a design (m, columns) of 0 and 1; the intercept is free.

    alpha: strength in scikit-learn's scale; None: leave-one-out over 13 strengths (ridge), 5 folds over 100 (lasso).
    Constant values have slopes of exactly 0. ValueError: an unknown penalty, or fewer than 5 masks.
    """
    if penalty not in PENALTIES:
        raise ValueError(f"penalty must be one of {', '.join(PENALTIES)}, not {penalty!r}")
    if len(values) < 5:
        raise ValueError(f"a line needs 5 or more masks to be fitted on, not {len(values)}")
    if np.ptp(values) == 0:
        return np.zeros(design.shape[1])
    if penalty == "ridge":
        model = RidgeCV(STRENGTHS) if alpha is None else Ridge(alpha)
    else:
        model = LassoCV(cv=5, max_iter=20_000) if alpha is None else Lasso(alpha, max_iter=20_000)
    return np.asarray(model.fit(design, values).coef_, dtype=float)


def completed(slopes: np.ndarray, difference: float) -> np.ndarray:
    """Slopes that add up to `difference`: what they lack is added in proportion to their size.

    So no column that had nothing gets something. Where all have nothing, the line says nothing of who is behind the
    difference, and all get the same.
    """
    size = np.abs(slopes) if slopes.any() else np.ones(len(slopes))
    return slopes + (difference - slopes.sum()) * size / size.sum()
