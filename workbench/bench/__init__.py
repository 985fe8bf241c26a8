"""Benchmarks: what the explanations find, how surely, and what they cost. Each gives one JSON object."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from workbench.provenance import package_versions

Say = Callable[[str], None]


def measure(name: str, *, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """The figures of `workbench.bench.<name>`, with a flat `table` (rows of plain values), versions and seconds.

    run_dir: the run whose adapter is measured, where a benchmark needs one. quick: a small part of the measurement.
    """
    started = time.perf_counter()
    figures = import_module(f"workbench.bench.{name}").run(run_dir=run_dir, quick=quick, seed=seed, say=say)
    return {
        "benchmark": name,
        "quick": quick,
        "seed": seed,
        **figures,
        "versions": package_versions(),
        "seconds": time.perf_counter() - started,
    }
