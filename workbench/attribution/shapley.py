"""Shapley values: exact on small games, by permutations, and by weighted least squares (KernelSHAP)."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np

from workbench.attribution.result import Attribution, Features, Oracle, attribution, ends
from workbench.cases import Case
from workbench.stats.games import Meter, all_masks, draw_masks

EXACT_UP_TO = 16  # elements: all 65,536 masks are asked
RIDGE = 1e-9  # of the mean diagonal: defines the solution where there are fewer masks than players


def shapley(
    game: Oracle,
    n: int,
    *,
    permutations: int | None = None,
    rng: np.random.Generator | None = None,
    held_out: int = 64,
    keep: float | np.ndarray = 0.5,
) -> Attribution:
    """Shapley values: an element's gain when it comes, mean over all orders of coming (Shapley 1953).

    permutations: how many orders are drawn (Castro et al. 2009), rounded up to an even number, since every order is
    walked backwards too, which cancels much of the noise (Mitchell et al. 2022). None: all masks, up to 16 elements;
    the result is then exact, and tried on all of them. Walks telescope: scores are complete however few there are.
    held_out, keep: how many masks the scores are tried on, and the chance of an element to stay in them.

    Costs permutations (n - 1) + held_out + 2 rows, asked together, fewer where masks repeat.
    ValueError: more than 16 elements and no permutations, or permutations and no rng.

    Examples:
        >>> def both(keep):  # 6 where the first two are there, 1 more for the third
        ...     return 6.0 * (keep[:, 0] & keep[:, 1]) + keep[:, 2]
        >>> shapley(both, 3).scores.tolist()
        [3.0, 3.0, 1.0]
    """
    meter, line = Meter(game, n), dict[str, Any]()
    if permutations is None:
        if n > EXACT_UP_TO:
            raise ValueError(
                f"all masks are asked of {EXACT_UP_TO} elements at most, not of {n}; give permutations and rng"
            )
        kind, unseen = "exact", all_masks(n)
        values = tried = meter(unseen)
        full, scores, line["stderr"] = values[-1], shapley_values(values), np.zeros(n)
    else:
        if permutations < 1 or rng is None:
            raise ValueError(f"permutations must be 1 or more, drawn with rng, not {permutations!r} with {rng!r}")
        half = np.array([rng.permutation(n) for _ in range((permutations + 1) // 2)])
        orders = np.stack([half, half[:, ::-1]], axis=1).reshape(-1, n)
        walks = np.argsort(orders, axis=1)[:, None, :] < np.arange(n + 1)[:, None]  # (orders, n + 1, n): the first k
        kind, unseen = "sampled", draw_masks(held_out, n, rng=rng, keep=keep)
        values, tried = np.split(meter(np.vstack([walks.reshape(-1, n), unseen])), [len(orders) * (n + 1)])
        full, (scores, line["stderr"]) = values[n], mean_gains(values.reshape(-1, n + 1), orders)
    line |= {"difference": full - values[0], "held_out": (unseen, tried), "meter": meter}
    return attribution(f"shapley, {kind}", Features.of_elements(n), scores, values[0], **line)


def shapley_values(values: np.ndarray) -> np.ndarray:
    """phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)), (n,) (Shapley 1953).

    values (2^n,): the game's, in the order of `all_masks`. ValueError: another number of values.

    Examples:
        >>> values = np.zeros(4)
        >>> values[-1] = 1.0  # of two players both are needed
        >>> shapley_values(values).tolist()
        [0.5, 0.5]
    """
    values = np.asarray(values, float)
    n = len(values).bit_length() - 1
    if values.ndim != 1 or len(values) != 2**n:
        raise ValueError(f"values must be of all masks, 2^n in a row, not of shape {values.shape}")
    masks = all_masks(n)
    size = masks.sum(axis=1)
    # of all orders, the share in which exactly k given players come before a given one
    share = np.array([1 / (n * comb(n - 1, k)) for k in range(n)])
    scores = np.empty(n)
    for i in range(n):
        before = np.flatnonzero(~masks[:, i])
        scores[i] = share[size[before]] @ (values[before + 2**i] - values[before])
    return scores


def gains(values: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """What every element gains in every walk, (walks, n); arguments as in `mean_gains`."""
    found = np.empty(orders.shape)
    np.put_along_axis(found, orders, np.diff(values, axis=1), axis=1)
    return found


def mean_gains(values: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean gain (n,) of every element over walks, and its standard error over pairs of walks (None: one pair).

    values (walks, n + 1): with none, one, ... all elements. orders (walks, n): who came when; a walk and the same
    backwards stand together.
    """
    pairs = gains(values, orders).reshape(-1, 2, orders.shape[1]).mean(axis=1)
    stderr = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else None
    return pairs.mean(axis=0), stderr


def shapley_sampling(
    game: Oracle, case: Case | None = None, *, rng: np.random.Generator, permutations: int = 16
) -> np.ndarray:
    """The scores of `shapley` over so many orders, tried on no other masks: permutations * (n - 1) + 2 rows."""
    return shapley(game, game.n, permutations=permutations, rng=rng, held_out=0).scores


def kernel_shap(game: Oracle, case: Case | None = None, *, rng: np.random.Generator, samples: int = 256) -> np.ndarray:
    """Shapley values by weighted least squares; exact where `samples` covers all masks. samples + 2 rows.

    (n,) minimiser of sum_z weight (v(z) - v(0) - phi z)^2 with sum phi = v(1) - v(0), the constraint eliminated through
    the last player (Covert, Lee 2021). Below about 4 n samples expect important elements to be missed. Source:
    Lundberg, Lee 2017, theorem 2.
    """
    empty, full = ends(game)
    masks, weights = kernel_masks(game.n, samples=samples, rng=rng)
    keep, gain = masks.astype(float), full - empty
    if game.n == 1:
        return np.array([gain])
    last = keep[:, -1]
    design, target = keep[:, :-1] - last[:, None], np.asarray(game(masks), dtype=float) - empty - last * gain
    square = design.T @ (design * weights[:, None])
    ridge = RIDGE * max(np.trace(square) / len(square), 1e-300)
    phi = np.linalg.solve(square + ridge * np.eye(len(square)), design.T @ (target * weights))
    return np.append(phi, gain - phi.sum())


def kernel_masks(n: int, *, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`samples` masks (m, n) by the Shapley kernel, each followed by its complement, and their weights (m,); all of
    them, weighted, where they are not more. ValueError: fewer than 2 samples.

    Examples:
        >>> masks, weights = kernel_masks(4, samples=6, rng=np.random.default_rng(0))
        >>> bool((masks[::2] ^ masks[1::2]).all())  # each with its complement
        True
    """
    if samples < 2:
        raise ValueError(f"samples must be 2 or more (a mask and its complement), not {samples!r}")
    if n <= EXACT_UP_TO and 2**n - 2 <= samples:
        first = all_masks(n)[1 : 2 ** (n - 1)]
        weights = np.array([(n - 1) / (comb(n, s) * s * (n - s)) for s in first.sum(1).tolist()])
    else:
        sizes = np.arange(1, n)
        chance = 1 / (sizes * (n - sizes))
        drawn = rng.choice(sizes, size=samples // 2, p=chance / chance.sum())
        first = rng.random((samples // 2, n)).argsort(1).argsort(1) < drawn[:, None]
        weights = np.ones(samples // 2)
    return np.stack([first, ~first], axis=1).reshape(-1, n), np.repeat(weights, 2)
