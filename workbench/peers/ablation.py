"""Scores by taking one element out, or by showing one alone."""

from __future__ import annotations

import numpy as np

from workbench.cases import Case
from workbench.peers.oracle import Oracle


def leave_one_out(game: Oracle, case: Case | None = None) -> np.ndarray:
    """v(1) - v(1 - e_i): what the value loses with element i. n + 1 rows (Li, Monroe, Jurafsky 2016, eq. 1)."""
    n = game.n
    values = game(np.vstack([np.ones((1, n), dtype=bool), ~np.eye(n, dtype=bool)]))
    return values[0] - values[1:]


def single_fact(game: Oracle, case: Case | None = None) -> np.ndarray:
    """v(e_i) - v(0): what element i gives alone (single text contribution). n + 1 rows."""
    n = game.n
    values = game(np.vstack([np.zeros((1, n), dtype=bool), np.eye(n, dtype=bool)]))
    return values[1:] - values[0]
