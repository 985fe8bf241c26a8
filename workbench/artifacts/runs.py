"""The run folder: what one stage leaves for the next, and how a reader knows that it is whole and up to date.

`<run_dir>/{kg,adapter,explain,shift}/` hold open formats only. Each ends with `manifest.json`, written last: a folder
without it is unfinished work. The manifest names the digest of everything the stage was made from and of every file
it made, so a stage that was interrupted, edited or outdated by a newer one before it is noticed, never used.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import __version__
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
from workbench.artifacts.origin import code_state, machine_state
from workbench.artifacts.provenance import Inputs, describe_input, load_manifest, package_versions
from workbench.artifacts.stage import (
    STAGES,
    MissingStage,
    StaleStage,
    check_code,
    check_inside,
    check_stage,
    is_complete,
    read_manifest,
    require_stage,
    stage_folder,
)

__all__ = [
    "MANIFEST",
    "STAGES",
    "WORK_FOLDER",
    "MissingStage",
    "StaleStage",
    "atomic_path",
    "atomic_write_bytes",
    "atomic_write_json",
    "atomic_write_text",
    "check_code",
    "check_stage",
    "clear_stage",
    "digest_folder",
    "is_complete",
    "open_stage",
    "read_manifest",
    "require_stage",
    "sha256_file",
    "stage_folder",
    "write_manifest",
]

OPENED = ".opened"  # holds when the stage was opened (seconds since 1970) and what lay in its folder then


def open_stage(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Begin to make a stage: create its folder, take away the result of an earlier run, start the clock.

    Call it when the inputs are read and the work begins. Removed are the files that the earlier manifest lists and,
    where there was such a manifest, `checkpoints/`; an unfinished stage keeps its checkpoints, so that the work can go
    on from there. Other files that lie there already, such as exported pictures, stay and are no part of the new
    result unless they are written again.

    Raises:
        ValueError: no stage has this name, or its folder leads out of the run folder.
    """
    folder = stage_folder(run_dir, stage)
    folder.mkdir(parents=True, exist_ok=True)
    check_inside(run_dir, folder, folder / WORK_FOLDER)
    if (folder / MANIFEST).exists():
        clear_stage(run_dir, stage)
    for torn in folder.glob(".*.tmp"):
        torn.unlink(missing_ok=True)
    left = {name: path.stat().st_mtime_ns for name, path in folder_files(folder).items()}
    atomic_write_json(folder / OPENED, {"time": time.time(), "left": left})
    return folder


def clear_stage(run_dir: str | os.PathLike[str], stage: str) -> None:
    """Remove a stage's result and its checkpoints; files that no manifest lists stay."""
    folder = stage_folder(run_dir, stage)
    if folder.is_dir():
        check_inside(run_dir, folder, folder / WORK_FOLDER)
        _remove_result(folder)
        shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)


def _remove_result(folder: Path) -> None:
    manifest = load_manifest(folder) or {}
    (folder / MANIFEST).unlink(missing_ok=True)  # first: from here on the stage counts as unfinished
    known = folder_files(folder)  # only names found inside the folder, whatever the manifest says
    for name in manifest.get("files", {}):
        if name in known:
            known[name].unlink(missing_ok=True)


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

    Args:
        config: settings as a dict or dataclass; compared by `is_complete`.
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
    folder = stage_folder(run_dir, stage)
    opened = folder / OPENED
    if not opened.is_file():
        raise MissingStage(f"stage {stage!r} was not opened in {run_dir}; call open_stage before write_manifest")
    began = json.loads(opened.read_text("utf-8"))
    manifest = {
        "stage": stage,
        "workbench": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(max(0.0, time.time() - began["time"]), 3),
        "seed": plain(seed, where="seed"),
        "device": device,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "machine": machine_state(),
        "packages": package_versions(),
        "code": code_state(),
        "config": plain(config, where="config"),
        "inputs": {name: describe_input(run_dir, name, value) for name, value in inputs.items()},
        "files": {name: sha256_file(path) for name, path in _made(folder, began["left"]).items()},
        "metrics": plain(metrics, where="metrics"),
        "ledger": plain(ledger, where="ledger"),
    }
    atomic_write_json(folder / MANIFEST, manifest)
    opened.unlink()
    return manifest


def _made(folder: Path, left: Mapping[str, int]) -> dict[str, Path]:
    """The stage's own files: not those that lay there before it began and were not written since."""
    return {name: path for name, path in folder_files(folder).items() if left.get(name) != path.stat().st_mtime_ns}
