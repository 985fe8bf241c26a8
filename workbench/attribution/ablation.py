"""Scores by taking one element out, by showing one alone, and by chance."""

from __future__ import annotations

import numpy as np

from workbench.attribution.oracle import Oracle
from workbench.cases import Case
from workbench.keeps import alone, losses, only


def uniform(game: Oracle, case: Case | None = None, *, rng: np.random.Generator) -> np.ndarray:
    """Scores drawn from [0, 1)."""
    return rng.random(game.n)


def leave_one_out(game: Oracle, case: Case | None = None) -> np.ndarray:
    """v(1) - v(1 - e_i): what the value loses with element i. n + 1 rows (Li, Monroe, Jurafsky 2016, eq. 1)."""
    return losses(game, game.n)


def single_fact(game: Oracle, case: Case | None = None) -> np.ndarray:
    """v(e_i) - v(0): what element i gives alone (single text contribution). n + 1 rows."""
    values = game(only(game.n, [(), *alone(game.n)]))
    return values[1:] - values[0]
