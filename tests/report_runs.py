"""Finished runs that reports are written of: four stages with small notebooks, and a case to be tried."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

import nbformat
from matplotlib.figure import Figure
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from tiny import chain_case

from workbench.artifacts import runs
from workbench.artifacts.steps import copy_path
from workbench.cases import Fact

PNG = base64.b64encode(b"\x89PNG tiny").decode()
ROOT = Path(__file__).resolve().parent.parent
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"

SHARE = {"share": 0.5, "low": 0.4, "high": 0.6, "n": 60}
MEAN = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 60}
EXACT = {f"unseen_{model}_exact_{share}": 0.5 for share in (0, 30) for model in ("tuned", "base")}
METRICS = {
    "adapter": EXACT | {"intervals": {name: {"low": 0.4, "high": 0.6, "n": 161} for name in EXACT}},
    "explain": {
        "certified": {"flips_in_other_orders": MEAN},
        "hanging": {name: SHARE for name in ("one", "two", "more", "tuned_alone")}
        | {name: MEAN for name in ("added", "kept", "dropped")}
        | {"dropped_over_added": {"mean": 4.0, "low": 2.0, "high": 6.0, "n": 20, "p": 0.0005}},
    },
    "shift": {"removals": {f"8 and 42 and module and {by}": {**MEAN, "share": 0.2} for by in ("map", "random")}},
}
"""Of a run with every figure of the first screen."""


def display(data: dict) -> nbformat.NotebookNode:
    return new_output("display_data", data=data)


def finish(
    run_dir: Path,
    *,
    cells: Mapping[str, Sequence] | Sequence = (),
    case: dict | None = None,
    metrics: Mapping[str, dict] | None = None,
    n: int = 6815744,
    **config: Any,
) -> Path:
    """The run folder, with all stages finished. cells: below the title, of all notebooks or by the name of each.
    case: what `explain/answers.json` holds. metrics: stage -> more of them."""
    for stage, name in runs.STAGES.items():
        folder = runs.open_stage(run_dir, stage)
        if case and stage == "explain":
            runs.atomic_write_json(folder / "answers.json", case)
        known = {EVIL: EVIL, "n": n, "share": 0.000848} | (metrics or {}).get(stage, {})
        runs.write_manifest(run_dir, stage, config=config, inputs={}, metrics=known, seed=1, device=EVIL)
        own = cells[name] if isinstance(cells, Mapping) else [new_markdown_cell(f"# Title {stage}"), *cells]
        runs.atomic_write_text(copy_path(run_dir, name), nbformat.writes(new_notebook(cells=list(own))))
    return run_dir


def whole_run(run_dir: Path) -> Path:
    """A run with the real notebooks, sentences and a picture in every cell of an answer, all figures, a long case."""
    Figure(figsize=(9.72, 4.6)).savefig(picture := io.BytesIO(), format="png")
    png = {"image/png": base64.b64encode(picture.getvalue()).decode()}
    sentence = fill("a sentence of a notebook with figures in it " * 6, 100)
    said = new_output("stream", name="stdout", text=f"{sentence}\n")
    notebooks = {}
    for name in runs.STAGES.values():
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        answer = [cell for cell in notebook.cells if "answer" in cell.metadata.get("tags", [])]
        for number, cell in enumerate(answer):
            cell.outputs = [said, *([display(png)] if number < 3 else [])]
        notebooks[name] = notebook.cells
    second = live_case("a second source") | {"words": "Both must go."}
    case = live_case("NCBI Sequence Read Archive", more=15) | {"more": [second]}
    return finish(run_dir, cells=notebooks, case=case, metrics=METRICS)


def live_case(name: str, *, more: int = 0) -> dict[str, Any]:
    """A case of made-up answers, as `workbench.explain.answered` gives it, in which the first node has this name; with
    so many more facts of long names."""
    case = chain_case()
    ends = [f"format_{100 + i}" for i in range(more)]
    more_facts = tuple(Fact("command:count", "output", end) for end in ends)
    names = case.names | {e: f"long-named data {e}" for e in ends}
    case = replace(case, facts=case.facts + more_facts, names=names)
    given = {**case.to_dict(), "names": {**case.names, case.facts[0].head: name}}
    paths = [list(case.path), list(case.path[:4]), [case.source]]
    rows = [{"without": [], "tuned": 0, "base": 1}]
    rows += [{"without": [i], "tuned": int(i == 2), "base": 1 + i % 2} for i in range(len(case.facts))]
    rows += [{"without": [2, 3], "tuned": 1, "base": 2}, {"without": [0, 1, 4], "tuned": 2, "base": 1}]
    sets = [{"kind": "flip", "certified": True, "without": one} for one in ([2], [0, 1, 4])]
    return {"case": given, "paired": [2, 3], "sets": sets, "paths": paths, "answers": rows}
