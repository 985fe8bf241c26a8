"""Asking a game: masks in, values out; other units of its values; random masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.meter import Meter, Oracle

Masks = Callable[[np.ndarray], np.ndarray]
"""Keep-masks (m, n) bool -> keep-masks (m, n) bool, as `with_ends`."""


def ask(game: Oracle, keep: np.ndarray) -> np.ndarray:
    """Values (m,) float64 of keep-masks (m, n) bool, equal masks asked once, in one call. ValueError: see `Meter`."""
    masks = np.asarray(keep, dtype=bool)
    return Meter(game, masks.shape[-1])(masks)


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
