"""Fidelity of a set of elements as an explanation: what its removal does, and what it does alone.

For one graph; the papers' figures are means over cases (`cell`), and characterisation is made of these means.
Source: Amara et al. 2022, GraphFramEx.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from workbench.meter import Oracle
from workbench.stats.oracle import Masks, ask


class Fidelity(NamedTuple):
    """plus: what removing the explanation changes, high is good. minus: what keeping it alone changes, low is good."""

    plus: float
    minus: float


def fidelity(game: Oracle, members: Sequence[int] | np.ndarray, n: int, *, close: Masks | None = None) -> Fidelity:
    """plus = v(all) - v(all but members), minus = v(all) - v(members alone), in the unit of the game. 3 rows.

    For fidelity of probabilities, give `probability(game)`. members: element numbers out of n. close: applied where
    members stay alone, as `with_ends` does for the ends of kept edges. ValueError: a member that is no element.
    """
    full, left, alone = _values(game, members, n, close)
    return Fidelity(full - left, full - alone)


def flip_fidelity(game: Oracle, members: Sequence[int] | np.ndarray, n: int, *, close: Masks | None = None) -> Fidelity:
    """The same of decisions: each 1.0 where the decision (value above 0) is not that of the whole graph, else 0.0."""
    full, left, alone = (value > 0 for value in _values(game, members, n, close))
    return Fidelity(float(left != full), float(alone != full))


def characterisation(plus: float, minus: float, *, weights: tuple[float, float] = (0.5, 0.5)) -> float:
    """Weighted harmonic mean of fidelity+ and 1 - fidelity-, in [0, 1].

    Fidelities outside [0, 1] count as the nearer end: a removal can make an answer likelier. ValueError: weights that
    are not above 0.
    """
    if not min(weights) > 0:
        raise ValueError(f"weights must be above 0, not {weights!r}")
    necessary, sufficient = float(np.clip(plus, 0, 1)), 1 - float(np.clip(minus, 0, 1))
    if not necessary or not sufficient:
        return 0.0
    return sum(weights) / (weights[0] / necessary + weights[1] / sufficient)


def _values(game: Oracle, members: Sequence[int] | np.ndarray, n: int, close: Masks | None) -> list[float]:
    """v of the whole graph, without the members, and of the members alone."""
    numbers = np.asarray(members, dtype=int)
    if ((numbers < 0) | (numbers >= n)).any():
        raise ValueError(f"members must be element numbers in 0..{n - 1}, not {numbers.tolist()}")
    keep = np.ones((3, n), bool)
    keep[1, numbers] = False
    keep[2] = ~keep[1]
    if close:
        keep[2:] = close(keep[2:])
    return ask(game, keep).tolist()
