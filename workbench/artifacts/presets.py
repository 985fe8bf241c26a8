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
        "base_cases": 8,
        "shares": [0.0, 0.3],
    }
}
"""Model -> parameter -> value."""


def preset(model: Value) -> Mapping[str, Value]:
    """The preset of a model; empty for one that has none."""
    return PRESETS.get(model, {}) if isinstance(model, str) else {}
