"""Explanations as tasks: every case, method, adapter, model, weights, seed and setting of a grid."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from workbench import models
from workbench.artifacts import runs
from workbench.artifacts.files import sha256_file
from workbench.cases import Case, load_cases, withhold
from workbench.explain import METHODS, PRESETS, ExplainConfig, Weights
from workbench.sweep.grid import Grid
from workbench.sweep.plan import Batch, Task, digest, product

CASES = re.compile(r"(\w+)(?:\[(\d*):(\d*)\])?", re.ASCII)
BATCH = 8  # cases explained together: what the scheduler costs is shared by them, and a kill loses no more than them
WEIGHTS = "adapter_model.safetensors"
SETTINGS = tuple(f.name for f in fields(ExplainConfig) if f.name != "weights")


def plan_explanations(grid: Grid) -> list[Batch]:
    """Batches of up to `batch` cases, with every method asked of them.

    GridError: a value that cannot be carried out. MissingStage: a run without a finished adapter.
    """
    methods = grid.texts("methods", list(METHODS))
    for method in methods:
        grid.known("methods", method, METHODS)
    axes: dict[str, Sequence[Any]] = {
        "model": grid.texts("models", None, none=True),
        "adapter": grid.texts("adapters", "adapter", none=True),
        "weights": _weights(grid),
        "withheld": _shares(grid),
        **_settings(grid),
        "seed": grid.seeds,
    }
    size = grid.number("batch", BATCH) or BATCH
    batches: list[Batch] = []
    for run in grid.texts("runs", None):
        folder, cases = _cases(grid, run)
        for one in product(grid, axes, each=len(cases) * len(methods)):
            batches += _batches(grid, run, folder, cases, methods, one, size)
    return batches


def _batches(
    grid: Grid, run: str, folder: Path, cases: list[Case], methods: list[str], one: Mapping[str, Any], size: int
) -> list[Batch]:
    """The batches of one run and one combination of the axes."""
    adapter = _adapter(grid, folder, one["adapter"])
    model = one["model"] or runs.read_manifest(folder, "adapter")["config"].get("model", models.READER)
    shared = {**one, "model": model, "run": run, "adapter_sha256": adapter[1] if adapter else None}
    place = {
        "names": str((folder / "adapter" / "names.json").resolve()),
        "adapter": str(adapter[0]) if adapter else None,
    }
    out = []
    for start in range(0, len(cases), size):
        shown = [_shown(case, one["withheld"], one["seed"]) for case in cases[start : start + size]]
        marks = {case.id: digest([case.facts, *case.question, dict(case.names)]) for case in shown}
        tasks = tuple(
            Task({**shared, "method": method, "case": case.id, "case_sha256": marks[case.id]})
            for case in shown
            for method in methods
        )
        asked = [{"id": task.id, "case": task.given["case"], "method": task.given["method"]} for task in tasks]
        out.append(Batch(tasks, {**place, "shared": shared, "cases": [c.to_dict() for c in shown], "tasks": asked}))
    return out


def only(order: Mapping[str, Any], ids: Collection[str]) -> dict[str, Any]:
    """The order of the tasks in `ids` alone, with the cases they need."""
    tasks = [task for task in order["tasks"] if task["id"] in ids]
    needed = {task["case"] for task in tasks}
    return {**order, "tasks": tasks, "cases": [case for case in order["cases"] if case["id"] in needed]}


def _shown(case: Case, share: float, seed: int) -> Case:
    """The case with its share of needed facts withheld: the same for a case and a seed, whichever others are asked."""
    return withhold(case, share, rng=np.random.default_rng([seed, zlib.crc32(case.id.encode())]))


def _cases(grid: Grid, run: str) -> tuple[Path, list[Case]]:
    """A run's folder, and its cases as the grid names them, `held_out[:200]`."""
    folder = Path(run).expanduser()
    stage = runs.require_stage(folder, "adapter")
    known = sorted(path.stem.removeprefix("cases_") for path in stage.glob("cases_*.jsonl"))
    found: dict[str, Case] = {}
    for text in grid.texts("cases", "held_out"):
        match = CASES.fullmatch(text)
        if not match:
            raise grid.error("cases", "must be a name and, if wanted, a range: held_out, held_out[:200]", text)
        grid.known("cases", match[1], known)
        start, stop = (int(part) if part else None for part in (match[2], match[3]))
        found |= {case.id: case for case in load_cases(stage / f"cases_{match[1]}.jsonl")[start:stop]}
    if not found:
        raise grid.error("cases", f"must name at least one case of {folder}", grid.values.get("cases"))
    return folder, list(found.values())


def _adapter(grid: Grid, folder: Path, name: str | None) -> tuple[Path, str] | None:
    """An adapter's folder, relative to its run, and the digest of its weights; None: the base model alone."""
    if name is None:
        return None
    path = (folder / name).resolve()
    if not (path / WEIGHTS).is_file() or not (path / "adapter_config.json").is_file():
        raise grid.error("adapters", f"must be adapter folders seen from {folder}, with {WEIGHTS}", name)
    return path, adapter_digest(path)


def adapter_digest(folder: Path) -> str:
    """SHA-256 over an adapter's settings and weights."""
    return digest([sha256_file(folder / name) for name in ("adapter_config.json", WEIGHTS)])


def _weights(grid: Grid) -> list[dict[str, float]]:
    """Presets by name, or maps of weights; names that are missing keep their defaults."""
    out = []
    for one in grid.axis("weights", "paper"):
        if isinstance(one, dict):
            try:
                out.append(Weights.from_dict(one).to_dict())
            except (ValueError, TypeError) as error:
                raise grid.error("weights", f"must be weights of terms ({error})", one) from error
        else:
            grid.known("weights", one, PRESETS)
            out.append(PRESETS[one].to_dict())
    return grid.unlike("weights", out)


def _shares(grid: Grid) -> list[float]:
    shares = grid.axis("withheld", 0.0)
    for one in shares:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 1:
            raise grid.error("withheld", "must be shares of the needed facts, in [0, 1]", one)
    return grid.unlike("withheld", [float(one) for one in shares])


def _settings(grid: Grid) -> dict[str, list[Any]]:
    """Fields of `ExplainConfig`, each value tried alone."""
    for name, values in grid.parameters.items():
        grid.known("parameters", name, SETTINGS)
        kind = type(getattr(ExplainConfig(), name))
        for value in values:
            fits = type(value) is kind or (kind is float and type(value) is int)
            if not fits:
                raise grid.error(f"parameters.{name}", f"must be of the kind {kind.__name__}", value)
            try:
                ExplainConfig(**{name: value})
            except ValueError as error:
                raise grid.error(f"parameters.{name}", f"must keep its rule ({error})", value) from error
    return grid.parameters


def read_names(path: Path) -> dict[str, str]:
    """Node id -> name, as the run's training wrote it."""
    return json.loads(path.read_text(encoding="utf-8"))
