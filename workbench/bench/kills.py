"""`bench kills`: a run killed at random instants and started again ends as one that was left in peace.

The chain of the real notebooks runs on small settings, in a process group of its own that SIGKILL ends: the chain and
its kernel at once, or the chain alone, whose kernel must then notice. The run's own folder is not touched.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from workbench.artifacts.files import folder_files, sha256_file
from workbench.artifacts.parameters import read_parameters
from workbench.artifacts.provenance import load_manifest
from workbench.artifacts.stage import STAGES
from workbench.artifacts.steps import find_notebooks
from workbench.bench import PROGRAM, Say, command, environment
from workbench.stats import proportion

KILLS, QUICK_KILLS = 50, 4
MOST_PER_RUN = 6  # kills of one run before it may come to its end
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


@dataclass(frozen=True)
class Killed:
    """One kill. seconds: after the start; stage: the folder that was being written, by what was finished."""

    run: int
    seconds: float
    group: bool  # whether the kernel was killed with the chain
    finished: int  # stages that were whole at this instant
    ended: bool  # the run came to its end before


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Kills with the stages they fell into, and for each run that ended, whether every file is that of an undisturbed
    one. run_dir is not read: small runs are made in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="workbench-kills-") as folder:
        return stress(
            Path(folder),
            notebooks=find_notebooks(),
            parameters=SMALL,
            kills=QUICK_KILLS if quick else KILLS,
            rng=np.random.default_rng(seed),
            say=say,
        )


def stress(
    folder: Path,
    *,
    notebooks: Path,
    parameters: Mapping[str, object],
    kills: int,
    rng: np.random.Generator,
    say: Say,
) -> dict:
    """The undisturbed run, then as many runs as it takes for `kills` kills; see `run`.

    Raises:
        RuntimeError: a run that was not killed failed; the message is the command's own.
    """
    words = words_of(notebooks, known(notebooks, parameters))
    started = time.perf_counter()
    command(*words, str(folder / "whole"))
    whole, seconds = contents(folder / "whole"), time.perf_counter() - started
    say(f"undisturbed: {len(whole)} files in {seconds:.0f} s")
    killed: list[Killed] = []
    runs: list[dict] = []
    while sum(not one.ended for one in killed) < kills:
        number, place = len(runs) + 1, folder / f"run{len(runs) + 1}"
        while _count(killed, number) < MOST_PER_RUN and sum(not one.ended for one in killed) < kills:
            killed.append(kill_once(words, place, number, longest=seconds, rng=rng))
            if killed[-1].ended:
                break
        command(*words, str(place))
        found = contents(place)
        differing = sorted(name for name in {*whole, *found} if whole.get(name) != found.get(name))
        runs.append({"run": number, "kills": _count(killed, number), "identical": not differing, "differ": differing})
        say(f"run {number}: {runs[-1]['kills']} kills, {f'differs in {differing[:5]}' if differing else 'identical'}")
        shutil.rmtree(place)
    return summary(killed, runs, seconds)


def _count(killed: Sequence[Killed], number: int) -> int:
    return sum(one.run == number and not one.ended for one in killed)


def summary(killed: Sequence[Killed], runs: Sequence[dict], seconds: float) -> dict:
    """Shares, and the rows they rest on. A kill counts as recovered when the run it fell into ended identical."""
    fell = [one for one in killed if not one.ended]
    good = {one["run"] for one in runs if one["identical"]}
    recovered = [one.run in good for one in fell]
    names = [*STAGES, "report"]
    where = {name: sum(one.finished == k for one in fell) for k, name in enumerate(names)}
    row: dict[str, float] = {"kills": len(fell), "recovered": sum(recovered), "runs": len(runs), "identical": len(good)}
    row |= {"seconds_undisturbed": seconds} | {f"in_{name}": count for name, count in where.items()}
    return {
        "table": [row],
        "recovered": proportion(recovered)._asdict(),
        "kills": [vars(one) for one in killed],
        "runs": list(runs),
    }


def known(notebooks: Path, parameters: Mapping[str, object]) -> dict[str, object]:
    """Those of the parameters that some notebook declares."""
    names = {name for stage in STAGES.values() for name in read_parameters(notebooks / f"{stage}.ipynb")}
    return {name: value for name, value in parameters.items() if name in names}


def words_of(notebooks: Path, parameters: Mapping[str, object]) -> list[str]:
    """The words of the command that makes or goes on with a run, all but its folder."""
    given = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
    return ["run", "--quiet", "--notebooks", str(notebooks), *given, "--run-dir"]


def kill_once(words: Sequence[str], place: Path, number: int, *, longest: float, rng: np.random.Generator) -> Killed:
    """Start or go on with a run and kill it at a random instant of what is left of `longest` seconds."""
    left = longest * (1 - finished_stages(place) / (len(STAGES) + 1))
    seconds, group = float(rng.uniform(0, left)), bool(rng.integers(2))
    nowhere, command_line = subprocess.DEVNULL, [*PROGRAM, *words, str(place)]
    process = subprocess.Popen(command_line, env=environment(), start_new_session=True, stdout=nowhere, stderr=nowhere)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        chain = psutil.Process(process.pid)  # a kernel leads a session of its own, which no group reaches
        for one in [*(chain.children(recursive=True) if group else []), chain]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        return Killed(number, seconds, group, finished_stages(place), ended=False)
    if process.returncode:
        command(*words, str(place))  # says what went wrong
    return Killed(number, seconds, group, len(STAGES), ended=True)


def finished_stages(place: Path) -> int:
    """How many stages have a manifest."""
    return sum(load_manifest(place / stage) is not None for stage in STAGES)


def contents(place: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every result file: manifests, which hold times, are left out."""
    return {
        f"{stage}/{name}": sha256_file(path)
        for stage in STAGES
        for name, path in folder_files(place / stage).items()
        if name in (load_manifest(place / stage) or {"files": {}})["files"]
    }
