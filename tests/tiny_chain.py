"""Four small notebooks with the names of the real ones, for tests of what runs them."""

from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.artifacts.runs import STAGES

PARAMETERS = 'run_dir = "../runs/tiny"  # run folder\nseed = 1  # of everything random\n'

FINISH = """
from workbench.artifacts import runs
folder = runs.open_stage(run_dir, "{stage}")
runs.atomic_write_text(folder / "result.txt", f"seed {{seed}} {{globals().get('top', 0)}}")
made = {{"config": {{"seed": seed}}, "inputs": {inputs}, "metrics": {{"n": seed}}, "seed": seed, "device": "cpu"}}
runs.write_manifest(run_dir, "{stage}", **made);
"""


def write_notebooks(
    folder: Path, *, bodies: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None
) -> Path:
    """Write them and return the folder. `bodies`: stage -> code before the stage is written; `extra`: parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    before: str | None
    for before, (stage, name) in zip([None, *STAGES], STAGES.items(), strict=False):
        cell = new_code_cell(PARAMETERS + (extra or {}).get(stage, ""), metadata={"tags": ["parameters"]})
        body = new_code_cell((bodies or {}).get(stage, "print(seed)"))
        inputs = f'{{"{before}": runs.require_stage(run_dir, "{before}")}}' if before else "{}"
        finish = new_code_cell(FINISH.format(stage=stage, inputs=inputs))
        cells = [new_markdown_cell(f"# The {stage}"), cell, body, finish]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder
