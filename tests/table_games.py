"""Games for the tests of set searches: truth tables, rules, and all minimal sets by looking at every set."""

from itertools import combinations

import numpy as np


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
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return np.asarray(rule(masks.astype(bool)), bool)


def random_table(n: int, rng: np.random.Generator) -> np.ndarray:
    """Monotone rules (any of some conjunctions, or all of some disjunctions), sums of weights, and tables drawn
    entry by entry; some of each with a few entries turned over."""
    kind = rng.integers(4)
    if kind < 2:
        terms = [rng.choice(n, rng.integers(1, n + 1), replace=False) for _ in range(rng.integers(1, 6))]
        if kind == 0:
            table = table_of(n, lambda z: np.any([z[:, t].all(axis=1) for t in terms], axis=0))
        else:
            table = table_of(n, lambda z: np.all([z[:, t].any(axis=1) for t in terms], axis=0))
    elif kind == 2:
        weights = rng.normal(size=n) + rng.choice([0, 1])
        table = table_of(n, lambda z: z @ weights > weights.sum() * rng.random())
    else:
        table = rng.random(2**n) < rng.choice([0.05, 0.3, 0.5, 0.8, 0.95])
    if rng.random() < 0.3:
        table = table ^ (rng.random(2**n) < 0.05)
    return table
