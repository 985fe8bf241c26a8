"""Learning soft removal masks: binary-concrete samples of node and edge logits, Adam, all cases at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.cases import Case
from workbench.explain.divergence import Divergence
from workbench.explain.terms import Weights
from workbench.game import Engine
from workbench.prompts import Template

Listener = Callable[[dict[str, float]], None]
"""Called after every step with one row, the mean over cases: `step` (from 1), `steps`, `loss`, `loss_ema`, every term."""


@dataclass(frozen=True)
class Masks:
    """Learned degrees of removal of one case, m = sigma(theta) in (0, 1), and how the learning went."""

    nodes: np.ndarray  # (V,) float64, in the order of case.nodes
    edges: np.ndarray  # (E,) float64, in the order of case.facts
    history: list[dict[str, float]] = field(default_factory=list, repr=False)  # one row a step: step, loss, loss_ema, terms

    @property
    def elements(self) -> np.ndarray:
        """(n,) in the order of case.elements."""
        return np.concatenate([self.nodes, self.edges])


def learn_masks(
    cases: Sequence[Case],
    weights: Weights,
    divergence: Divergence,
    *,
    template: Template,
    steps: int,
    learning_rate: float,
    seed: int,
    listen: Listener | None = None,
) -> list[Masks]:
    """Minimises the objective of `terms` for every case. The noise of a case depends on seed and case id alone.

    history terms are unweighted (see `terms.total`), `loss_ema` is the loss smoothed with decay 0.9.
    """
    raise NotImplementedError


def paper_masks(
    cases: Sequence[Case],
    weights: Weights,
    *,
    template: Template,
    steps: int = 200,
    learning_rate: float = 0.1,
    seed: int = 0,
    listen: Listener | None = None,
) -> list[Masks]:
    """Masks by the paper's objective: D is the divergence of the prompt texts; no model is run."""
    raise NotImplementedError


def loop_masks(
    engine: Engine,
    cases: Sequence[Case],
    weights: Weights,
    *,
    answers: Sequence[Sequence[int]] | None = None,
    steps: int = 60,
    learning_rate: float = 0.3,
    seed: int = 0,
    listen: Listener | None = None,
) -> list[Masks]:
    """Masks by the same objective with the tuned model in the loop. answers: see `LoopDivergence`."""
    raise NotImplementedError
