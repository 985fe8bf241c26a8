"""Benchmarks: what the explanations find, how surely, and what they cost. Each gives one JSON object.

Loads nothing slow: the command line takes the names from here.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workbench.artifacts.origin import PACKAGE_FOLDER, machine_state, peak_bytes
from workbench.artifacts.provenance import package_versions

if TYPE_CHECKING:
    from workbench.cases import Case
    from workbench.game import Engine

Say = Callable[[str], None]

BENCHES = {
    "planted": "planted.run",
    "certified": "certified.run",
    "difference": "certified.difference",
    "peers": "peers.run",
    "cited": "cited.run",
    "spectra": "spectra.run",
    "kills": "kills.run",
    "kg": "kg.run",
    "context": "grounding.run",
    "train": "train.run",
    "chain": "readings.chain",
    "sweep": "sweep.run",
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


PROGRAM = [sys.executable, "-m", "workbench"]
LAST = 1000  # characters of what a process said


def load(run_dir: Path) -> tuple[Engine, list[Case]]:
    """The run's tuned model and its held-out cases, `mixed`. MissingStage: its adapter is not there or has changed."""
    from workbench import Run
    from workbench.cases import mixed

    run = Run(run_dir)
    return run.engine, mixed(run.cases["held_out"])


def apart(function: Callable[..., Any], *values: Any) -> Any:
    """The result of a call in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *values).result()


def environment() -> dict[str, str]:
    """This process's environment, in which this very package is found whatever the folder."""
    path = os.pathsep.join(filter(None, [str(PACKAGE_FOLDER.parent), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def command(*words: str) -> float:
    """Seconds of `workbench WORDS`, the interpreter's start included. RuntimeError: it failed; with its own words."""
    started = time.perf_counter()
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=environment())
    if done.returncode:
        said = done.stderr.strip()[-LAST:]
        raise RuntimeError(f"`workbench {' '.join(words)}` failed with code {done.returncode}: {said}")
    return time.perf_counter() - started


def peak_mib() -> float:
    """The most memory that this process has held (MiB)."""
    return peak_bytes() / 2**20


def means(values: Mapping[str, Sequence[float]], *, seed: int) -> dict[str, dict]:
    """name -> mean with its 95 % interval (bootstrap-t) and n."""
    import numpy as np

    from workbench.stats import bootstrap_mean

    return {name: bootstrap_mean(some, rng=np.random.default_rng(seed))._asdict() for name, some in values.items()}
