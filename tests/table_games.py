"""Games for the tests of set searches: truth tables, rules, and all minimal sets by looking at every set; set
games whose scores are known; and what the tests of numbers share."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch

from workbench.cases import Case
from workbench.stats.games import all_masks


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def all_of(*members: int):
    """A decision kept while all members are there."""
    return lambda keep: keep[:, list(members)].all(axis=1) - 0.5


def any_of(*members: int):
    """A decision kept while any member is there."""
    return lambda keep: keep[:, list(members)].any(axis=1) - 0.5


def ways(terms, n: int) -> "TableGame":
    """A game that is kept while all elements of one of the terms are there: monotone, as the next."""
    return TableGame(table_of(n, lambda keep: np.any([keep[:, sorted(t)].all(axis=1) for t in terms], axis=0)))


def cuts(groups, n: int) -> "TableGame":
    """A game that is lost when all of any group is gone."""
    return TableGame(table_of(n, lambda keep: np.all([keep[:, sorted(g)].any(axis=1) for g in groups], axis=0)))


class TableGame:
    """Kept where the truth table says so, +1 or -1; remembers every batch of masks that it was asked."""

    def __init__(self, table: np.ndarray):
        """table: (2**n,) bool; entry i is for the mask whose element e is kept where bit e of i is set."""
        self.table = np.asarray(table, bool)
        self.n = int(np.log2(len(self.table)))
        self.batches: list[np.ndarray] = []

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        assert keep.dtype == bool and keep.ndim == 2 and keep.shape[1] == self.n
        self.batches.append(keep.copy())
        return np.where(self.table[keep @ (1 << np.arange(self.n))], 1.0, -1.0)

    @property
    def rows(self) -> int:
        return sum(map(len, self.batches))

    def holds(self, kind: str, members) -> bool:
        chosen = sum(1 << e for e in members)
        return not self.table[len(self.table) - 1 - chosen] if kind == "flip" else bool(self.table[chosen])

    def minimal(self, kind: str) -> set[frozenset[int]]:
        """All sets that hold and have no smaller set within them that does."""
        found: set[frozenset[int]] = set()
        for size in range(self.n + 1):
            for members in map(frozenset, combinations(range(self.n), size)):
                if self.holds(kind, members) and not any(one < members for one in found):
                    found.add(members)
        return found


def table_of(n: int, rule) -> np.ndarray:
    """The truth table (2**n,) of a rule on masks (m, n) bool."""
    return np.asarray(rule(all_masks(n)), bool)


def random_table(n: int, rng: np.random.Generator) -> np.ndarray:
    """Monotone rules (any of some conjunctions, or all of some disjunctions), sums of weights, and tables drawn
    entry by entry; some of each with a few entries turned over."""
    kind = rng.integers(4)
    if kind < 2:
        terms = [rng.choice(n, rng.integers(1, n + 1), replace=False) for _ in range(rng.integers(1, 6))]
        table = (ways if kind == 0 else cuts)(terms, n).table
    elif kind == 2:
        weights = rng.normal(size=n) + rng.choice([0, 1])
        table = table_of(n, lambda z: z @ weights > weights.sum() * rng.random())
    else:
        table = rng.random(2**n) < rng.choice([0.05, 0.3, 0.5, 0.8, 0.95])
    if rng.random() < 0.3:
        table = table ^ (rng.random(2**n) < 0.05)
    return table


class Counted:
    """An oracle of n players that remembers how many rows each call had. value: masks (m, n) bool -> (m,)."""

    def __init__(self, n: int, value: Callable[[np.ndarray], np.ndarray], *, case: Case | None = None):
        self.n, self.value, self.case, self.asked = n, value, case, list[int]()

    @property
    def rows(self) -> int:
        return sum(self.asked)

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        keep = np.asarray(keep)
        assert keep.ndim == 2 and keep.shape[1] == self.n and keep.dtype == bool
        self.asked.append(len(keep))
        return np.asarray(self.value(keep), dtype=float)


class Smooth:
    """A differentiable game: v(k) = sum_g w_g prod_{i in g} k_i, groups g of players. passes: rows with a gradient."""

    def __init__(self, n: int, groups: dict[tuple[int, ...], float], *, offset: float = 0.0):
        self.n, self.groups, self.offset, self.passes = n, groups, offset, 0

    def forward(self, keep: torch.Tensor) -> torch.Tensor:
        return self.offset + sum(w * keep[:, list(g)].prod(1) for g, w in self.groups.items())

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        return self.forward(torch.as_tensor(np.asarray(keep, dtype=float))).detach().numpy()

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mask = torch.tensor(np.asarray(keep, dtype=float), requires_grad=True)
        self.passes += len(mask)
        value = self.forward(mask)
        (slope,) = torch.autograd.grad(value.sum(), [mask])
        return value.detach().numpy(), slope.numpy()


def additive(weights, offset: float = 0.0) -> Counted:
    """v(z) = weights . z + offset"""
    w = np.asarray(weights, dtype=float)
    return Counted(len(w), lambda keep: keep @ w + offset)


def conjunction(n: int, members) -> Counted:
    """0.5 where all members are kept, else -0.5."""
    return Counted(n, all_of(*members))


def disjunction(n: int, members) -> Counted:
    """0.5 where a member is kept, else -0.5."""
    return Counted(n, any_of(*members))


def table(n: int, seed: int) -> Counted:
    """Independent normal values for all 2^n masks."""
    values = np.random.default_rng(seed).normal(size=2**n)
    return Counted(n, lambda keep: values[keep @ (1 << np.arange(n))])


def top(scores: np.ndarray, count: int) -> set[int]:
    """The indices of the highest scores."""
    return set(np.argsort(-scores, kind="stable")[:count].tolist())
