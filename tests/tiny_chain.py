"""Four small notebooks with the names of the real ones, for tests of what runs them."""

from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.runs import STAGES

PARAMETERS = 'run_dir = "../runs/tiny"  # run folder\nseed = 1  # of everything random\n'

FINISH = """
from workbench import runs
folder = runs.open_stage(run_dir, "{stage}")
runs.atomic_write_text(folder / "result.txt", f"seed {{seed}}")
config = {{"seed": seed}}
runs.write_manifest(run_dir, "{stage}", config=config, inputs={{}}, metrics={{"n": 1}}, seed=seed, device="cpu");
"""


def write_notebooks(
    folder: Path, *, bodies: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None
) -> Path:
    """Write them and return the folder. `bodies`: stage -> code before the stage is written; `extra`: parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage, name in STAGES.items():
        cell = new_code_cell(PARAMETERS + (extra or {}).get(stage, ""), metadata={"tags": ["parameters"]})
        body = new_code_cell((bodies or {}).get(stage, "print(seed)"))
        cells = [new_markdown_cell(f"# The {stage}"), cell, body, new_code_cell(FINISH.format(stage=stage))]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder
