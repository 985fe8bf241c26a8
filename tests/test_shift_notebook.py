"""The fourth notebook from its first cell to its last, on a tiny model of another architecture."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from tiny import NAMES, chain_case, save_tiny

from workbench import models, runs
from workbench.cases import Case, withhold
from workbench.explain import Explanation, save
from workbench.figures import Figure
from workbench.parameters import read_parameters

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "04_compare_shift.ipynb"


def explanations(cases: list[Case]) -> list[Explanation]:
    rng, made = np.random.default_rng(0), []
    for case in cases:
        answers = {"tuned_full": case.path, "tuned_changed": case.path[:1]}
        chains = {"tuned_full": case.toolchain, "tuned_changed": ()}
        for method in ("paper", "in_loop", "random_node"):
            degrees = tuple(rng.random(len(case.elements)))
            made.append(Explanation(case, method, degrees, case.facts[:1], (), answers, chains, {}, {}, 0))
    return made


def make_run(run: Path, model: Path) -> list[Case]:
    """Finished stages adapter and explain, with a random adapter and random masks."""
    lm = models.load(str(model), names=NAMES)
    lm = models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
    for name, parameter in lm.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    folder = runs.open_stage(run, "adapter")
    for place in (folder, folder / "checkpoints" / "checkpoint-2"):
        lm.model.save_pretrained(place, safe_serialization=True)
    (folder / "names.json").write_text(json.dumps(NAMES), encoding="utf-8")
    runs.write_manifest(run, "adapter", config={}, inputs={}, metrics={}, seed=0, device="cpu")
    rng = np.random.default_rng(0)
    cases = [replace(withhold(chain_case(), 0.1 * i, rng=rng), id=f"case-{i}") for i in range(3)]
    folder = runs.open_stage(run, "explain")
    for one in explanations(cases):
        save(folder / "explanations" / f"{one.case.id}-{one.method}.json", one)
    runs.write_manifest(
        run, "explain", config={}, inputs={"adapter": run / "adapter"}, metrics={}, seed=0, device="cpu"
    )
    return cases


def execute(**parameters: Any) -> dict[str, Any]:
    """Runs the code cells in one namespace, the given parameters after the cell that sets them."""
    space: dict[str, Any] = {}
    for number, cell in enumerate(nbformat.read(NOTEBOOK, as_version=4).cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"cell {number}", "exec"), space)
            if "parameters" in cell.metadata.get("tags", []):
                space.update(parameters)
    return space


def test_every_parameter_is_a_literal_with_a_comment() -> None:
    known = read_parameters(NOTEBOOK)
    assert list(known)[:3] == ["run_dir", "model", "seed"]
    (cell,) = [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if "parameters" in c.metadata.get("tags", [])]
    assert all("  # " in line for line in cell.source.splitlines())


def test_cells_are_short_and_explained() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell.source.splitlines() for cell in cells if cell.cell_type == "code"]
    prose = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert max(map(len, code)) <= 10 and len(prose) >= sum(map(len, code))


@pytest.mark.slow
def test_it_runs_and_leaves_a_finished_stage(tmp_path: Path) -> None:
    model, run = save_tiny(tmp_path / "model", "qwen"), tmp_path / "run"
    cases = make_run(run, model)
    made = execute(run_dir=str(run), model=str(model), permutations=19, shown_case="case-1")
    manifest = runs.read_manifest(run, "shift")
    assert runs.is_complete(run, "shift") and set(manifest["inputs"]) == {"model", "adapter", "explain"}
    elements = pd.read_csv(run / "shift" / "elements.tsv", sep="\t")
    assert len(elements) == sum(len(case.elements) for case in cases)
    assert {"mask (paper)", "mask (in loop)", "attention", "q_proj shift", "v_proj shift"} <= set(elements.columns)
    metrics = manifest["metrics"]
    assert metrics["modules"] == 4 and metrics["cases"] == 3
    assert len(metrics["agreement_nodes"]) == len(metrics["agreement_facts"]) == 10
    spectra = json.loads((run / "shift" / "spectra.json").read_text(encoding="utf-8"))
    assert [len(row["singular_values"]) for row in spectra] == [4] * 4
    assert made["case"].id == "case-1"
    assert isinstance(made["draw"].norms(made["table"]), Figure)
    before = (run / "shift" / "elements.tsv").read_bytes()
    execute(run_dir=str(run), model=str(model), permutations=19, shown_case="case-1")
    assert (run / "shift" / "elements.tsv").read_bytes() == before
    assert runs.read_manifest(run, "shift")["metrics"] == metrics


def test_a_missing_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(runs.MissingStage, match="02_train_qlora"):
        execute(run_dir=str(tmp_path / "nothing"))
