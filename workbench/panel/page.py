"""The mask explorer of a run folder, opened with nothing but the folder's path."""

from __future__ import annotations

import json
import os
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from workbench import models
from workbench.artifacts import runs
from workbench.asking import open_asker, run_cases
from workbench.explain import ExplainConfig, Explanation, Weights, load
from workbench.game import Engine
from workbench.panel.masks import MaskPanel

RUN_DIR = "WORKBENCH_RUN_DIR"
"""Environment variable that names the run folder of the page."""

SHOWN = 60  # stored explanations that are read at the start; more would make a reader wait


def explorer(run_dir: str | os.PathLike[str], *, model: str | None = None) -> MaskPanel:
    """The mask explorer of a run, with the explanations that notebook 3 has left there, and its settings, on the case
    that the notebook followed.

    model: the base model; None: the one that the adapter was trained on. MissingStage: the adapter was not made.
    """
    folder = runs.require_stage(run_dir, "adapter")
    names = json.loads((folder / "names.json").read_text("utf-8"))
    base = model or runs.read_manifest(run_dir, "adapter")["config"].get("model", models.READER)
    disable_progress_bar()  # of the weights: it would stand above the explorer for good
    engine = Engine(models.load(base, names=names, adapter=folder))
    config, withheld, seed = settings(run_dir)
    cases = run_cases(run_dir, withheld=withheld, seed=seed)
    asker = open_asker(run_dir, seed=seed) if runs.is_complete(run_dir, "kg") else None
    stored = stored_explanations(run_dir)
    where = runs.stage_folder(run_dir, "explain") / "exports"
    panel = MaskPanel(
        engine,
        cases,
        explanations=stored,
        config=config,
        seed=seed,
        withheld=withheld,
        asker=asker,
        folder=where.resolve(),
    )
    followed = stored[0].case.id if stored else ""
    if followed in panel.cases:  # not so where the notebook followed a typed question
        panel.select(followed)
    return panel


def settings(run_dir: str | os.PathLike[str]) -> tuple[ExplainConfig, float, int]:
    """Settings, share of withheld facts and seed of the run's explanations; the defaults where there are none."""
    if not runs.is_complete(run_dir, "explain"):
        return ExplainConfig(), 0.0, 0
    manifest = runs.read_manifest(run_dir, "explain")
    given = manifest["config"]
    weights = {name: value for name, value in given["explain"]["weights"].items() if name != "more"}
    weights |= given["explain"]["weights"].get("more", {})
    config = ExplainConfig(**{**given["explain"], "weights": Weights.from_dict(weights)})
    return config, float(given.get("withheld", 0.0)), int(manifest["seed"])


def stored_explanations(run_dir: str | os.PathLike[str], *, most: int = SHOWN) -> list[Explanation]:
    """The first explanations that notebook 3 saved; none where it has not been run to its end."""
    if not runs.is_complete(run_dir, "explain"):
        return []
    files = sorted((runs.stage_folder(run_dir, "explain") / "explanations").glob("*.json"))
    return [load(file) for file in files[:most]]


def page_run_dir() -> Path:
    """The run folder that the page was opened on. KeyError: the page was not opened by `python -m workbench app`."""
    return Path(os.environ[RUN_DIR])
