"""Asking a game: the one check of what goes in and comes out, other units of its values, and random masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Oracle = Callable[[np.ndarray], np.ndarray]
"""`game(keep) -> values`: keep-masks (m, n) bool -> (m,) float. Where it decides, the decision is kept above 0."""

Masks = Callable[[np.ndarray], np.ndarray]
"""Keep-masks (m, n) bool -> keep-masks (m, n) bool, as `with_ends`."""


def ask(game: Oracle, keep: np.ndarray) -> np.ndarray:
    """Values (m,) float64 of keep-masks (m, n) bool, in one call; no masks, no call.

    ValueError: masks of another shape, or a game that does not give one finite value a mask.
    """
    keep = np.asarray(keep, dtype=bool)
    if keep.ndim != 2:
        raise ValueError(f"keep must be masks of shape (m, n), not {keep.shape}; give one mask as mask[None]")
    if not len(keep):
        return np.zeros(0)
    values = np.asarray(game(keep), dtype=float)
    if values.shape != (len(keep),):
        raise ValueError(f"a game must give one value a mask, ({len(keep)},), not {values.shape}")
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        kept = np.flatnonzero(keep[where]).tolist()
        raise ValueError(f"a game must give finite values, not {values[where]} where {kept} are kept")
    return values


def per_token(game: Oracle, tokens: int) -> Oracle:
    """The game in nats a token: of log-probabilities of an answer of so many tokens. ValueError: below 1 token."""
    if tokens < 1:
        raise ValueError(f"tokens must be 1 or more, not {tokens!r}; give the length of the answer")
    return lambda keep: np.asarray(game(keep), dtype=float) / tokens


def probability(game: Oracle) -> Oracle:
    """The game in probabilities: of log-probabilities in nats. Of a long answer all are near 0; see `per_token`."""
    return lambda keep: np.exp(np.asarray(game(keep), dtype=float))


def draw_masks(count: int, n: int, *, rng: np.random.Generator, keep: float | np.ndarray = 0.5) -> np.ndarray:
    """Random keep-masks (count, n) bool: element i stays with probability keep, or keep[i], on its own.

    ValueError: a probability outside [0, 1], or not one for every element.
    """
    stay = np.asarray(keep, dtype=float)
    if stay.shape not in ((), (n,)):
        raise ValueError(f"keep must be one probability or one for each of {n} elements, not of shape {stay.shape}")
    if not ((stay >= 0) & (stay <= 1)).all():
        raise ValueError(f"keep must lie in [0, 1], not {stay[~((stay >= 0) & (stay <= 1))].flat[0]}")
    return rng.random((count, n)) < stay
