"""Scores by chance, matched to a reference set in type or in degree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from workbench.attribution.result import Oracle
from workbench.cases import Case, Fact
from workbench.explain.baselines import element_type

Reference = Iterable[int | str | Fact]
"""Elements of a case: their indices, or node ids and facts."""


def uniform(game: Oracle, case: Case | None = None, *, rng: np.random.Generator) -> np.ndarray:
    """Scores drawn from [0, 1)."""
    return rng.random(game.n)


def aligned(game: Oracle, case: Case, *, rng: np.random.Generator, reference: Reference) -> np.ndarray:
    """For each member of the reference one element of the same type (node type, or relation of an edge) scores above 1,
    where there are enough; all others below."""
    kinds = [element_type(e) for e in case.elements]
    distance = np.array([[float(a != b) for b in kinds] for a in kinds])
    return _matched(distance, members(case, reference), rng=rng)


def degree_matched(game: Oracle, case: Case, *, rng: np.random.Generator, reference: Reference) -> np.ndarray:
    """For each member of the reference one element of its kind (node, edge) with the nearest degree scores above 1.

    The degree of a node is its number of shown facts, that of an edge the sum of its ends'.
    """
    degree = Counter(end for f in case.facts for end in (f.head, f.tail))
    size = np.array(
        [float(degree[n]) for n in case.nodes] + [float(degree[f.head] + degree[f.tail]) for f in case.facts]
    )
    edge = np.arange(len(size)) >= len(case.nodes)
    unlike = edge[:, None] != edge[None, :]
    return _matched(np.abs(size[:, None] - size) + unlike * (1 + 2 * size.max()), members(case, reference), rng=rng)


def members(case: Case, reference: Reference) -> list[int]:
    """The reference as indices into `case.elements`. ValueError: one that the case does not show."""
    index = {e: i for i, e in enumerate(case.elements)}
    out = []
    for one in reference:
        if isinstance(one, int | np.integer) and 0 <= one < len(index):
            out.append(int(one))
        elif isinstance(one, str | Fact) and one in index:
            out.append(index[one])
        else:
            raise ValueError(f"case {case.id!r} has no element {str(one)[:200]}; the reference must be of its elements")
    return list(dict.fromkeys(out))


def _matched(distance: np.ndarray, reference: Sequence[int], *, rng: np.random.Generator) -> np.ndarray:
    """Scores (n,): 1 more for each element drawn as the nearest of one of the reference, ties by chance."""
    scores = rng.random(len(distance))
    free = np.ones(len(distance), dtype=bool)
    for member in reference:
        if not free.any():
            break
        nearest = distance[member][free].min()
        drawn = rng.choice(np.flatnonzero(free & (distance[member] == nearest)))
        free[drawn] = False
        scores[drawn] += 1
    return scores
