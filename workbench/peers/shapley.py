"""Shapley values: exact on small games, by permutations, and by weighted least squares (KernelSHAP)."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from workbench.cases import Case
from workbench.peers.oracle import Oracle, ends
from workbench.stats import all_masks, shapley_values

MAX_EXACT = 16  # players: 65,536 masks
RIDGE = 1e-9  # of the mean diagonal: defines the solution where there are fewer masks than players


def exact_shapley(game: Oracle, case: Case | None = None) -> np.ndarray:
    """Shapley values from all 2^n masks, see `workbench.stats.shapley_values`. ValueError: n above 16."""
    n = game.n
    if n > MAX_EXACT:
        raise ValueError(f"exact Shapley values need 2^n masks, n at most {MAX_EXACT}, not {n}; use shapley_sampling")
    return shapley_values(game(all_masks(n)))


def shapley_sampling(
    game: Oracle,
    case: Case | None = None,
    *,
    rng: np.random.Generator,
    permutations: int = 16,
    antithetic: bool = True,
) -> np.ndarray:
    """Mean marginal contribution over random orders; adds up to v(1) - v(0) exactly.

    antithetic: each order is also used backwards (counted among `permutations`). permutations * (n - 1) + 2 rows.
    Source: Castro, Gomez, Tejada 2009; antithetic orders: Mitchell et al. 2022.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be 1 or more, not {permutations!r}")
    n, (empty, full) = game.n, ends(game)
    order = np.arange(n)
    total = np.zeros(n)
    for k in range(permutations):
        order = order[::-1] if antithetic and k % 2 else rng.permutation(n)
        # row j keeps the first j + 1 of the order
        masks = np.argsort(order)[None, :] <= np.arange(n - 1)[:, None]
        path = np.concatenate([[empty], game(masks) if n > 1 else [], [full]])
        total[order] += np.diff(path)
    return total / permutations


@dataclass(frozen=True)
class KernelSample:
    """Masks for KernelSHAP and their values, in pairs: row 2k + 1 is the complement of row 2k."""

    masks: np.ndarray  # (m, n) bool
    values: np.ndarray  # (m,) float64
    weights: np.ndarray  # (m,) float64
    empty: float  # v(0)
    full: float  # v(1)

    def fit(self) -> np.ndarray:
        """(n,) minimiser of sum_z weight (v(z) - v(0) - phi z)^2 with sum phi = v(1) - v(0), the constraint eliminated
        through the last player (Covert, Lee 2021).
        """
        keep, gain = self.masks.astype(float), self.full - self.empty
        if keep.shape[1] == 1:
            return np.array([gain])
        last = keep[:, -1]
        design, target = keep[:, :-1] - last[:, None], self.values - self.empty - last * gain
        square = design.T @ (design * self.weights[:, None])
        ridge = RIDGE * max(np.trace(square) / len(square), 1e-300)
        phi = np.linalg.solve(square + ridge * np.eye(len(square)), design.T @ (target * self.weights))
        return np.append(phi, gain - phi.sum())

    def standard_errors(self, *, rng: np.random.Generator, draws: int = 200) -> np.ndarray:
        """Bootstrap standard errors (n,) of `fit`, pairs of masks drawn again."""
        pairs = len(self.masks) // 2
        fits = []
        for _ in range(draws):
            rows = (2 * rng.integers(pairs, size=pairs)[:, None] + np.arange(2)).ravel()
            again = KernelSample(self.masks[rows], self.values[rows], self.weights[rows], self.empty, self.full)
            fits.append(again.fit())
        return np.std(fits, axis=0, ddof=1)


def kernel_shap(game: Oracle, case: Case | None = None, *, rng: np.random.Generator, samples: int = 256) -> np.ndarray:
    """Shapley values by weighted least squares; exact where `samples` covers all masks. samples + 2 rows.

    Below about 4 n samples expect important elements to be missed. Source: Lundberg, Lee 2017, theorem 2.
    """
    return kernel_sample(game, samples=samples, rng=rng).fit()


def kernel_sample(game: Oracle, *, samples: int, rng: np.random.Generator) -> KernelSample:
    """`samples` masks by the Shapley kernel, each followed by its complement; all of them, weighted, where they are not
    more. ValueError: fewer than 2 samples.
    """
    if samples < 2:
        raise ValueError(f"samples must be 2 or more (a mask and its complement), not {samples!r}")
    n, (empty, full) = game.n, ends(game)
    if n <= MAX_EXACT and 2**n - 2 <= samples:
        codes = np.arange(1, 2 ** (n - 1))
        first = (codes[:, None] >> np.arange(n)) & 1 == 1
        sizes = first.sum(1)
        weights = np.array([(n - 1) / (comb(n, s) * s * (n - s)) for s in sizes.tolist()])
    else:
        sizes = np.arange(1, n)
        chance = 1 / (sizes * (n - sizes))
        drawn = rng.choice(sizes, size=samples // 2, p=chance / chance.sum())
        first = rng.random((samples // 2, n)).argsort(1).argsort(1) < drawn[:, None]
        weights = np.ones(samples // 2)
    masks = np.stack([first, ~first], axis=1).reshape(-1, n)
    values = np.asarray(game(masks), dtype=float) if len(masks) else np.zeros(0)
    return KernelSample(masks, values, np.repeat(weights, 2), empty, full)
