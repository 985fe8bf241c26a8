"""Intruder dimensions: leading left singular vectors of W0 + s B A that no singular vector of W0 resembles.

After Shuttleworth et al. (2024), "LoRA vs full fine-tuning: an illusion of equivalence". A vector u'_j counts when
max_i |cos(u'_j, u_i)| < threshold, over the left singular vectors u_i of W0 whose values are not 0. Any change of that
rank and size turns some vectors, so the counts stand beside those of random changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from workbench.models.adapter_folder import AdapterFolder, Factors
from workbench.shift.base import Base, leading, matching_weights
from workbench.shift.spectrum import Keep, random_factors

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
COUNTS = (1, 2, 5, 10)
EXHAUSTIVE = 1024  # the smaller side up to which all vectors of W0 are looked at
COLUMNS = ("module", "layer", "projection", "vector", "cosine", "at_most")
SWEPT = ("k", "threshold", "vectors", "intruders", "undecided", "null_mean", "null_low", "null_high", "p")


@dataclass(frozen=True)
class Intruders:
    """How much the leading vectors of the changed weights resemble those of the base.

    cosines: one row a module and leading vector, columns `COLUMNS`: `vector` counts from 1, `cosine` is the largest
    |cos| met, `at_most` what it can be among the vectors of W0 that were not looked at (the same when all were).
    drawn: `at_most` for random changes, (draws, modules, leading), NaN where there is no vector.

    Examples:
        >>> cosines = pd.DataFrame([("q_proj", 0, "q_proj", 1, 0.2, 0.2)], columns=COLUMNS)
        >>> found = Intruders(cosines, drawn=np.array([[[0.9]], [[0.8]], [[0.1]]]))  # of three random changes
        >>> found.sweep(counts=[1], thresholds=[0.5])[["intruders", "p"]].values.tolist()
        [[1.0, 0.5]]
    """

    cosines: pd.DataFrame
    drawn: np.ndarray

    def sweep(self, *, counts: Sequence[int] = COUNTS, thresholds: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
        """Intruders among the first k vectors of all modules together: one row a k and threshold, columns `SWEPT`.

        `intruders` are certain; `undecided` could be, by the vectors of W0 not looked at. null_mean, null_low,
        null_high: mean and 95 % of the random changes. p: share of random changes, with the real one, that have as
        many intruders or more; close to 1 it has fewer than they. A k beyond the leading vectors is left out.
        """
        first = self.cosines["vector"]
        rows = []
        for k in sorted(k for k in set(counts) if 1 <= k <= self.drawn.shape[2]):
            among = self.cosines[first <= k]
            for threshold in thresholds:
                certain = int((among["at_most"] < threshold).sum())
                undecided = int((among["cosine"] < threshold).sum()) - certain
                null = (self.drawn[:, :, :k] < threshold).sum(axis=(1, 2))  # NaN is below nothing
                low, high = np.quantile(null, [0.025, 0.975])
                p = (1 + (null >= certain).sum()) / (1 + len(null))
                rows.append((k, threshold, len(among), certain, undecided, null.mean(), low, high, p))
        return pd.DataFrame(rows, columns=list(SWEPT))


def intruders_beside(
    adapter_folder: str | os.PathLike[str],
    base: Base,
    keeps: Sequence[Keep],
    *,
    rng: np.random.Generator,
    leading_vectors: int = 10,
    draws: int = 20,
    against: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[Keep, Intruders]:
    """Resemblance of the leading vectors of every module, and of the same with random changes of several kinds instead.

    base: see `base_weights`. keeps: kinds of random changes, all of the same rank: of the same Frobenius norm (`norm`)
    or of the same singular values (`spectrum`). leading_vectors: of W0 + s B A, a module. draws: random changes a
    module and kind. against: how many leading vectors of W0 are looked at; None: all, up to a smaller side of 1024,
    and 8 x leading_vectors beyond. Where not all are, `at_most` bounds the rest: what of u'_j lies outside those looked
    at (Bessel's inequality).

    W0 and the real change, which are the same for all kinds, are decomposed once; each kind is what it would be alone,
    one after the other with this rng. Cost a module: one decomposition of W0, and 1 + kinds x draws times the leading
    vectors of a changed weight, see `leading`: at 4096 x 4096, by Lanczos on products with W0 and the factors, few
    draws are enough to wait for.

    Raises `AdapterError`, `ModelError`; ValueError for numbers below 1.

    Examples:
        >>> import tempfile
        >>> from workbench.models import shipped
        >>> from workbench.shift import read_factors, save_adapter
        >>> first, rng = next(read_factors(shipped("narrow"))), np.random.default_rng(0)
        >>> base = np.eye(576, 1536) * np.arange(1, 1537)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     one = save_adapter(folder, [first], like=shipped("narrow"))
        ...     how = {"rng": rng, "leading_vectors": 2, "draws": 1}
        ...     found = intruders_beside(one, lambda module: base, ["norm", "spectrum"], **how)
        >>> found["norm"].cosines["vector"].tolist(), found["spectrum"].drawn.shape
        ([1, 2], (1, 1, 2))
    """
    for name, value in {"leading_vectors": leading_vectors, "draws": draws, "against": against}.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be 1 or more")
    adapter = AdapterFolder.open(adapter_folder)
    weight_of = matching_weights(adapter, base)
    rows: list[tuple] = []
    drawn = {keep: np.full((draws, len(adapter.scalings), leading_vectors), np.nan) for keep in keeps}
    streams = _streams(adapter, keeps, draws=draws, rng=rng)
    for i, factors in enumerate(adapter):
        others = ((keep, draw) for keep in keeps for draw in range(draws))
        changes = (random_factors(factors, rng=streams[keep], keep=keep) for keep in keeps for _ in range(draws))
        found = resemblance(weight_of(factors), chain([factors], changes), k=leading_vectors, against=against)
        place = (factors.module, factors.layer, factors.projection)
        rows += [(*place, j, *pair) for j, pair in enumerate(zip(*next(found), strict=True), start=1)]
        for (keep, draw), (_, bounds) in zip(others, found, strict=True):
            drawn[keep][draw, i, : len(bounds)] = bounds
        if progress:
            progress(factors.module)
    cosines = pd.DataFrame(rows, columns=list(COLUMNS))
    return {keep: Intruders(cosines, drawn[keep]) for keep in keeps}


def _streams(
    adapter: Iterable[Factors], keeps: Sequence[Keep], *, draws: int, rng: np.random.Generator
) -> dict[Keep, np.random.Generator]:
    """Per kind the rng as it is when all changes of the kinds before it are drawn; of the last kind the rng itself."""
    streams: dict[Keep, np.random.Generator] = {}
    for keep, after in zip(keeps, [*keeps[1:], None], strict=True):
        streams[keep] = deepcopy(rng) if after else rng
        for factors in adapter if after else ():
            for _ in range(draws):
                random_factors(factors, rng=rng, keep=keep)
    return streams


def resemblance(
    weight: np.ndarray, changes: Iterable[Factors], *, k: int, against: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of the k leading left vectors of W0 + each change: the largest |cos| met, and what it can be at most.

    Both (k,) float64, fewer where values are 0. Arguments as in `intruders_beside`; W0 is decomposed once.
    """
    size = min(weight.shape)
    count = against or (size if size <= EXHAUSTIVE else 8 * k)
    known = leading(weight, None if count >= size else count).left
    complete = count >= size or known.shape[1] < count
    for change in changes:
        cosines = np.abs(known.T @ leading(weight, k, update=change).left)  # (m, k)
        largest = np.minimum(cosines.max(axis=0, initial=0.0), 1)
        rest = np.sqrt(np.clip(1 - (cosines**2).sum(axis=0), 0, None))
        yield largest, largest if complete else np.maximum(largest, rest)


def at_threshold(sweep: pd.DataFrame, *, k: int, threshold: float) -> pd.Series:
    """The row of a sweep for the first k vectors at the threshold next to the given one.

    Examples:
        >>> sweep = pd.DataFrame({"k": [10, 10], "threshold": [0.4, 0.6], "share": [0.1, 0.3]})
        >>> float(at_threshold(sweep, k=10, threshold=0.59)["share"])
        0.3
    """
    rows = sweep[sweep["k"] == k]
    return rows.iloc[int((rows["threshold"] - threshold).abs().to_numpy().argmin())]
