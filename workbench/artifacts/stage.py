"""The stages of a run: whether what lies in their folders is whole, unchanged and up to date, and the folder in which a
stage is made, `<stage>.new` in the run folder, and how it takes the place of the old result.

What an earlier run left stays as it is, whole and readable, until the new stage has its manifest. Then two renames put
the new folder there. A kill at any instant leaves the old result or the new one whole; between the two renames they
stand side by side, and the next run or notebook sets the new one in place. An unfinished stage keeps its checkpoints
in `<stage>.new/checkpoints`, and the work goes on from there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from workbench.artifacts import __version__
from workbench.artifacts.files import MANIFEST, TORN, WORK_FOLDER, altered, atomic_write_json, folder_files, read_object
from workbench.artifacts.provenance import input_change, load_manifest, source_changes

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
NEW, OLD = ".new", ".old"  # behind the stage's name: what is being made, and for an instant what it replaces
OPENED = ".opened"  # holds when the stage was opened (seconds since 1970), and whether nothing earlier may be kept


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


def work_folder(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """Path of the folder in which a stage is made, whether it exists or not. ValueError: no stage has this name."""
    folder = stage_folder(run_dir, stage)
    return folder.with_name(folder.name + NEW)


def _old(run_dir: str | os.PathLike[str], stage: str) -> Path:
    folder = stage_folder(run_dir, stage)
    return folder.with_name(folder.name + OLD)


def check_stage_links(run_dir: str | os.PathLike[str], stage: str) -> None:
    """ValueError when a link would lead what is written for a stage out of the run folder."""
    work = work_folder(run_dir, stage)
    check_inside(run_dir, stage_folder(run_dir, stage), work, _old(run_dir, stage))
    check_inside(run_dir, *links(work / WORK_FOLDER))


def settle(run_dir: str | os.PathLike[str], stage: str) -> None:
    """Put a finished stage in its place; where a kill came between, end what it has begun. Nothing otherwise.

    Files of the old folder that are no part of its result, such as exported pictures, move on to the new one.
    """
    folder, new, old = stage_folder(run_dir, stage), work_folder(run_dir, stage), _old(run_dir, stage)
    _clear_away(old, folder)
    if not (new / MANIFEST).is_file():
        if old.is_dir():  # what was to replace it is gone
            old.rename(folder)
        return
    (new / OPENED).unlink(missing_ok=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    _clear_away(old, folder)


def _clear_away(old: Path, folder: Path) -> None:
    if not (old.is_dir() and folder.is_dir()):
        return
    made = (load_manifest(old) or {}).get("files", {})
    for name in list(other_files(old, made)):
        target, own = folder / name, name.name == OPENED or TORN.fullmatch(name.name)
        if not own and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            (old / name).rename(target)
    shutil.rmtree(old)


def begin(run_dir: str | os.PathLike[str], stage: str) -> Path:
    """The folder to make a stage in, empty but for checkpoints of unfinished work. See `runs.open_stage`."""
    check_stage_links(run_dir, stage)
    settle(run_dir, stage)
    work = work_folder(run_dir, stage)
    afresh = bool(read_object(work / OPENED).get("afresh"))
    work.mkdir(parents=True, exist_ok=True)
    for left in work.iterdir():
        if left.is_dir() and not left.is_symlink():
            if left.name != WORK_FOLDER:
                shutil.rmtree(left)
        elif left.name != OPENED:
            left.unlink()
    bring_checkpoints(stage_folder(run_dir, stage), work, wanted=not afresh)
    atomic_write_json(work / OPENED, {"time": time.time(), "afresh": afresh})
    return work


def bring_checkpoints(folder: Path, work: Path, *, wanted: bool) -> None:
    """A finished stage's checkpoints, copied to where it is made again: a run stopped behind its manifest goes on from
    them. Whoever reads them looks whether they are of the same settings."""
    kept, place = folder / WORK_FOLDER, work / WORK_FOLDER
    if wanted and kept.is_dir() and not kept.is_symlink() and not place.exists() and not any(links(kept)):
        partial = work / f".{WORK_FOLDER}"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(kept, partial)
        partial.rename(place)


def renew(run_dir: str | os.PathLike[str], stage: str) -> None:
    """Throw away what was begun of a stage, and note that it has to be made again. The finished result stays."""
    check_stage_links(run_dir, stage)
    settle(run_dir, stage)
    work = work_folder(run_dir, stage)
    if work.is_dir():
        shutil.rmtree(work)
    atomic_write_json(work / OPENED, {"afresh": True})


def state_of_work(run_dir: str | os.PathLike[str], stage: str) -> str | None:
    """`afresh`: the stage has to be made again, whatever is there; `begun`: it was, and not finished; else None."""
    work = work_folder(run_dir, stage)
    if read_object(work / OPENED).get("afresh"):
        return "afresh"
    return "begun" if work.is_dir() and any(work.iterdir()) else None


def opened_at(run_dir: str | os.PathLike[str], stage: str) -> float | None:
    """When the stage was opened, seconds since 1970; None where it was not."""
    time = read_object(work_folder(run_dir, stage) / OPENED).get("time")
    return float(time) if isinstance(time, int | float) else None
