"""Defaults that are others for a model: what the parameters cells say suits the reader, a model of a million weights.

A value that a user gives goes before its preset, and a preset before the default of the cell. Whatever runs, records or
checks a run sees a preset as a given value.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.artifacts.parameter import Value

PRESETS: Mapping[str, Mapping[str, Value]] = {
    # 30 layers, 135 million weights: a case costs a hundred times what it costs the reader
    "smollm2": {
        # notebook 2: the cases that the adapter which ships was trained with, so that held out is held out
        "topics": [],
        "train_cases": 12_000,
        "steps": 825,  # where it trains: as the one that ships was
        "batch": 64,
        "modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "learning_rate": 1e-3,
        "scored_cases": 40,
        "base_cases": 8,
        "shares": [0.0, 0.3],
        # notebook 3
        "explained_cases": 6,
        "loop_steps": 25,
        "certified_budget": 120,
        "flip_sets": 3,
        "shapley_orders": 2,
        "fitted_masks": 48,
        "tried_masks": 16,
        "changed_cases": 2,
        "peer_cases": 2,
        "other_orders": 2,
        # notebook 4
        "random_changes": 2,
        "dosed_cases": 3,
        "effect_cases": 1,
        "map_cases": 3,
        "agreement_cases": 8,
        "deleted_cases": 3,
        "reduced_cases": 12,
    }
}
"""Model -> parameter -> value."""


def preset(model: Value) -> Mapping[str, Value]:
    """The preset of a model; empty for one that has none."""
    return PRESETS.get(model, {}) if isinstance(model, str) else {}
