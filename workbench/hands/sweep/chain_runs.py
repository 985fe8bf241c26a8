"""Whole runs of the chain as tasks: every combination of notebook parameters, models and seeds of a grid.

A worker gives each to `workbench run`, in a process that ends with it, into `<out>/runs/<id>`. What a killed
worker left of a run is gone on from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts import runs
from workbench.artifacts.parameters import ParameterError, assign_parameters
from workbench.artifacts.stage import check_inside
from workbench.artifacts.steps import declared_parameters, find_notebooks
from workbench.hands.cli.output import IN_USE
from workbench.hands.headless.kernel import ENDS_WITH
from workbench.hands.sweep.grid import Grid
from workbench.hands.sweep.tasks import Batch, Task, product, told

FOLDER = "runs"
TIMEOUT = 3600  # seconds a notebook
LOCKED_SECONDS, POLL_SECONDS = 120.0, 0.5  # how long the run of a dead worker may take to give the folder back


def plan_runs(grid: Grid, out: Path) -> list[Batch]:
    """One batch a run. GridError: a parameter that no notebook has, or a value of the wrong kind."""
    notebooks = find_notebooks(grid.values.get("notebooks")).resolve()
    timeout, axes = grid.number("timeout", TIMEOUT), _axes(grid)
    known, batches = declared_parameters(notebooks), []
    for parameters in product(grid, axes):
        task = Task({"what": "chain", **parameters})
        try:
            assign_parameters(parameters, known)
        except ParameterError as error:
            raise grid.error("parameters", f"must fit the notebooks ({error})", parameters) from error
        folder = out / FOLDER / task.id
        check_inside(out, folder)
        where = {"run_dir": str(folder.resolve()), "notebooks": str(notebooks), "timeout": timeout}
        batches.append(Batch((task,), __name__, {**where, "parameters": parameters}))
    return batches


def _axes(grid: Grid) -> dict[str, Sequence[Any]]:
    axes: dict[str, Sequence[Any]] = dict(grid.parameters)
    for key, name in (("models", "model"), ("seeds", "seed")):
        if key in grid.values:
            if name in axes:
                raise grid.error(key, f"must not be given beside parameters.{name}", grid.values[key])
            axes[name] = grid.texts(key, None) if key == "models" else grid.seeds
    if "run_dir" in axes:
        raise grid.error("parameters.run_dir", "must be left to the sweep (<out>/runs/<id>)", axes["run_dir"])
    return axes


def work(order: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """One run to its end: the metrics and seconds of its manifests, or why it failed. See `tasks.perform`."""
    started, (task,) = time.perf_counter(), order["tasks"]
    outcome: dict[str, Any] = {"id": task["id"]}
    try:
        _run(order)
        manifests = {stage: runs.read_manifest(order["run_dir"], stage) for stage in runs.STAGES}
        found = {stage: {**one["metrics"], "seconds": one.get("seconds")} for stage, one in manifests.items()}
        outcome |= {"found": found, "seconds": time.perf_counter() - started}
    except Exception as error:
        outcome["error"] = told(error)
    return [outcome], 0.0


def _run(order: Mapping[str, Any]) -> None:
    """RuntimeError: the run failed; its last words are the message."""
    given = [word for name, value in order["parameters"].items() for word in ("-p", name, json.dumps(value))]
    how = ["--run-dir", order["run_dir"], "--notebooks", order["notebooks"], "--timeout", str(order["timeout"])]
    command = [sys.executable, "-m", "workbench", "run", "--quiet", *how, *given]
    environment, deadline = os.environ | {ENDS_WITH: str(os.getpid())}, time.monotonic() + LOCKED_SECONDS
    while True:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        if done.returncode != IN_USE or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or [f"it ended with code {done.returncode}"]
        raise RuntimeError(f"the run in {order['run_dir']} failed: {words[-1]}")
