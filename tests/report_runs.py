"""Finished runs that reports are written of: four stages with small notebooks, and a case to be tried."""

import base64
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from tiny import chain_case

from workbench.artifacts import runs
from workbench.artifacts.executed import copy_path

PNG = base64.b64encode(b"\x89PNG tiny").decode()
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def display(data: dict) -> nbformat.NotebookNode:
    return new_output("display_data", data=data)


def finish(
    run_dir: Path, *, cells: list | None = None, case: dict | None = None, n: int = 6815744, **config: Any
) -> Path:
    """The run folder, with all stages finished. case: what `explain/answers.json` holds."""
    for stage, name in runs.STAGES.items():
        folder = runs.open_stage(run_dir, stage)
        if case and stage == "explain":
            runs.atomic_write_json(folder / "answers.json", case)
        metrics = {EVIL: EVIL, "n": n, "share": 0.000848}
        runs.write_manifest(run_dir, stage, config=config, inputs={}, metrics=metrics, seed=1, device=EVIL)
        whole = [new_markdown_cell(f"# Title {stage}"), *(cells or [])]
        runs.atomic_write_text(copy_path(run_dir, name), nbformat.writes(new_notebook(cells=whole)))
    return run_dir


def live_case(name: str) -> dict[str, Any]:
    """A case of made-up answers, as `workbench.answered` gives it, in which the first node has this name."""
    case = chain_case()
    given = {**case.to_dict(), "names": {**case.names, case.facts[0].head: name}}
    paths = [list(case.path), list(case.path[:4]), [case.source]]
    rows = [{"without": [], "tuned": 0, "base": 1}]
    rows += [{"without": [i], "tuned": int(i == 2), "base": 1 + i % 2} for i in range(len(case.facts))]
    rows += [{"without": [2, 3], "tuned": 1, "base": 2}, {"without": [0, 1, 4], "tuned": 2, "base": 1}]
    sets = [
        {"kind": "flip", "certified": True, "without": [2]},
        {"kind": "flip", "certified": True, "without": [0, 1, 4]},
    ]
    return {"case": given, "paired": [2, 3], "sets": sets, "paths": paths, "answers": rows}
