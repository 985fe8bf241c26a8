"""What several benchmarks do: load what they measure, start processes of their own, give means with intervals."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from workbench.artifacts.origin import PACKAGE_FOLDER, peak_bytes
from workbench.cases import Case, mixed
from workbench.stats import bootstrap_mean

PROGRAM = [sys.executable, "-m", "workbench"]
LAST = 1000  # characters of what a process said


def load(run_dir: Path) -> tuple[Any, list[Case]]:
    """The run's tuned model in an `Engine`, and its held-out cases, `mixed`. MissingStage: its adapter is not there or
    has changed."""
    from workbench import Run  # slow to import, and not for every benchmark

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


def begun(*words: str, session: bool = False) -> subprocess.Popen:
    """`workbench WORDS`, silent, while this process goes on. session: in a session of its own."""
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        [*PROGRAM, *words], env=environment(), start_new_session=session, stdout=nowhere, stderr=nowhere
    )


def peak_mib() -> float:
    """The most memory that this process has held (MiB). What the system books for it begins, on Linux, with that of the
    process that started it, so there its own count is read."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    return (peak_bytes() or 0) / 2**20


def means(values: Mapping[str, Sequence[float]], *, seed: int) -> dict[str, dict]:
    """name -> mean with its 95 % interval (bootstrap-t) and n."""
    return {name: bootstrap_mean(some, rng=np.random.default_rng(seed))._asdict() for name, some in values.items()}
