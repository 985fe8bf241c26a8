"""Scores of the elements of a game, with what says how far to believe them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.attribution.features import Features
from workbench.meter import Ledger, Meter
from workbench.stats import spearman


@dataclass(frozen=True, eq=False)
class Attribution:
    """What every method gives: scores (n,) of the elements, a higher one saying that the element matters more.

    Those of a game's values are in its unit and make a linear model of it, see `predict`; `attribution` tries it.
    features, coefficients: what that model is made of; None: the elements and their scores.
    completeness_error: |sum of scores - (v(all) - v(none))|. lds: rank correlation of `predict` with the game on masks
    that were not fitted; NaN where one of the two is constant, or where no masks were held out. lds_elements: the same
    with the scores of the kept elements added up, which is `lds` where the features are the elements. gap: what a
    fitted line had left over of v(all) - v(none) before it was made complete. stderr (n,): standard errors of sampled
    scores. calls: masks asked; ledger: what they cost.

    Examples:
        >>> Attribution("by hand", np.array([2.0, 1.0]), intercept=0.5).predict(np.array([[1, 0], [1, 1]])).tolist()
        [2.5, 3.5]
    """

    method: str
    scores: np.ndarray
    features: Features | None = field(default=None, repr=False)
    coefficients: np.ndarray | None = field(default=None, repr=False)
    intercept: float = 0.0
    completeness_error: float = float("nan")
    lds: float = float("nan")
    lds_elements: float = float("nan")
    calls: int = 0
    gap: float = 0.0
    stderr: np.ndarray | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def predict(self, keep: np.ndarray) -> np.ndarray:
        """The linear model's values (m,) of masks (m, n)."""
        if self.features is None or self.coefficients is None:
            return np.asarray(keep, dtype=float) @ self.scores + self.intercept
        return self.features(keep) @ self.coefficients + self.intercept

    def to_dict(self) -> dict:
        """Plain JSON types; what is NaN becomes None."""
        names = ("intercept", "completeness_error", "lds", "lds_elements", "gap")
        numbers = {name: float(getattr(self, name)) for name in names}
        return {
            "method": self.method,
            "scores": self.scores.tolist(),
            **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
            "calls": self.calls,
            "ledger": self.ledger.to_dict(),
            "stderr": None if self.stderr is None else self.stderr.tolist(),
        }


def attribution(
    method: str,
    features: Features,
    coefficients: np.ndarray,
    intercept: float,
    *,
    difference: float,
    held_out: tuple[np.ndarray, np.ndarray],
    meter: Meter,
    **rest,
) -> Attribution:
    """An `Attribution` of a linear model on features, tried on masks (m, n) and values (m,) that it has not seen.

    difference: v(all) - v(none). meter: through which the game was asked.
    """
    scores = features.to_elements(coefficients)
    masks, values = held_out
    return Attribution(
        method=method,
        scores=scores,
        features=features,
        coefficients=coefficients,
        intercept=float(intercept),
        completeness_error=abs(float(scores.sum() - difference)),
        lds=agreement(features(masks) @ coefficients, values),
        lds_elements=agreement(masks @ scores, values),
        calls=meter.calls,
        ledger=meter.ledger,
        **rest,
    )


def agreement(predicted: np.ndarray, values: np.ndarray) -> float:
    """Spearman correlation; NaN without values, or where one of the two is constant."""
    # sums in another order differ in their last digits: that must not make ranks of equal predictions
    return spearman(np.round(predicted, 12), np.round(values, 12)) if len(values) else float("nan")
