"""Whether the decision is kept under a mask, with repeats where noise leaves it open.

Model of the noise: a value scatters about the true one, Gaussian, with one standard deviation for all masks. It is
estimated from masks asked twice or more, and from unlike masks where that can only overstate it; see `Judge.noise`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from workbench.meter import BudgetSpent, Meter

APART = 2.5  # standard deviations from 0: kept and not kept masks then hardly mix, and no group is cut off at 0
UNLIKE = 4  # degrees of freedom from unlike masks below which they are left out


@dataclass
class Record:
    """Values seen of one mask: how many, and their mean."""

    count: int = 0
    mean: float = 0.0


class Judge:
    """Signs of a game's values, each mask asked as often as it takes, at most `repeats` times.

    With repeats = 1 the game is taken as deterministic: one value settles a mask. With more, the first mask is asked
    twice, and two values that are exactly equal show a deterministic game as well.
    """

    def __init__(self, meter: Meter, *, repeats: int = 1):
        """meter: one without a cache; the judge remembers. ValueError: repeats below 1."""
        if repeats < 1:
            raise ValueError(f"repeats must be 1 or more, not {repeats!r}")
        self.meter, self.repeats = meter, repeats
        self.records: dict[bytes, Record] = {}
        self.scatter, self.freedom = 0.0, 0  # sum of squares about the masks' means, and its degrees of freedom
        self._noise = (0, 0.0, 0)  # calls at which it was worked out, standard deviation, degrees of freedom

    @property
    def noisy(self) -> bool:
        """Whether values may scatter: repeats are allowed, and no mask asked again has shown that they do not."""
        return self.repeats > 1 and not (self.freedom and self.scatter == 0)

    def kept(self, keep: np.ndarray, *, alpha: float, spend: bool = False) -> np.ndarray:
        """Whether the decision is kept, (m,) bool, for masks (m, n) bool: the sign of the mean.

        All unknown masks are asked in one call, then the most doubtful one again until each sign is wrong by a chance
        of alpha at most. spend: divide alpha over the asks of a mask, alpha / j(j + 1) at the j-th, so that looking
        after each does not add up. BudgetSpent: after the rows that fitted were asked.
        """
        rows = {row.tobytes(): row for row in keep}
        if new := [row for key, row in rows.items() if key not in self.records]:
            self._ask(np.array(new))
        while doubtful := [key for key in rows if not self._settled(self.records[key], alpha, spend)]:
            self._ask(rows[min(doubtful, key=self._size)][None])
        return np.array([self.records[row.tobytes()].mean > 0 for row in keep], bool)

    def clear(self, keep: np.ndarray, *, alpha: float, spend: bool = False) -> np.ndarray:
        """Whether the signs of masks asked before are beyond doubt at alpha, (m,) bool; see `kept`."""
        return np.array([self._clear(self.records[row.tobytes()], alpha, spend) for row in keep], bool)

    def value(self, keep: np.ndarray) -> float:
        """Mean value seen under one mask (n,), nan when it was not asked."""
        record = self.records.get(keep.tobytes())
        return record.mean if record else math.nan

    def noise(self) -> tuple[float, int]:
        """Standard deviation of a value, and its degrees of freedom (0: not known yet).

        From masks asked again. Where values above and below 0 form two groups far from it, also from the values about
        their group's mean: that masks of a group differ in truth can only make this larger than the noise.
        """
        if self._noise[0] != self.meter.calls:
            scatter, freedom = self.scatter, self.freedom
            unlike, more, centre = self._groups()
            if scatter and more >= UNLIKE and centre >= APART * math.sqrt((scatter + unlike) / (freedom + more)):
                scatter, freedom = scatter + unlike, freedom + more
            self._noise = (self.meter.calls, math.sqrt(scatter / max(freedom, 1)), freedom)
        return self._noise[1:]

    def _groups(self) -> tuple[float, int, float]:
        """Masks' means about that of their group (kept or not): sum of squares, freedom, the centre nearest to 0."""
        mean = np.array([record.mean for record in self.records.values()])
        count = np.array([record.count for record in self.records.values()])
        squares, freedom, nearest = 0.0, 0, math.inf
        for group in (mean > 0, mean <= 0):
            if group.sum() > 1:
                centre = np.average(mean[group], weights=count[group])
                squares += float((count[group] * (mean[group] - centre) ** 2).sum())
                freedom += int(group.sum()) - 1
                nearest = min(nearest, abs(float(centre)))
        return squares, freedom, nearest

    def _settled(self, record: Record, alpha: float, spend: bool) -> bool:
        return record.count >= self.repeats or self._clear(record, alpha, spend)

    def _clear(self, record: Record, alpha: float, spend: bool) -> bool:
        if self.repeats == 1:
            return True
        deviation, freedom = self.noise()
        level = alpha / (record.count * (record.count + 1)) if spend else alpha
        margin = abs(record.mean) * math.sqrt(record.count)
        return freedom > 0 and margin >= -stdtrit(freedom, level) * deviation

    def _size(self, key: bytes) -> float:
        """A mask's margin in units of its standard error, up to a factor for all."""
        return abs(self.records[key].mean) * math.sqrt(self.records[key].count)

    def _ask(self, masks: np.ndarray) -> None:
        """One more value of each mask; those beyond the budget are left out, then BudgetSpent."""
        left = self.meter.left
        for row, value in zip(masks[:left], self.meter(masks[:left]).tolist(), strict=True):
            record = self.records.setdefault(row.tobytes(), Record())
            record.count += 1
            shift = value - record.mean
            record.mean += shift / record.count
            if record.count > 1:
                self.scatter += shift * (value - record.mean)
                self.freedom += 1
        if left is not None and left < len(masks):
            raise BudgetSpent(f"the budget of {self.meter.budget} rows is spent")
