"""Set games whose scores are known, for the tests of peers."""

from collections.abc import Callable

import numpy as np


class Counted:
    """An oracle of n players that counts its rows. value: masks (m, n) bool -> (m,)."""

    def __init__(self, n: int, value: Callable[[np.ndarray], np.ndarray]):
        self.n, self.value, self.rows = n, value, 0

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        keep = np.asarray(keep)
        assert keep.ndim == 2 and keep.shape[1] == self.n and keep.dtype == bool
        self.rows += len(keep)
        return np.asarray(self.value(keep), dtype=float)


class Smooth:
    """A differentiable game: v(k) = sum_g w_g prod_{i in g} k_i, groups g of players."""

    def __init__(self, n: int, groups: dict[tuple[int, ...], float], *, offset: float = 0.0):
        self.n, self.groups, self.offset = n, groups, offset
        self.passes = 0

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        keep = np.asarray(keep, dtype=float)
        return self.offset + sum(w * keep[:, list(g)].prod(1) for g, w in self.groups.items())

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        keep = np.asarray(keep, dtype=float)
        self.passes += len(keep)
        slopes = np.zeros_like(keep)
        for group, weight in self.groups.items():
            for i in group:
                slopes[:, i] += weight * keep[:, [j for j in group if j != i]].prod(1)
        return self(keep), slopes


def additive(weights) -> Counted:
    """v(z) = weights . z"""
    w = np.asarray(weights, dtype=float)
    return Counted(len(w), lambda keep: keep @ w)


def conjunction(n: int, members) -> Counted:
    """0.5 where all members are kept, else -0.5."""
    return Counted(n, lambda keep: keep[:, list(members)].all(1) - 0.5)


def disjunction(n: int, members) -> Counted:
    """0.5 where a member is kept, else -0.5."""
    return Counted(n, lambda keep: keep[:, list(members)].any(1) - 0.5)


def table(n: int, seed: int) -> Counted:
    """Independent normal values for all 2^n masks."""
    values = np.random.default_rng(seed).normal(size=2**n)
    return Counted(n, lambda keep: values[keep @ (1 << np.arange(n))])


def top(scores: np.ndarray, count: int) -> set[int]:
    """The indices of the highest scores."""
    return set(np.argsort(-scores, kind="stable")[:count].tolist())
