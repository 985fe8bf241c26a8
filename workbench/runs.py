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
from workbench.files import (
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
from workbench.provenance import Inputs, describe_input, input_change, load_manifest, package_versions

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

STAGES = {
    "kg": "01_build_kg",
    "adapter": "02_train_qlora",
    "explain": "03_explain_masks",
    "shift": "04_compare_shift",
}
"""Stage -> the notebook that makes it, in running order."""

OPENED = ".opened"  # holds when the stage was opened (seconds since 1970) and what lay in its folder then


class MissingStage(RuntimeError):
    """A stage that is needed has not been made, or not to its end."""


class StaleStage(MissingStage):
    """A stage is there, but its files were changed or what it was made from is not the same any more."""


def stage_folder(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Path of a stage's folder, whether it exists or not.

    Raises:
        ValueError: no stage has this name.
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; the stages are {', '.join(STAGES)}")
    return Path(run_dir) / stage


def open_stage(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Begin to make a stage: create its folder, take away the result of an earlier run, start the clock.

    Call it when the inputs are read and the work begins. Removed are the files that the earlier manifest lists and,
    where there was such a manifest, `checkpoints/`; an unfinished stage keeps its checkpoints, so that the work can go
    on from there. Other files that lie there already, such as exported pictures, stay and are no part of the new
    result unless they are written again.

    Raises:
        ValueError: no stage has this name.
    """
    folder = stage_folder(run_dir, stage)
    folder.mkdir(parents=True, exist_ok=True)
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
        "packages": package_versions(),
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


def read_manifest(run_dir: str | os.PathLike[str], stage: str) -> dict[str, Any]:
    """The manifest of a stage as it was written; whether it is still true is `check_stage`'s question.

    Raises:
        MissingStage: there is none, or it cannot be read.
    """
    manifest = load_manifest(stage_folder(run_dir, stage))
    if manifest is None:
        raise MissingStage(
            f"{Path(run_dir) / stage} has no readable {MANIFEST}: stage {stage!r} was not made or not finished. "
            f"Run notebook {STAGES[stage]}.ipynb first, with the same run_dir."
        )
    return manifest


def check_stage(run_dir: str | os.PathLike[str], stage: str) -> list[str]:
    """What has changed since a stage was made, in words; an empty list when nothing has.

    Files added to the folder later, such as exported pictures, do not count.

    Raises:
        MissingStage: the stage was not made.
    """
    manifest = read_manifest(run_dir, stage)
    now = folder_files(stage_folder(run_dir, stage))
    changes = []
    for name, digest in manifest["files"].items():
        if name not in now:
            changes.append(f"file {name} is gone")
        elif sha256_file(now[name]) != digest:
            changes.append(f"file {name} was changed")
    found = (input_change(run_dir, name, recorded) for name, recorded in manifest["inputs"].items())
    changes += [change for change in found if change]
    return changes


def require_stage(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """The folder of a finished, unchanged stage.

    Raises:
        MissingStage: it was not made; the message says which notebook to run.
        StaleStage: it, or something it was made from, has changed since.
    """
    changes = check_stage(run_dir, stage)
    if changes:
        raise StaleStage(
            f"stage {stage!r} in {run_dir} is out of date: {'; '.join(changes[:5])}. "
            f"Run notebook {STAGES[stage]}.ipynb again, with the same run_dir."
        )
    return stage_folder(run_dir, stage)


def is_complete(
    run_dir: str | os.PathLike[str], stage: str, *, config: Any = None, inputs: Inputs | None = None
) -> bool:
    """Whether a stage need not be made again.

    It must have a manifest of this version of the package, its files and inputs must be unchanged, and where `config`
    or `inputs` are given, they must be what the manifest records.
    """
    try:
        manifest = read_manifest(run_dir, stage)
        sound = manifest.get("workbench") == __version__ and not check_stage(run_dir, stage)
    except (MissingStage, OSError):
        return False
    if sound and config is not None:
        sound = plain(config, where="config") == manifest["config"]
    if sound and inputs is not None:
        sound = {name: describe_input(run_dir, name, value) for name, value in inputs.items()} == manifest["inputs"]
    return sound
