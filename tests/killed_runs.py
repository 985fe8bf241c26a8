"""Runs of the chain that are killed at random instants, with the kernel or without it, and started again."""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from processes import ENVIRONMENT

from workbench.artifacts.files import folder_files, sha256_file
from workbench.artifacts.parameters import read_parameters
from workbench.artifacts.provenance import load_manifest
from workbench.artifacts.stage import STAGES

SMALL: dict[str, object] = {
    "steps": 12, "checkpoint_every": 4, "batch": 4, "rank": 4, "modules": "[q_proj, v_proj, up_proj]",
    "train_cases": 40, "held_out_cases": 6, "held_out_sequences": 6, "held_out_tool_cases": 2, "explained_cases": 2,
    "paper_steps": 4, "loop_steps": 2, "certified_budget": 20, "flip_sets": 1, "shapley_orders": 1,
    "fitted_masks": 16, "tried_masks": 8,
    "changed_cases": 1, "peer_cases": 1, "peers": "[leave_one_out]", "planted_games": 1, "permutations": 9,
    "shown_nodes": 40, "random_changes": 2, "dosed_cases": 4, "effect_cases": 1, "map_cases": 4, "agreement_cases": 6,
    "deleted_cases": 2, "reduced_cases": 4,
}  # fmt: skip
"""Parameters of a chain of about a minute; a name that no notebook knows any more is left out."""


def known(notebooks: Path, parameters: Mapping[str, object]) -> dict[str, object]:
    """Those of the parameters that some notebook declares."""
    names = {name for stage in STAGES.values() for name in read_parameters(notebooks / f"{stage}.ipynb")}
    return {name: value for name, value in parameters.items() if name in names}


def given(parameters: Mapping[str, object]) -> list[str]:
    """The words of a command that set them."""
    return [word for name, value in parameters.items() for word in ("-p", name, str(value))]


def contents(place: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every result file: manifests, which hold times, are left out."""
    return {
        f"{stage}/{name}": sha256_file(path)
        for stage in STAGES
        for name, path in folder_files(place / stage).items()
        if name in (load_manifest(place / stage) or {"files": {}})["files"]
    }


def kill(words: Sequence[str], *, seconds: float, kernel: bool) -> bool:
    """Start a command and kill it after so many seconds; False: it came to its end before, which must be a good one."""
    process = subprocess.Popen(
        words, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert process.wait(seconds) == 0
        return False
    except subprocess.TimeoutExpired:
        chain = psutil.Process(process.pid)  # a kernel leads a session of its own, which no group reaches
        for one in [*(chain.children(recursive=True) if kernel else []), chain]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        return True


def killed_run(words: Sequence[str], place: Path, *, longest: float, kills: int, rng: np.random.Generator) -> int:
    """A run in `place` that comes to its end after at most `kills` kills, each at a random instant of what is left of
    `longest` seconds; how many fell into it."""
    for number in range(kills):
        finished = sum(load_manifest(place / stage) is not None for stage in STAGES)
        left = longest * (1 - finished / (len(STAGES) + 1))
        if not kill([*words, str(place)], seconds=float(rng.uniform(0, left)), kernel=bool(rng.integers(2))):
            return number
    subprocess.run([*words, str(place)], env=ENVIRONMENT, check=True, capture_output=True)
    return kills
