"""LiMA: order elements from both ends by greedy choice of what a set shows and what its absence breaks
(Chen et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from workbench.attribution.oracle import Oracle, answer_tokens, inner, player_indices
from workbench.cases import Case
from workbench.game import Game
from workbench.keeps import only


class LimaWeights(NamedTuple):
    """Weights of the objective's terms; the paper's fourth, the class confidence, has the weight 0 there."""

    effectiveness: float = 0.05  # sum over members of the distance to the nearest other member
    consistency: float = 20.0  # p(S)
    collaboration: float = 1.0  # 1 - p(all but S)


PUBLISHED = LimaWeights()


def lima(
    game: Oracle,
    case: Case | None = None,
    *,
    weights: LimaWeights = PUBLISHED,
    candidates: int = 8,
    distances: np.ndarray | None = None,
    start: Sequence[int] = (),
) -> np.ndarray:
    """1 / rank in the order of the bidirectional greedy search. About n^2 / 2 + n * candidates rows.

    p: exp(log-probability / tokens) for a game of log-probabilities, the plain value otherwise. distances (n, n) in
    [0, 1] between players; None: angles between the embeddings of their lines, or 0 without a language model.
    candidates: how many of the least gain compete for the other end. start: players that are in S from the beginning,
    for where no player alone has an effect.
    """
    order = bidirectional(Objective(game, weights, distances), game.n, candidates=candidates, start=start)
    scores = np.empty(game.n)
    scores[order] = 1 / np.arange(1, game.n + 1)
    return scores


class Objective:
    """F(S) of sets given as masks."""

    def __init__(self, game: Oracle, weights: LimaWeights, distances: np.ndarray | None = None):
        """ValueError: distances of another shape."""
        self.game, self.weights, self.tokens = game, weights, answer_tokens(game)
        self.probable = getattr(inner(game), "form", None) == "logprob"
        self.distances = element_distances(game) if distances is None else np.asarray(distances, dtype=float)
        if self.distances.shape != (game.n, game.n):
            raise ValueError(f"distances must be of shape ({game.n}, {game.n}), not {self.distances.shape}")

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


def bidirectional(objective: Any, n: int, *, candidates: int = 8, start: Sequence[int] = ()) -> list[int]:
    """Players in order, most important first: each round appends the best to S, then the worst of the `candidates`
    with the least gain to D; the order is S, what is left, D backwards. objective: masks (m, n) -> (m,).
    """
    first, last = list(start), list[int]()
    while len(left := [i for i in range(n) if i not in first and i not in last]) > 1:
        gains = objective(only(n, [[*first, one] for one in left]))
        best = left[int(np.argmax(gains))]
        first.append(best)
        if len(left) > candidates:
            weakest = [left[i] for i in np.argsort(gains, kind="stable") if left[i] != best][:candidates]
            last.append(weakest[int(np.argmin(objective(only(n, [[*last, one] for one in weakest]))))])
    return [*first, *left, *reversed(last)]


def element_distances(game: Any) -> np.ndarray:
    """Angle over pi, (players, players) in [0, 1], between mean input embeddings of the players' lines (a node's lines:
    those of its facts); all 0 for a game without a language model.
    """
    found = inner(game)
    if not isinstance(found, Game):
        return np.zeros((game.n, game.n))
    prompt, case = found.engine.prompt(found.case), found.case
    table = found.engine.lm.model.get_input_embeddings().weight.detach().float().cpu().numpy()
    tokens, fact = table[list(prompt.ids)], np.array(prompt.fact)
    lines = [[i] for i in range(len(case.facts))]
    own = [[i for i, f in enumerate(case.facts) if node in (f.head, f.tail)] for node in case.nodes]
    means = np.array([tokens[np.isin(fact, mine)].mean(0) for mine in [*own, *lines]])[player_indices(game)]
    units = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.arccos(np.clip(units @ units.T, -1, 1)) / np.pi
