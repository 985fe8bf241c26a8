"""Benchmarks: what the explanations find, how surely, and what they cost. Each gives one JSON object.

Loads nothing slow: the command line takes the names from here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workbench.artifacts.origin import machine_state
from workbench.artifacts.provenance import package_versions

if TYPE_CHECKING:
    from workbench.cases import Case
    from workbench.game import Engine

Say = Callable[[str], None]

BENCHES = {
    "planted": "planted.run",
    "certified": "certified.run",
    "peers": "peers.run",
    "cited": "cited.run",
    "kg": "kg.run",
    "train": "train.run",
    "card": "accuracy.cards",
    "precision": "accuracy.precision",
    "gpu": "gpu.run",
    "size": "readings.size",
}
"""Name -> the function here that measures it."""


def measure(name: str, *, run_dir: Path, quick: bool, seed: int, say: Say, **own: Any) -> dict:
    """The figures of a benchmark, one of `BENCHES`, with a flat `table` (rows of plain values), machine, versions and
    seconds.

    run_dir: the run whose adapter is measured, where a benchmark needs one. quick: a small part of the measurement.
    own: what this benchmark alone takes.
    """
    module, function = BENCHES[name].split(".")
    started = time.perf_counter()
    run = getattr(import_module(f"{__name__}.{module}"), function)
    return {
        "benchmark": name,
        "quick": quick,
        "seed": seed,
        **run(run_dir=run_dir, quick=quick, seed=seed, say=say, **own),
        "machine": machine(),
        "versions": package_versions(),
        "seconds": time.perf_counter() - started,
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on: `processor`, `cores` this process may use, `memory_bytes`, `threads` of torch,
    `peak_bytes` of this process so far, and the names of its `gpus`."""
    torch = sys.modules.get("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {**machine_state(), "cores": cores, "memory_bytes": psutil.virtual_memory().total, "gpus": gpus}


def load(run_dir: Path) -> tuple[Engine, list[Case]]:
    """The run's tuned model and its held-out cases, `mixed`. MissingStage: its adapter is not there or has changed."""
    from workbench import Run
    from workbench.cases import mixed

    run = Run(run_dir)
    return run.engine, mixed(run.cases["held_out"])
