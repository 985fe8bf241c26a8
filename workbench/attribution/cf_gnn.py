"""CF-GNNExplainer on a language model: learn gates that undo the answer, check every step on the text
(Lucic, ter Hoeve, Tolomei, de Rijke, Silvestri 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.attribution.inside import gradients
from workbench.attribution.oracle import able, inner, player_indices, whole_masks
from workbench.cases import Case

START = 0.1  # sigma(0.1) is above 0.5: all is kept at first
CLIP = 2.0  # of the gradient's norm


@dataclass(frozen=True)
class CfSearch:
    """What the search found."""

    keep: np.ndarray  # (n,) float64, gates sigma(m) at the end
    flips: list[tuple[int, ...]] = field(default_factory=list)  # every hard removal that flipped, in order of finding

    @property
    def best(self) -> tuple[int, ...]:
        """The flip with the fewest removals, the first found of equal ones; empty where none was found."""
        return min(self.flips, key=len, default=())


def cf_gnn(game: Any, case: Case | None = None, **settings) -> np.ndarray:
    """1 - sigma(m) of every element, 1 more for the members of the smallest flip. settings: see `cf_search`."""
    found = cf_search(game, **settings)
    scores = 1 - found.keep
    scores[list(found.best)] += 1
    return scores


def cf_search(
    game: Any,
    *,
    steps: int = 60,
    learning_rate: float = 0.3,
    momentum: float = 0.9,
    beta: float = 1e-4,
    nodes: bool = True,
) -> CfSearch:
    """Minimises [decision kept on the text] * log p(answer | gates) + beta * sum(1 - sigma(m)) by SGD with momentum.

    The distance is of the soft gates, so that it has a gradient; the decision is that of the hard text, elements with
    sigma(m) below 0.5 deleted. beta: 0.5 in the original; the log-probability of a sure answer hardly moves until an
    element is nearly gone, and so large a penalty would keep every gate open. nodes: False lets edges alone be removed,
    as the original does. A game without `view` is its own decision: kept where its value is above 0. Costs `steps` rows
    and backward passes.
    """
    if steps < 1 or not learning_rate > 0 or not 0 <= momentum < 1 or beta < 0:
        raise ValueError(f"steps, learning rate, momentum or beta out of range: {steps, learning_rate, momentum, beta}")
    form = {"form": "logprob", "span": None}
    free = np.ones(game.n, dtype=bool) if nodes else player_indices(game) >= len(inner(game).case.nodes)
    logits, speed = np.full(game.n, START), np.zeros(game.n)
    flips: list[tuple[int, ...]] = []
    for _ in range(steps):
        keep = np.where(free, _sigma(logits), 1.0)
        kept = _kept_on_text(game, keep >= 0.5)
        if not kept and (keep < 0.5).any():
            flips.append(tuple(np.flatnonzero(keep < 0.5).tolist()))
        slope = gradients(game, keep[None], **form)[1][0] if kept else 0.0
        gradient = (slope - beta) * _sigma(logits) * (1 - _sigma(logits)) * free
        norm = np.linalg.norm(gradient)
        speed = momentum * speed + gradient * min(1.0, CLIP / norm if norm else 1.0)
        logits = logits - learning_rate * speed
    return CfSearch(np.where(free, _sigma(logits), 1.0), flips)


def _kept_on_text(game: Any, keep: np.ndarray) -> bool:
    """Whether the decision is kept by a hard mask (n,)."""
    found = able(game, "gradients")
    if callable(getattr(found, "view", None)):
        found = found.view(form="decision", removal="delete", span=None)
    return bool(found(whole_masks(game, keep[None]))[0] > 0)


def _sigma(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
