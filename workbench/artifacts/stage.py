"""The stages of a run, and whether what lies in their folders is whole, unchanged and up to date."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from workbench.artifacts import __version__
from workbench.artifacts.files import MANIFEST, WORK_FOLDER, altered, folder_files
from workbench.artifacts.origin import source_changes
from workbench.artifacts.provenance import input_change, load_manifest

STAGES = {
    "kg": "01_build_kg",
    "adapter": "02_train_qlora",
    "explain": "03_explain_masks",
    "shift": "04_compare_shift",
}
"""Stage -> the notebook that makes it, in running order."""

LOG = {"log": "workbench explain"}
"""The one stage of a run that explains a log -> the command that makes it."""

EXPORTS = "exports"  # in a stage's folder: what a user has saved from a panel, no part of the result


class MissingStage(RuntimeError):
    """A stage that is needed has not been made, or not to its end."""


class StaleStage(MissingStage):
    """A stage is there, but its files were changed or what it was made from is not the same any more."""


def stage_folder(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Path of a stage's folder, whether it exists or not.

    Raises:
        ValueError: no stage has this name.
    """
    if stage not in STAGES and stage not in LOG:
        raise ValueError(f"unknown stage {stage!r}; the stages are {', '.join([*STAGES, *LOG])}")
    return Path(run_dir) / stage


def stages(run_dir: str | os.PathLike[str]) -> dict[str, str]:
    """The stages that a run has or could have, with what makes them: those of the chain, or that of a log."""
    found = [stage for stage in (*LOG, *STAGES) if (Path(run_dir) / stage).is_dir()]
    return LOG if found == [*LOG] else STAGES


def how_to_make(stage: str) -> str:
    """What to do to make a stage."""
    return f"Run notebook {STAGES[stage]}.ipynb" if stage in STAGES else f"Run `{LOG[stage]}`"


def check_inside(run_dir: str | os.PathLike[str], *paths: Path) -> None:
    """ValueError when one of the paths is a link, or lies outside the run folder by one."""
    root = Path(run_dir).resolve()
    for path in paths:
        place = Path(os.path.realpath(path))
        if path.is_symlink() or not place.is_relative_to(root):
            raise ValueError(
                f"{path} is a link to {place}, and what is written to a run folder follows no link. Remove it; to "
                "keep a run on another disk, make the run folder itself the link."
            )


def links(folder: Path) -> list[Path]:
    """Every link in a folder, itself among them; none is followed."""
    found = [folder] if folder.is_symlink() else []
    for here, folders, names in os.walk(folder):
        found += [path for name in (*folders, *names) if (path := Path(here, name)).is_symlink()]
    return found


def read_manifest(run_dir: str | os.PathLike[str], stage: str) -> dict[str, Any]:
    """The manifest of a stage as it was written; whether it is still true is `check_stage`'s question.

    Raises:
        MissingStage: there is none, or it cannot be read.
    """
    manifest = load_manifest(stage_folder(run_dir, stage))
    if manifest is None:
        raise MissingStage(
            f"{Path(run_dir) / stage} has no readable {MANIFEST}: stage {stage!r} was not made or not finished. "
            f"{how_to_make(stage)} first, with the same run_dir."
        )
    return manifest


def check_stage(run_dir: str | os.PathLike[str], stage: str) -> list[str]:
    """What has changed since a stage was made, in words; an empty list when nothing has.

    Files added to the folder later, such as exported pictures, do not count.

    Raises:
        MissingStage: the stage was not made.
    """
    manifest = read_manifest(run_dir, stage)
    files = altered(manifest["files"], folder_files(stage_folder(run_dir, stage)))
    found = (input_change(run_dir, name, recorded) for name, recorded in manifest["inputs"].items())
    return [*(f"file {change}" for change in files), *filter(None, found)]


def extra_files(run_dir: str | os.PathLike[str], stage: str) -> tuple[list[str], list[str]]:
    """Names in a stage's folder that its manifest does not list: those that no one has a reason to put there, and those
    that a user has: exports of panels and what editors and systems hide behind a dot. Checkpoints are not looked at.

    Raises:
        MissingStage: the stage was not made.
    """
    made, known = read_manifest(run_dir, stage)["files"], dict[bool, list[str]]({False: [], True: []})
    for name in other_files(stage_folder(run_dir, stage), made):
        if "__pycache__" not in name.parts[:-1]:
            known[name.parts[0] == EXPORTS or any(part.startswith(".") for part in name.parts)].append(name.as_posix())
    return sorted(known[False]), sorted(known[True])


def other_files(folder: Path, made: Collection[str]) -> Iterator[Path]:
    """Relative names of what lies in a stage's folder and is no part of its result `made`, manifest and checkpoints
    apart: links are named, never followed."""
    for here, folders, names in os.walk(folder):
        if Path(here) == folder:
            folders[:] = [name for name in folders if name != WORK_FOLDER]
            names = [name for name in names if name != MANIFEST]
        for name in (*names, *(name for name in folders if Path(here, name).is_symlink())):
            relative = Path(here, name).relative_to(folder)
            if relative.as_posix() not in made:
                yield relative


def check_code(run_dir: str | os.PathLike[str], stage: str) -> list[str]:
    """Which of the package's files that made a stage are different now, in words; an empty list when none.

    A stage made by other code is still whole, so `require_stage` takes it; it is made again by the next run.

    Raises:
        MissingStage: the stage was not made.
    """
    manifest = read_manifest(run_dir, stage)
    version = manifest.get("workbench")
    if version != __version__:
        return [f"workbench {version} made it, this is {__version__}"]
    changed = source_changes(manifest.get("code", {}).get("sources", {}))
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return [f"the code that made it was changed ({', '.join(changed[:3])}{more})"] if changed else []


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
            f"{how_to_make(stage)} again, with the same run_dir."
        )
    return stage_folder(run_dir, stage)


def is_complete(run_dir: str | os.PathLike[str], stage: str) -> bool:
    """Whether a stage has a manifest, and its files, its inputs and the code that made it are unchanged."""
    try:
        return not check_stage(run_dir, stage) and not check_code(run_dir, stage)
    except (MissingStage, OSError):
        return False
