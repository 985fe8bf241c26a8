"""Scores from inside the model: attention, AttnTrace, gradients through the gates, CF-GNNExplainer, learned masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit

from workbench.attribution.result import able, inner, player_indices, whole_masks
from workbench.cases import Case
from workbench.explain import masks
from workbench.explain.terms import Weights
from workbench.models.prompts import Template

BATCH = 8  # gated rows whose graphs are held at once


def attention_highest(game: Any, case: Case | None = None) -> np.ndarray:
    """Attention (n,) that the answer's positions pay to each element."""
    found = able(game, "attention")
    shown = whole_masks(game, np.ones((1, game.n), dtype=bool))[0]
    return np.asarray(found.attention(shown), dtype=np.float64)[player_indices(game)]


def attention_lowest(game: Any, case: Case | None = None) -> np.ndarray:
    """Minus that attention: the paper's other attention baseline (Wang, Chen, Kabir 2025)."""
    return -attention_highest(game)


def gradient_gate(game: Any, case: Case | None = None) -> np.ndarray:
    """Gradient times input at the gates, dv/dk_i * k_i at k = 1, in units of the value."""
    return gradients(game, np.ones((1, game.n)))[1][0]


def integrated_gradients(game: Any, case: Case | None = None, *, steps: int = 32) -> np.ndarray:
    """Integral of dv/dk_i along the straight path from k = 0 to k = 1, by Gauss-Legendre quadrature with `steps` nodes.

    Scores add up to v(1) - v(0) of the gated game (completeness), in units of the value.
    Source: Sundararajan, Taly, Yan 2017, eq. 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps!r}")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return path_gradients(game, (nodes + 1) / 2, weights / 2)


def path_gradients(game: Any, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean (n,) of the gradients at the places `at` (steps,) of the straight path, where every k_i is that."""
    keep = np.repeat(at[:, None], game.n, axis=1)
    slopes = [gradients(game, keep[k : k + BATCH])[1] for k in range(0, len(at), BATCH)]
    return np.average(np.concatenate(slopes), axis=0, weights=weights)


def gradients(game: Any, keep: np.ndarray, **form) -> tuple[np.ndarray, np.ndarray]:
    """Values (m,) of the gated game at float masks (m, n), and their gradients (m, n), below meters and restrictions.

    form: of the view to take where the game has views. ValueError: the game has no gradients.
    """
    found = able(game, "gradients")
    if callable(getattr(found, "view", None)):
        found = found.view(removal="gate", **form)
    values, slopes = found.gradients(whole_masks(game, keep))
    # who is gone for good has no effect
    there = whole_masks(game, np.ones((1, game.n)))
    return np.asarray(values, dtype=np.float64), (slopes * there)[:, player_indices(game)]


def attn_trace(
    game: Any, case: Case, *, rng: np.random.Generator, draws: int = 30, share: float = 0.4, tokens: int = 5
) -> np.ndarray:
    """Mean over the draws that show an element of the mean attention to its `tokens` strongest tokens (Wang, Geng,
    Chen, Jia 2025). `draws` rows.

    A draw shows `share` of the facts (rounded down, one at least) in their order; all nodes stay, for only lines are
    texts. A node's tokens are those of all its shown facts. An element that no draw shows scores 0.
    """
    if draws < 1 or tokens < 1 or not 0 < share <= 1:
        raise ValueError(f"draws and tokens must be 1 or more, share in (0, 1]: {draws}, {tokens}, {share}")
    found = able(game, "token_attention")
    nodes, facts = len(case.nodes), len(case.facts)
    total, shown = np.zeros(nodes + facts), np.zeros(nodes + facts)
    for _ in range(draws):
        keep = np.arange(nodes + facts) < nodes
        keep[nodes + rng.permutation(facts)[: max(1, int(share * facts))]] = True
        for i, weights in enumerate(found.token_attention(keep)):
            if len(weights):
                total[i] += np.sort(weights)[-tokens:].mean()
                shown[i] += 1
    return total / np.maximum(shown, 1)


START = 0.1  # sigma(0.1) is above 0.5: all is kept at first
CLIP = 2.0  # of the gradient's norm


@dataclass(frozen=True)
class CfSearch:
    """What the search found.

    Examples:
        >>> CfSearch(np.ones(4), flips=[(0, 2), (1,)]).best
        (1,)
    """

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
    game: Any, *, steps: int = 60, learning_rate: float = 0.3, momentum: float = 0.9, beta: float = 1e-4
) -> CfSearch:
    """Minimises [decision kept on the text] * log p(answer | gates) + beta * sum(1 - sigma(m)) by SGD with momentum
    (CF-GNNExplainer: Lucic, ter Hoeve, Tolomei, de Rijke, Silvestri 2022, on a language model).

    The distance is of the soft gates, so that it has a gradient; the decision is that of the hard text, elements with
    sigma(m) below 0.5 deleted. beta: 0.5 in the original; the log-probability of a sure answer hardly moves until an
    element is nearly gone, and so large a penalty would keep every gate open. A game without `view` is its own
    decision: kept where its value is above 0. Costs `steps` rows and backward passes.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> cf_search(game, steps=2).keep.shape  # a gate for each element
        (7,)
    """
    if steps < 1 or not learning_rate > 0 or not 0 <= momentum < 1 or beta < 0:
        raise ValueError(f"steps, learning rate, momentum or beta out of range: {steps, learning_rate, momentum, beta}")
    form = {"form": "logprob", "span": None}
    logits, speed = np.full(game.n, START), np.zeros(game.n)
    flips: list[tuple[int, ...]] = []
    for _ in range(steps):
        keep = expit(logits)
        kept = _kept_on_text(game, keep >= 0.5)
        if not kept and (keep < 0.5).any():
            flips.append(tuple(np.flatnonzero(keep < 0.5).tolist()))
        slope = gradients(game, keep[None], **form)[1][0] if kept else 0.0
        gradient = (slope - beta) * keep * (1 - keep)
        norm = np.linalg.norm(gradient)
        speed = momentum * speed + gradient * min(1.0, CLIP / norm if norm else 1.0)
        logits = logits - learning_rate * speed
    return CfSearch(expit(logits), flips)


def _kept_on_text(game: Any, keep: np.ndarray) -> bool:
    """Whether the decision is kept by a hard mask (n,)."""
    found = able(game, "gradients")
    if callable(getattr(found, "view", None)):
        found = found.view(form="decision", removal="delete", span=None)
    return bool(found(whole_masks(game, keep[None]))[0] > 0)


SEEDS = 2**31


def paper_masks(
    game: Any,
    case: Case,
    *,
    rng: np.random.Generator,
    weights: Weights | None = None,
    template: Template | None = None,
    **settings,
) -> np.ndarray:
    """Degrees of removal (n,) by the objective that compares prompt texts; the model is not run. settings: those of
    `workbench.explain.paper_masks`. template: None means that of the game's model.
    """
    found = inner(game)
    if template is None and not hasattr(found, "engine"):
        raise ValueError("paper_masks compares prompts; give template=... where the game has no language model")
    frame = found.engine.lm.template if template is None else template
    seed = int(rng.integers(SEEDS))
    return masks.paper_masks([case], weights or Weights(), template=frame, seed=seed, **settings)[0].elements


def loop_masks(
    game: Any, case: Case, *, rng: np.random.Generator, weights: Weights | None = None, **settings
) -> np.ndarray:
    """Degrees of removal (n,) by the same objective with the model in the loop, on the game's answer.

    settings: those of `workbench.explain.loop_masks`. weights: None means the defaults, here and above.
    """
    found = inner(game)
    if not hasattr(found, "engine"):
        raise ValueError("loop_masks runs the model; give a workbench.game.Game")
    seed = int(rng.integers(SEEDS))
    learned = masks.loop_masks(
        found.engine, [case], weights or Weights(), answers=[found.answer], seed=seed, **settings
    )
    return learned[0].elements
