"""Four small notebooks with the names of the real ones, for tests of what runs them."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.artifacts.runs import STAGES
from workbench.hands.headless.chain import run_chain
from workbench.hands.report.write import current_report

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


RUN = "run {1} ü"  # the finished run's name
GIVEN = {"rate": 1, "seed": 5}  # the parameters that it was made with
SAME = ["-p", "rate", "1", "-p", "seed", "5"]  # as words of a command

EXTRA = {
    "adapter": 'rate = 0.1  # of learning; -1 <= rate <= 10\nmodel = "reader"  # base model\nwait = False\n',
    "explain": "top = 0\n",
}
BODIES = {
    "kg": "import os, sys\nprint(sys.executable, os.getcwd())",
    "adapter": """
import os, time
from workbench.artifacts import runs
state = runs.open_stage(run_dir, "adapter") / runs.WORK_FOLDER / "state"
if rate < 0:
    raise ValueError("no such rate")
print("resumed", state.exists())
if wait and not state.exists():
    runs.atomic_write_text(state, str(os.getpid()))
    time.sleep(600)
""",
}
"""What the adapter's notebook is told to do: to fail, or to wait until it is stopped."""


def make_chain(folder: Path) -> None:
    """Fills a folder with notebooks in `nb` and a finished run of them in `RUN`, its report with it. The user has a
    kernel of the same name that cannot be started."""
    notebooks = write_notebooks(folder / "nb", bodies=BODIES, extra=EXTRA)
    foreign = folder / "data" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(json.dumps({"argv": ["/nowhere"], "display_name": "x", "language": "python"}))
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("JUPYTER_DATA_DIR", str(folder / "data"))
        run_chain(folder / RUN, notebooks=notebooks, parameters=GIVEN, tell=lambda event: None)
    current_report(folder / RUN)
