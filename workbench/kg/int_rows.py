"""Lists of integers of different lengths in two arrays, and what is taken over each of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Ints = np.ndarray  # of int64


@dataclass(frozen=True)
class Rows:
    """Lists of integers of different lengths, one behind the other: row i is `flat[ends[i] : ends[i + 1]]`."""

    flat: Ints
    ends: Ints

    @classmethod
    def of(cls, lists: Sequence[Iterable[int]]) -> Rows:
        """Rows from lists, in order."""
        rows = [list(row) for row in lists]
        flat = np.fromiter((value for row in rows for value in row), np.int64, sum(map(len, rows)))
        return cls(flat, np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int64))

    def __getitem__(self, row: int) -> Ints:
        return self.flat[self.ends[row] : self.ends[row + 1]]

    def gather(self, rows: Ints) -> Ints:
        """The values of some rows together, sorted, each once."""
        parts = [self[row] for row in rows.tolist()]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def turned(self, count: int) -> Rows:
        """For each of `count` values, the rows that hold it."""
        rows = np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))
        order = np.argsort(self.flat, kind="stable")
        ends = np.searchsorted(self.flat[order], np.arange(count + 1))
        return Rows(rows[order], ends)

    def reduce(self, ufunc: np.ufunc, values: np.ndarray, *, empty: float) -> np.ndarray:
        """`ufunc` over `values[row]` for every row, float64 (rows,); `empty` where a row holds nothing."""
        result = np.full(len(self.ends) - 1, empty)
        if len(self.flat):
            result[self.filled] = ufunc.reduceat(values[self.flat], self.ends[self.filled])
        return result

    @cached_property
    def filled(self) -> Ints:
        """The rows that hold something."""
        return np.flatnonzero(np.diff(self.ends))
