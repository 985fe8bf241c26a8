"""Learned masks as scores: the paper's objective on texts, and the same with the model in the loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.attribution.oracle import inner
from workbench.cases import Case
from workbench.explain import masks
from workbench.explain.terms import Weights
from workbench.models.prompts import Template

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
