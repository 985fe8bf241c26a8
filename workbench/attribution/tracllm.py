"""TracLLM: halve groups of elements, keep the best groups, go on inside them (Wang, Zou, Geng, Jia 2025)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from workbench.attribution.oracle import Oracle
from workbench.cases import Case
from workbench.keeps import only

Group = tuple[int, ...]
"""Positions of a group's elements, never their texts: equal texts are different elements."""

Scorer = Callable[..., np.ndarray]
"""`f(game, level, *, rng, permutations, top) -> (groups,)`, the groups are all that is left of the context."""


def tracllm(
    game: Oracle,
    case: Case | None = None,
    *,
    rng: np.random.Generator,
    groups: int = 5,
    permutations: int = 5,
    top: float = 0.2,
    weights: Mapping[str, float] = MappingProxyType({"single": 1.0, "leave_one_out": 2.0, "shapley": 1.0}),
) -> np.ndarray:
    """Largest weighted score over one search per scorer; see `search`.

    groups: how many survive a level. permutations, top: of the denoised Shapley value, the mean over the `top` share of
    its contributions. A level costs about 2 (1 + 2 groups) + permutations * 2 groups rows, log2(n / groups) + 1 levels.
    """
    if groups < 1 or permutations < 1 or not 0 < top <= 1:
        raise ValueError(f"groups and permutations must be 1 or more, top in (0, 1]: {groups}, {permutations}, {top}")
    for name in weights:
        if name not in SCORERS:
            raise ValueError(f"unknown scorer {name!r}; the scorers are {', '.join(SCORERS)}")
    runs = []
    for name, weight in weights.items():
        score = partial(SCORERS[name], game, rng=rng, permutations=permutations, top=top)
        runs.append(weight * search(game, score, groups=groups))
    return np.max(runs, axis=0)


def search(game: Oracle, score: Callable[[list[Group]], np.ndarray], *, groups: int) -> np.ndarray:
    """Scores (n,) of one search: of the last level; elements lost before it get the lowest of them, 0 at most."""
    level: list[Group] = [tuple(range(game.n))]
    while True:
        level = [half for group in level for half in _halves(group)]
        single = all(len(group) == 1 for group in level)
        if single:
            scores = np.asarray(score(level), dtype=float)
            out = np.full(game.n, min(0.0, scores.min()))
            out[[group[0] for group in level]] = scores
            return out
        if len(level) > groups:
            best = np.argsort(-np.asarray(score(level)), kind="stable")[:groups]
            level = [level[i] for i in sorted(best)]


def single(game: Oracle, level: list[Group], **_) -> np.ndarray:
    """v(group) - v(0)."""
    values = game(only(game.n, [(), *level]))
    return values[1:] - values[0]


def leave_one_out(game: Oracle, level: list[Group], **_) -> np.ndarray:
    """v(all groups left) - v(all but this one)."""
    values = game(only(game.n, [sum(level, ()), *(sum(level[:k] + level[k + 1 :], ()) for k in range(len(level)))]))
    return values[0] - values[1:]


def shapley(game: Oracle, level: list[Group], *, rng: np.random.Generator, permutations: int, top: float) -> np.ndarray:
    """Mean over the largest `top` share (one at least) of the marginal contributions in random orders."""
    orders = np.array([rng.permutation(len(level)) for _ in range(permutations)])
    walks = [sum((level[i] for i in order[:k]), ()) for order in orders for k in range(len(level) + 1)]
    values = np.asarray(game(only(game.n, walks))).reshape(permutations, -1)
    gains = np.empty(orders.shape)
    np.put_along_axis(gains, orders, np.diff(values, axis=1), axis=1)
    count = max(1, int(top * permutations))
    return -np.sort(-gains, axis=0)[:count].mean(0)


SCORERS: dict[str, Scorer] = {f.__name__: f for f in (single, leave_one_out, shapley)}


def _halves(group: Group) -> list[Group]:
    middle = (len(group) + 1) // 2
    return [group[:middle], group[middle:]] if len(group) > 1 else [group]
