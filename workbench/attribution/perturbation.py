"""Scores by asking for sets: one element out or alone, TracLLM's halves, ReAGent's random sets, LiMA's greedy order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from workbench.attribution.result import Oracle, answer_tokens, ends, inner, kept, player_indices
from workbench.attribution.shapley import gains
from workbench.cases import Case
from workbench.game import Game
from workbench.game.attention import element_lines
from workbench.stats.games import alone, losses, only


def leave_one_out(game: Oracle, case: Case | None = None) -> np.ndarray:
    """v(1) - v(1 - e_i): what the value loses with element i. n + 1 rows (Li, Monroe, Jurafsky 2016, eq. 1)."""
    return losses(game, game.n)


def single_fact(game: Oracle, case: Case | None = None) -> np.ndarray:
    """v(e_i) - v(0): what element i gives alone (single text contribution). n + 1 rows."""
    return _single(game, alone(game.n))


Group = tuple[int, ...]
"""Positions of a group's elements, never their texts: equal texts are different elements."""


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
    """Largest weighted score over one search per scorer, see `search` (Wang, Zou, Geng, Jia 2025).

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


def _single(game: Oracle, level: Sequence[Group], **_) -> np.ndarray:
    """v(group) - v(0)."""
    values = game(only(game.n, [(), *level]))
    return values[1:] - values[0]


def _group_out(game: Oracle, level: list[Group], **_) -> np.ndarray:
    """v(all groups left) - v(all but this one)."""
    values = game(only(game.n, [sum(level, ()), *(sum(level[:k] + level[k + 1 :], ()) for k in range(len(level)))]))
    return values[0] - values[1:]


def _denoised(
    game: Oracle, level: list[Group], *, rng: np.random.Generator, permutations: int, top: float
) -> np.ndarray:
    """Mean over the largest `top` share (one at least) of the marginal contributions in random orders."""
    orders = np.array([rng.permutation(len(level)) for _ in range(permutations)])
    walks = [sum((level[i] for i in order[:k]), ()) for order in orders for k in range(len(level) + 1)]
    found = gains(np.asarray(game(only(game.n, walks))).reshape(permutations, -1), orders)
    return -np.sort(-found, axis=0)[: max(1, int(top * permutations))].mean(0)


SCORERS: dict[str, Callable[..., np.ndarray]] = {"single": _single, "leave_one_out": _group_out, "shapley": _denoised}
"""Name -> `f(game, level, *, rng, permutations, top) -> (groups,)`; the groups are all that is left of the context."""


def _halves(group: Group) -> list[Group]:
    middle = (len(group) + 1) // 2
    return [group[:middle], group[middle:]] if len(group) > 1 else [group]


def reagent(
    game: Oracle,
    case: Case | None = None,
    *,
    rng: np.random.Generator,
    probes: int = 8,
    steps: int = 100,
    share: float = 0.3,
    top: int = 5,
) -> np.ndarray:
    """Mean softmax of the probes' scores, those that converged; of all where none did (Zhao, Shan 2024). Up to
    2 probes * steps + 2 rows.

    An element stands for one position; it is deleted where the original puts in other words, which a graph has not.
    share: of elements taken out per step. A probe stops when its `top` elements alone keep the decision. The loss comes
    to lie between -1 and 1 as tanh(loss / |v(1) - v(0)|).
    """
    if probes < 1 or steps < 1 or top < 1 or not 0 < share < 1:
        raise ValueError(f"probes, steps and top must be 1 or more, share in (0, 1): {probes}, {steps}, {top}, {share}")
    n, (empty, full) = game.n, ends(game)
    unit = abs(full - empty) or 1.0
    scores, running = rng.random((probes, n)), np.ones(probes, dtype=bool)
    taken = min(max(1, round(share * n)), max(1, n - 1))
    for _ in range(steps):
        alive = np.flatnonzero(running)
        out = _ranks(rng.random((len(alive), n))) < taken
        # logit((delta + 1) / 2) of delta = tanh(x) is 2 x
        move = 2 * (full - game(~out)[:, None]) / unit
        scores[alive] += np.where(out, move, -move)
        running[alive] = ~kept(game, _ranks(-scores[alive]) < min(top, max(1, n - 1)))
        if not running.any():
            break
    final = scores if running.all() else scores[~running]
    weights = np.exp(final - final.max(1, keepdims=True))
    return (weights / weights.sum(1, keepdims=True)).mean(0)


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Rank of every entry in its row, 0 the lowest."""
    return rows.argsort(1, kind="stable").argsort(1, kind="stable")


class LimaWeights(NamedTuple):
    """Weights of the objective's terms; the paper's fourth, the class confidence, has the weight 0 there.

    Examples:
        >>> LimaWeights(consistency=1.0)
        LimaWeights(effectiveness=0.05, consistency=1.0, collaboration=1.0)
    """

    effectiveness: float = 0.05  # sum over members of the distance to the nearest other member
    consistency: float = 20.0  # p(S)
    collaboration: float = 1.0  # 1 - p(all but S)


PUBLISHED = LimaWeights()


def lima(
    game: Oracle, case: Case | None = None, *, weights: LimaWeights = PUBLISHED, candidates: int = 8
) -> np.ndarray:
    """1 / rank in the order of the bidirectional greedy search (Chen et al. 2025). About n^2 / 2 + n * candidates rows.

    p: exp(log-probability / tokens) for a game of log-probabilities, the plain value otherwise. Distances of players:
    see `element_distances`. candidates: how many of the least gain compete for the other end.
    """
    order = bidirectional(Objective(game, weights, element_distances(game)), game.n, candidates=candidates)
    scores = np.empty(game.n)
    scores[order] = 1 / np.arange(1, game.n + 1)
    return scores


class Objective:
    """F(S) of sets given as masks."""

    def __init__(self, game: Oracle, weights: LimaWeights, distances: np.ndarray):
        """distances: (n, n) in [0, 1] between players."""
        self.game, self.weights, self.distances = game, weights, distances
        self.tokens = answer_tokens(game)
        self.probable = getattr(inner(game), "form", None) == "logprob"

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """F (m,) of masks (m, n)."""
        inside, outside = np.split(self.p(np.vstack([keep, ~keep])), 2)
        w = self.weights
        return w.effectiveness * self.spread(keep) + w.consistency * inside + w.collaboration * (1 - outside)

    def p(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,), as probabilities where they are logs of them."""
        values = np.asarray(self.game(keep), dtype=float)
        return np.exp(values / self.tokens) if self.probable else values

    def spread(self, keep: np.ndarray) -> np.ndarray:
        """Sum over members of the distance to the nearest other member, (m,); 0 for sets of one."""
        out = np.zeros(len(keep))
        for k, members in enumerate(map(np.flatnonzero, keep)):
            if len(members) > 1:
                between = self.distances[np.ix_(members, members)] + np.diag(np.full(len(members), np.inf))
                out[k] = between.min(1).sum()
        return out


def bidirectional(objective: Any, n: int, *, candidates: int) -> list[int]:
    """Players in order, most important first: each round appends the best to S, then the worst of the `candidates`
    with the least gain to D; the order is S, what is left, D backwards. objective: masks (m, n) -> (m,).
    """
    first, last = list[int](), list[int]()
    while len(left := [i for i in range(n) if i not in first and i not in last]) > 1:
        gains = objective(only(n, [[*first, one] for one in left]))
        best = left[int(np.argmax(gains))]
        first.append(best)
        if len(left) > candidates:
            weakest = [left[i] for i in np.argsort(gains, kind="stable") if left[i] != best][:candidates]
            last.append(weakest[int(np.argmin(objective(only(n, [[*last, one] for one in weakest]))))])
    return [*first, *left, *reversed(last)]


def element_distances(game: Any) -> np.ndarray:
    """Angle over pi, (players, players) in [0, 1], between mean input embeddings of the players' lines, see
    `element_lines`; all 0 for a game without a language model.
    """
    found = inner(game)
    if not isinstance(found, Game):
        return np.zeros((game.n, game.n))
    prompt, case = found.engine.prompt(found.case), found.case
    table = found.engine.lm.model.get_input_embeddings().weight.detach().float().cpu().numpy()
    tokens, fact = table[list(prompt.ids)], np.array(prompt.fact)
    means = np.array([tokens[np.isin(fact, own)].mean(0) for own in element_lines(case)])[player_indices(game)]
    units = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.arccos(np.clip(units @ units.T, -1, 1)) / np.pi
