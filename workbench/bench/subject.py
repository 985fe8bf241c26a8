"""What benchmarks of a run measure: its tuned model and its held-out cases."""

from __future__ import annotations

import json
from pathlib import Path

from workbench import models
from workbench.artifacts import runs
from workbench.cases import Case, load_cases, mixed
from workbench.game import Engine


def load(run_dir: Path) -> tuple[Engine, list[Case]]:
    """The run's tuned model and its held-out cases, `mixed`. MissingStage: its adapter was not made, or has changed."""
    folder = runs.require_stage(run_dir, "adapter")
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    model = runs.read_manifest(run_dir, "adapter")["config"].get("model", models.READER)
    return Engine(models.load(model, names=names, adapter=folder)), mixed(load_cases(folder / "cases_held_out.jsonl"))
