"""Defaults that are others for a model: what the parameters cells say suits the reader, a model of a million weights.

A value that a user gives goes before its preset, and a preset before the default of the cell. Whatever runs, records or
checks a run sees a preset as a given value.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.artifacts.parameter import Value

PRESETS: Mapping[str, Mapping[str, Value]] = {
    # 135 million weights: on a processor an answer takes about a second
    "smollm2": {
        # the cases that the adapter which ships was trained with, so that held out is held out
        "topics": [],
        "train_cases": 12_000,
        "steps": 825,  # where it trains: as the one that ships was
        "batch": 64,
        "modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "learning_rate": 1e-3,
        "scored_cases": 40,
        "base_cases": 4,
        "shares": [0.0, 0.3],
        # a prompt costs half a second of two cores, a gradient a second and a half: notebook 3
        "explained_cases": 6,
        "loop_steps": 20,
        "loop_learning_rate": 0.8,
        "certified_budget": 60,
        "flip_sets": 2,
        "shapley_orders": 2,
        "fitted_masks": 48,
        "tried_masks": 16,
        "changed_cases": 3,
        "peer_cases": 2,
        "other_orders": 2,
        # and notebook 4, on 210 modules in 30 layers
        "units": "layer",
        "random_changes": 1,
        "dosed_cases": 3,
        "effect_cases": 1,
        "map_cases": 2,
        "switched_shares": [0.1],
        "agreement_cases": 6,
        "deleted_cases": 3,
        "reduced_cases": 8,
        "compared_cases": 2,
    }
}
"""Model -> parameter -> value."""


def preset(model: Value) -> Mapping[str, Value]:
    """The preset of a model; empty for one that has none."""
    return PRESETS.get(model, {}) if isinstance(model, str) else {}
