"""The folder in which a stage is made, `<stage>.new` in the run folder, and how it takes the place of the old result.

What an earlier run left stays as it is, whole and readable, until the new stage has its manifest. Then two renames put
the new folder there. A kill at any instant leaves the old result or the new one whole; between the two renames they
stand side by side, and the next run or notebook sets the new one in place. An unfinished stage keeps its checkpoints
in `<stage>.new/checkpoints`, and the work goes on from there.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from workbench.artifacts.files import MANIFEST, TORN, WORK_FOLDER, atomic_write_json, read_object
from workbench.artifacts.provenance import load_manifest
from workbench.artifacts.stage import check_inside, links, other_files, stage_folder

NEW, OLD = ".new", ".old"  # behind the stage's name: what is being made, and for an instant what it replaces
OPENED = ".opened"  # holds when the stage was opened (seconds since 1970), and whether nothing earlier may be kept


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
