"""The run folder: what one stage leaves for the next, and how a reader knows that it is whole and up to date.

`<run_dir>/{kg,adapter,explain,shift}/` hold open formats only. Each ends with `manifest.json`, written last: a folder
without it is unfinished work. The manifest names the digest of everything the stage was made from and of every file
it made, so a stage that was interrupted, edited or outdated by a newer one before it is noticed, never used.
A stage is made in a folder of its own and takes the place of an earlier result when it is whole (`stage`).

Nothing is damaged by looking: whoever runs a notebook by hand on a finished stage reads that stage. The cells compute
and show what they always do; what they would write goes to a folder that ends with the process.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.artifacts import __version__
from workbench.artifacts.files import MANIFEST, atomic_write_json, folder_files, plain, sha256_file
from workbench.artifacts.files import WORK_FOLDER as WORK_FOLDER
from workbench.artifacts.files import atomic_write_text as atomic_write_text
from workbench.artifacts.parameters import ParameterError, read_parameters
from workbench.artifacts.provenance import (
    Inputs,
    code_state,
    describe_input,
    load_manifest,
    machine_state,
    package_versions,
)
from workbench.artifacts.stage import (
    STAGES,
    MissingStage,
    begin,
    bring_checkpoints,
    check_stage,
    opened_at,
    read_manifest,
    settle,
    stage_folder,
    work_folder,
)
from workbench.artifacts.stage import StaleStage as StaleStage
from workbench.artifacts.stage import is_complete as is_complete
from workbench.artifacts.stage import require_stage as require_stage
from workbench.artifacts.steps import NOT_COMPARED, find_notebooks, parameter_changes, read_origin

RUN_DIR = "WORKBENCH_KERNEL_RUN_DIR"  # environment variable of a headless run's kernel: its run folder
PAGE_RUN_DIR = "WORKBENCH_RUN_DIR"  # of the kernel behind the explorer's page: the run that it shows

_read: dict[Path, tempfile.TemporaryDirectory[str]] = {}  # stages read here -> where is written instead
_parameters: dict[Path, dict[str, Any]] = {}  # stages made here -> parameters of their notebook, as far as known


class FinishedStage(RuntimeError):
    """A finished stage would be made again with other parameters, and nobody has said that it should."""


def by_hand() -> bool:
    """Whether a person runs the notebook. In a headless run an interrupt ends the run, not only the training."""
    return RUN_DIR not in os.environ


def read_or_make(run_dir: str | os.PathLike[str], stage: str, values: Mapping[str, Any], *, again: bool = False) -> str:
    """Whether a notebook reads its stage or makes it, as a sentence; `open_stage` and `write_manifest` abide by it.

    It is read where a person runs the notebook and the stage is finished and unchanged. A headless run makes it: it
    does not come here where there is nothing to do.

    Args:
        values: name -> value, the parameters among them; a notebook gives `globals()`.
        again: make it, even so. The finished result stays until the new one is whole.

    Raises:
        FinishedStage: it was made with other parameters. Nothing was changed.
    """
    folder = stage_folder(run_dir, stage).resolve()
    manifest = load_manifest(folder)
    _read.pop(folder, None)
    _parameters[folder] = now = _declared(stage, values)
    if manifest is None or again or not by_hand() or check_stage(run_dir, stage):
        return f"Stage {stage!r} is made in {run_dir}."
    recorded = recorded_parameters(run_dir, stage, manifest)
    copy = "" if stage == next(iter(STAGES)) else " that holds the stages before it, such as a copy of this one"
    anew = f"To make it again, give another run_dir{copy}, or `again=True` to this call."
    if changes := parameter_changes(*({n: row[n] for n in now if n in recorded} for row in (recorded, now))):
        raise FinishedStage(
            f"stage {stage!r} in {run_dir} is finished, and was made with other parameters: {', '.join(changes)}. "
            f"Nothing was changed. To read it, give the first value of each. {anew}"
        )
    _read[folder] = tempfile.TemporaryDirectory(prefix=f"workbench-{stage}-", ignore_cleanup_errors=True)
    return f"Stage {stage!r} in {run_dir} is finished: it is read, and nothing in the run folder changes. {anew}"


def recorded_parameters(run_dir: str | os.PathLike[str], stage: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """With which parameters a stage was made, by its manifest, or else by the executed copy; none where none say so."""
    notebook = STAGES.get(stage)  # a log is explained without one
    origin = read_origin(Path(run_dir), notebook) if notebook else {}
    return manifest.get("parameters") or origin.get("parameters", {})


def _declared(stage: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters among the values, by the notebook that the package finds; none where it finds none."""
    try:
        names = read_parameters(find_notebooks() / f"{STAGES[stage]}.ipynb")
    except (FileNotFoundError, ParameterError):
        return {}
    return {name: values[name] for name in names if name in values and name not in NOT_COMPARED}


def scratch(run_dir: str | os.PathLike[str], stage: str) -> Path | None:
    """Where a process writes that only reads the stage; None where it makes it."""
    held = _read.get(stage_folder(run_dir, stage).resolve())
    return Path(held.name) if held else None


def open_stage(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Begin to make a stage: start the clock, and give the folder to write it to.

    Call it when the inputs are read and the work begins. The folder is `<stage>.new` until `write_manifest` puts it in
    the place of the result of an earlier run, which stays as it is until then. It is empty, but that an unfinished
    stage keeps its `checkpoints/`, so that the work can go on from there. Of a stage that is only read
    (`read_or_make`) it is a folder outside the run, and `write_manifest` changes nothing.

    Raises:
        ValueError: no stage has this name, or its folder leads out of the run folder.
    """
    place = scratch(run_dir, stage)
    if place is None:
        return begin(run_dir, stage)
    bring_checkpoints(stage_folder(run_dir, stage), place, wanted=True)  # a training ends there at once
    return place


def write_manifest(
    run_dir: str | os.PathLike[str],
    stage: str,
    *,
    config: Any,
    inputs: Inputs,
    metrics: Mapping[str, Any],
    seed: int,
    device: str,
    ledger: Any = None,
) -> dict[str, Any]:
    """Finish a stage: record what it is, what it was made from and what came out; return what was written.

    The folder that `open_stage` gave becomes that of the stage. Files that lay in the old one and were no part of its
    result, such as exported pictures, stay.

    Args:
        config: settings as a dict or dataclass.
        inputs: name -> file or folder (its digest is recorded; for a stage give its folder) or, as text that is no
            existing path, an identifier such as a model id.
        metrics: name -> number, or nested dicts and lists of them.
        device: what it ran on, such as `cpu` or `cuda: NVIDIA H100`.
        ledger: model calls, rows, tokens, passes, seconds; dict or dataclass.

    Raises:
        MissingStage: `open_stage` was not called.
        ValueError: a number is NaN or infinite; the message names it. Nothing is written.
        FileNotFoundError: an input given as a path does not exist.
    """
    if scratch(run_dir, stage):
        return read_manifest(run_dir, stage)
    folder, opened = work_folder(run_dir, stage), opened_at(run_dir, stage)
    if opened is None:
        raise MissingStage(f"stage {stage!r} was not opened in {run_dir}; call open_stage before write_manifest")
    manifest = {
        "stage": stage,
        "workbench": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(max(0.0, time.time() - opened), 3),
        "seed": plain(seed, where="seed"),
        "device": device,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "machine": machine_state(),
        "packages": package_versions(),
        "code": code_state(),
        "config": plain(config, where="config"),
        "parameters": plain(_parameters.get(stage_folder(run_dir, stage).resolve(), {}), where="parameters"),
        "inputs": {name: describe_input(run_dir, name, value) for name, value in inputs.items()},
        "files": {name: sha256_file(path) for name, path in folder_files(folder).items()},
        "metrics": plain(metrics, where="metrics"),
        "ledger": plain(ledger, where="ledger"),
    }
    atomic_write_json(folder / MANIFEST, manifest)
    settle(run_dir, stage)
    return manifest
