"""Shapley values of a game whose value is known for every mask."""

from __future__ import annotations

from math import comb

import numpy as np


def all_masks(n: int) -> np.ndarray:
    """Every keep-mask of n players, (2^n, n) bool: row r keeps the players whose bits are set in r."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 > 0


def shapley_values(values: np.ndarray) -> np.ndarray:
    """phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)), (n,) (Shapley 1953).

    values (2^n,): the game's, in the order of `all_masks`. ValueError: another number of values.
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
