"""Whole runs of the chain as tasks: every combination of notebook parameters, models and seeds of a grid.

A worker runs each in a process of its own, `workbench.cluster.child`, into `<out>/runs/<id>`. What a killed worker left
of a run is gone on from.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts import runs
from workbench.artifacts.parameters import ParameterError, assign_parameters
from workbench.artifacts.stage import check_inside
from workbench.artifacts.steps import declared_parameters, find_notebooks
from workbench.sweep.grid import Grid
from workbench.sweep.plan import Batch, Task, product, told
from workbench.sweep.work import this_worker

FOLDER = "runs"
TIMEOUT = 3600  # seconds a notebook


def plan_runs(grid: Grid, out: Path) -> list[Batch]:
    """One batch a run. GridError: a parameter that no notebook has, or a value of the wrong kind."""
    given = grid.values.get("notebooks")
    notebooks = find_notebooks(given).resolve()
    timeout = grid.number("timeout", TIMEOUT)
    axes: dict[str, Sequence[Any]] = dict(grid.parameters)
    for key, name in (("models", "model"), ("seeds", "seed")):
        if key in grid.values:
            if name in axes:
                raise grid.error(key, f"must not be given beside parameters.{name}", grid.values[key])
            axes[name] = grid.texts(key, None) if key == "models" else grid.seeds
    if "run_dir" in axes:
        raise grid.error("parameters.run_dir", "must be left to the sweep (<out>/runs/<id>)", axes["run_dir"])
    known, batches = declared_parameters(notebooks), []
    for parameters in product(grid, axes):
        task = Task({"what": "chain", **parameters})
        try:
            assign_parameters(parameters, known)
        except ParameterError as error:
            raise grid.error("parameters", f"must fit the notebooks ({error})", parameters) from error
        folder = out / FOLDER / task.id
        check_inside(out, folder)
        order = {
            "id": task.id,
            "run_dir": str(folder.resolve()),
            "parameters": parameters,
            "notebooks": str(notebooks),
            "timeout": timeout,
        }
        batches.append(Batch((task,), order))
    return batches


def whole(order: Mapping[str, Any], _ids: Collection[str]) -> Mapping[str, Any]:
    """A run is one task: there is nothing to take out of its order."""
    return order


def run_one(order: Mapping[str, Any]) -> dict[str, Any]:
    """One run to its end, in a process that ends with this one; its manifests' metrics, or why it failed."""
    started = time.perf_counter()
    outcome: dict[str, Any] = {"id": order["id"], "worker": this_worker()}
    try:
        _child(order)
        outcome |= {"found": metrics(Path(order["run_dir"])), "seconds": time.perf_counter() - started}
    except Exception as error:
        outcome["error"] = told(error)
    return {"outcomes": [outcome], "seconds": time.perf_counter() - started, "loading": 0.0}


def _child(order: Mapping[str, Any]) -> None:
    """RuntimeError: the run failed; its last words are the message."""
    command = [sys.executable, "-m", "workbench.cluster.child"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stderr is not None
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()  # and left open: it closes when this process dies, and the child ends
        words = child.stderr.read()
        code = child.wait()
    if code:
        last = [line for line in words.splitlines() if line.strip()][-1:] or [f"it ended with code {code}"]
        raise RuntimeError(f"the run in {order['run_dir']} failed: {last[0]}")


def metrics(run_dir: Path) -> dict[str, Any]:
    """stage -> its manifest's metrics and seconds."""
    found = {}
    for stage in runs.STAGES:
        manifest = runs.read_manifest(run_dir, stage)
        found[stage] = {**manifest["metrics"], "seconds": manifest.get("seconds")}
    return found
