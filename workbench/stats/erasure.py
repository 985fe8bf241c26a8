"""Faithfulness by erasure along an order of the elements: what is lost without the first ones, what they give alone.

An order is (n,) element numbers, most important first; `ranking` makes it of scores. Measures are in the unit of the
game; `per_token` and `probability` change it. `close` turns masks that keep little into graphs, see `with_ends`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.meter import Oracle
from workbench.stats.oracle import Masks, ask

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)  # of the elements: the bins of ERASER


def ranking(scores: Sequence[float] | np.ndarray, *, rng: np.random.Generator | None = None) -> np.ndarray:
    """Element numbers (n,), highest score first. Equal scores: in random order with rng, else in that of the elements.

    ValueError: scores that are not (n,) finite numbers.
    """
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite numbers in a row, one an element, not {values!r}"[:300])
    if rng is None:
        return np.argsort(-values, kind="stable")
    return np.lexsort((rng.random(len(values)), -values))


def without_first(order: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Keep-masks (len(counts), n) bool: everything but the first `count` elements of the order.

    ValueError: an order that does not hold every element once, or a count outside 0..n.
    """
    order = np.asarray(order)
    n = order.size
    if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(n)):
        raise ValueError(
            "order must hold every element's number once, most important first; make it by ranking(scores)"
        )
    wrong = [k for k in counts if not 0 <= k <= n]
    if wrong:
        raise ValueError(f"a number of elements must lie in 0..{n}, not {wrong[0]!r}")
    place = np.empty(n, dtype=int)
    place[order] = np.arange(n)
    return place[None, :] >= np.asarray(counts)[:, None]


def top_k_drop(game: Oracle, order: np.ndarray, k: int) -> float:
    """v(all) - v(all but the first k) (ContextCite, Cohen-Wang et al. 2024). 2 rows."""
    full, left = ask(game, without_first(order, [0, k]))
    return float(full - left)


def comprehensiveness(game: Oracle, order: np.ndarray, *, shares: Sequence[float] = SHARES) -> float:
    """Mean over shares q of v(all) - v(all but the first q n), n q rounded up (ERASER, DeYoung et al. 2020, eq. 1)."""
    values = ask(game, without_first(order, [0, *counts(len(order), shares)]))
    return float(values[0] - values[1:].mean())


def sufficiency(
    game: Oracle, order: np.ndarray, *, shares: Sequence[float] = SHARES, close: Masks | None = None
) -> float:
    """Mean over shares q of v(all) - v(the first q n alone), low is good (ERASER, DeYoung et al. 2020, eq. 2)."""
    first = ~without_first(order, [len(order), *counts(len(order), shares)])
    values = ask(game, close(first) if close else first)
    return float(values[0] - values[1:].mean())


def deletion_curve(game: Oracle, order: np.ndarray) -> np.ndarray:
    """Values (n + 1,) while the elements go, first of the order first: from v(all) to v(none)."""
    return ask(game, without_first(order, range(len(order) + 1)))


def insertion_curve(game: Oracle, order: np.ndarray, *, close: Masks | None = None) -> np.ndarray:
    """Values (n + 1,) while the elements come, first of the order first: from v(none) to v(all)."""
    first = ~without_first(order, range(len(order) + 1))
    return ask(game, close(first) if close else first)


def area(curve: Sequence[float] | np.ndarray, at: Sequence[float] | np.ndarray | None = None) -> float:
    """Mean height of a curve, by the trapezoid rule: its area over a width of 1, in the unit of its values.

    at: ascending places of the values; None: evenly spaced. Of the curves above these are the deletion and insertion
    AUC (Petsiuk et al. 2018, RISE). ValueError: fewer than 2 values, or places that do not ascend.
    """
    heights = np.asarray(curve, dtype=float)
    places = np.linspace(0, 1, len(heights)) if at is None else np.asarray(at, dtype=float)
    if len(heights) < 2 or places.shape != heights.shape or (np.diff(places) <= 0).any():
        raise ValueError(f"a curve needs 2 or more values at ascending places, not {len(heights)} at {places!r}"[:300])
    return float(np.trapezoid(heights, places) / (places[-1] - places[0]))


def counts(n: int, shares: Sequence[float]) -> list[int]:
    """How many of n elements each share is, rounded up. ValueError: a share outside (0, 1], or none."""
    if not shares or any(not 0 < q <= 1 for q in shares):
        raise ValueError(f"shares must be one or more numbers in (0, 1], not {tuple(shares)!r}")
    return [int(np.ceil(round(q * n, 9))) for q in shares]  # 0.07 * 100 is a hair above 7
