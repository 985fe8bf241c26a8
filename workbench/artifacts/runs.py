"""The run folder: what one stage leaves for the next, and how a reader knows that it is whole and up to date.

`<run_dir>/{kg,adapter,explain,shift}/` hold open formats only. Each ends with `manifest.json`, written last: a folder
without it is unfinished work. The manifest names the digest of everything the stage was made from and of every file
it made, so a stage that was interrupted, edited or outdated by a newer one before it is noticed, never used.
A stage is made in a folder of its own and takes the place of an earlier result when it is whole (`work`).
"""

import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.artifacts.files import (
    MANIFEST,
    WORK_FOLDER,
    atomic_path,
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
    digest_folder,
    folder_files,
    plain,
    sha256_file,
)
from workbench.artifacts.looking import FinishedStage, parameters, read_or_make, scratch, scratch_opened
from workbench.artifacts.origin import code_state, machine_state
from workbench.artifacts.provenance import Inputs, describe_input, package_versions
from workbench.artifacts.stage import (
    STAGES,
    MissingStage,
    StaleStage,
    check_code,
    check_stage,
    is_complete,
    read_manifest,
    require_stage,
    stage_folder,
)
from workbench.artifacts.work import begin, opened_at, settle, work_folder
from workbench.version import __version__

__all__ = [
    "MANIFEST",
    "STAGES",
    "WORK_FOLDER",
    "FinishedStage",
    "MissingStage",
    "StaleStage",
    "atomic_path",
    "atomic_write_bytes",
    "atomic_write_json",
    "atomic_write_text",
    "check_code",
    "check_stage",
    "digest_folder",
    "is_complete",
    "open_stage",
    "read_manifest",
    "read_or_make",
    "require_stage",
    "sha256_file",
    "stage_folder",
    "work_folder",
    "write_manifest",
]


def open_stage(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Begin to make a stage: start the clock, and give the folder to write it to.

    Call it when the inputs are read and the work begins. The folder is `<stage>.new` until `write_manifest` puts it in
    the place of the result of an earlier run, which stays as it is until then. It is empty, but that an unfinished
    stage keeps its `checkpoints/`, so that the work can go on from there. Of a stage that is only read
    (`read_or_make`) it is a folder outside the run, and `write_manifest` changes nothing.

    Raises:
        ValueError: no stage has this name, or its folder leads out of the run folder.
    """
    return scratch_opened(run_dir, stage) or begin(run_dir, stage)


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
        "parameters": plain(parameters(run_dir, stage), where="parameters"),
        "inputs": {name: describe_input(run_dir, name, value) for name, value in inputs.items()},
        "files": {name: sha256_file(path) for name, path in folder_files(folder).items()},
        "metrics": plain(metrics, where="metrics"),
        "ledger": plain(ledger, where="ledger"),
    }
    atomic_write_json(folder / MANIFEST, manifest)
    settle(run_dir, stage)
    return manifest
