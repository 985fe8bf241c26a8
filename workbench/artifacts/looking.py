"""Nothing is damaged by looking: whoever runs a notebook by hand on a finished stage reads that stage.

The cells compute and show what they always do; what they would write goes to a folder that ends with the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.artifacts.executed import NOT_COMPARED, parameter_changes, read_origin
from workbench.artifacts.parameters import ParameterError, read_parameters
from workbench.artifacts.provenance import load_manifest
from workbench.artifacts.stage import STAGES, check_stage, stage_folder
from workbench.artifacts.steps import find_notebooks
from workbench.artifacts.work import bring_checkpoints

RUN_DIR = "WORKBENCH_KERNEL_RUN_DIR"  # environment variable of a headless run's kernel: its run folder

_read: dict[Path, tempfile.TemporaryDirectory[str]] = {}  # stages read here -> where is written instead
_parameters: dict[Path, dict[str, Any]] = {}  # stages made here -> parameters of their notebook


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


def scratch_opened(run_dir: str | os.PathLike[str], stage: str) -> Path | None:
    """The same folder, with the finished stage's checkpoints: a training ends there at once."""
    place = scratch(run_dir, stage)
    if place:
        bring_checkpoints(stage_folder(run_dir, stage), place, wanted=True)
    return place


def parameters(run_dir: str | os.PathLike[str], stage: str) -> dict[str, Any]:
    """Parameters of the notebook that makes a stage in this process, as far as they are known."""
    return _parameters.get(stage_folder(run_dir, stage).resolve(), {})
