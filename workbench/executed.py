"""Executed copies of the notebooks in a run folder: where they lie, what they were made from, where one stopped."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from workbench.files import MANIFEST, atomic_write_text, sha256_file

COPIES = "notebooks"
PARTIAL = ".partial.ipynb"  # while it runs, and after it failed
NOT_COMPARED = {"run_dir"}  # a run folder may be moved


def copy_path(run_dir: Path, name: str, suffix: str = ".ipynb") -> Path:
    """Path of the executed copy of the notebook `name`."""
    return Path(run_dir) / COPIES / f"{name}{suffix}"


def source_digest(notebook: Path) -> str:
    """SHA-256 over the kinds and sources of the cells: outputs and what an editor notes beside them do not count."""
    cells = [(cell.cell_type, cell.source) for cell in nbformat.read(notebook, as_version=4).cells]
    return hashlib.sha256(json.dumps(cells).encode("utf-8")).hexdigest()


def _origin(stage_folder: Path, notebook: Path, effective: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest is among it: when a stage was made again by hand since, the copy no longer tells of it."""
    compared = {name: value for name, value in effective.items() if name not in NOT_COMPARED}
    return {
        "source_sha256": source_digest(notebook),
        "parameters": compared,
        "manifest_sha256": sha256_file(stage_folder / MANIFEST),
    }


def finish_copy(
    stage_folder: Path, notebook: Path, executed: nbformat.NotebookNode, effective: Mapping[str, Any]
) -> Path:
    """Write the finished copy in one step, with what it was made from, in place of the partial one.

    Args:
        stage_folder: folder of the finished stage in the run folder.
        notebook: the notebook that was executed.
        executed: the executed document.
        effective: every parameter with the value it had.
    """
    run_dir = stage_folder.parent
    executed.metadata["workbench"] = _origin(stage_folder, notebook, effective)
    path = atomic_write_text(copy_path(run_dir, notebook.stem), nbformat.writes(executed) + "\n")
    copy_path(run_dir, notebook.stem, PARTIAL).unlink(missing_ok=True)
    return path


def is_executed(stage_folder: Path, notebook: Path, effective: Mapping[str, Any]) -> bool:
    """Whether there is a finished copy of this very notebook with these very parameters that made this very stage."""
    try:
        executed = nbformat.read(copy_path(stage_folder.parent, notebook.stem), as_version=4)
        return executed.metadata.get("workbench") == _origin(stage_folder, notebook, effective)
    except Exception:  # missing, cut off, no notebook: in each case it has to run
        return False


def where_it_stopped(partial: Path) -> str:
    """The cell in which a run ended, as `code cell 3 ("model = load(...)")`; empty when none had begun.

    papermill marks pending cells as completed when it stops, so the last cell with a start time is the one.
    """
    try:
        cells = nbformat.read(partial, as_version=4).cells
    except Exception:  # the kernel never started, or the stop came while the copy was written
        return ""
    number, found = 0, ""
    for cell in cells:
        if cell.cell_type == "code" and cell.source.strip():
            number += 1
            if cell.metadata.get("papermill", {}).get("start_time"):
                found = f'code cell {number} ("{_first_line(cell.source)}")'
    return found


def _first_line(source: str, limit: int = 80) -> str:
    """The first line that is not a comment, or the first at all."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    line = next((line for line in lines if not line.startswith("#")), lines[0])
    return line if len(line) <= limit else line[: limit - 3] + "..."
