"""Benchmarks: what the explanations find, how surely, and what they cost. Each gives one JSON object."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from workbench.artifacts.origin import machine_state
from workbench.artifacts.provenance import package_versions

Say = Callable[[str], None]


def measure(name: str, *, run_dir: Path, quick: bool, seed: int, say: Say, **own: Any) -> dict:
    """The figures of `workbench.bench.<name>`, with a flat `table` (rows of plain values), machine, versions
    and seconds.

    run_dir: the run whose adapter is measured, where a benchmark needs one. quick: a small part of the measurement.
    own: what this benchmark alone takes.
    """
    started = time.perf_counter()
    figures = import_module(f"workbench.bench.{name}").run(run_dir=run_dir, quick=quick, seed=seed, say=say, **own)
    return {
        "benchmark": name,
        "quick": quick,
        "seed": seed,
        **figures,
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
