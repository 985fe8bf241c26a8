"""Cells of tables: a figure with its n, its interval and a paired test against matched chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from workbench.stats.intervals import PairedDifference, bootstrap_mean, paired_difference


@dataclass(frozen=True)
class Cell:
    """A mean over n cases with its 95 % interval [low, high], and its paired difference to a control, if there is one.

    interval: how the interval was made.

    Examples:
        >>> nats = cell([1.0, 2.0, 3.0], rng=np.random.default_rng(0))
        >>> nats.mean, nats.n, nats.interval
        (2.0, 3, 'bootstrap-t')
    """

    mean: float
    low: float
    high: float
    n: int
    interval: str = "bootstrap-t"
    difference: PairedDifference | None = None

    def to_dict(self) -> dict:
        """Plain JSON types; `difference` is {mean, low, high, n, p} or None."""
        return asdict(self) | {"difference": self.difference._asdict() if self.difference else None}

    def __str__(self) -> str:
        against = f", {self.difference.mean:+.3f} to random (p {self.difference.p:.4f})" if self.difference else ""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}], n {self.n}{against}"


def cell(
    values: Sequence[float] | np.ndarray,
    control: Sequence[float] | Sequence[Sequence[float]] | np.ndarray | None = None,
    *,
    rng: np.random.Generator,
) -> Cell:
    """Mean of `values` (n,), one a case, with a bootstrap-t interval and the paired difference to matched random.

    control: the same measure of matched random sets, (n,) or several a case, (n, repeats), of which the mean is taken.
    ValueError: see `bootstrap_mean`, `paired_difference`.

    Examples:
        >>> found = cell([2.0, 3.0, 4.0], control=[1.0, 1.0, 1.0], rng=np.random.default_rng(0))
        >>> found.mean, found.difference.mean
        (3.0, 2.0)
    """
    mean, difference = bootstrap_mean(values, rng=rng), None
    if control is not None:
        each = np.asarray(control, dtype=float)
        difference = paired_difference(values, each.mean(axis=1) if each.ndim == 2 else each, rng=rng)
    return Cell(*mean, difference=difference)
