"""The notebooks' cells, run in a namespace of their own, and the run folders that they read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from dosed_models import with_adapter
from processes import ROOT
from tiny import NAMES

from workbench import models
from workbench.artifacts import runs

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("0*.ipynb"))


def cells(notebook: Path, kind: str) -> Iterator[Any]:
    return (cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == kind)


def execute(name: str, **parameters: Any) -> dict[str, Any]:
    """Runs the code cells in one namespace, the given parameters after the cell that sets them."""
    space: dict[str, Any] = {}
    for number, cell in enumerate(cells(FOLDER / f"{name}.ipynb", "code")):
        exec(compile(cell.source, f"{name}, code cell {number}", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            space.update(parameters)
    return space


def state(run: Path) -> dict[Path, tuple[bytes, int]]:
    """Content of every file, and the time of every file and folder of a run."""
    paths = [run, *sorted(run.rglob("*"))]
    return {path: (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns) for path in paths}


def open_adapter(run: Path, model: Path | str, *, size: float = 0.2, seed: int = 0) -> Path:
    """The folder of an adapter stage, not finished yet: random weights, the tiny case's names. size: of values in B."""
    lm = with_adapter(models.load(str(model), names=NAMES), size=size, seed=seed)
    folder = runs.open_stage(run, "adapter")
    lm.model.save_pretrained(folder, safe_serialization=True)
    (folder / "names.json").write_text(json.dumps(NAMES), encoding="utf-8")
    return folder
