"""The fourth notebook from its first cell to its last, on a tiny model of another architecture."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from notebook_runs import execute, open_adapter, state
from tiny import chain_case, save_tiny

from workbench.artifacts import runs
from workbench.artifacts.files import plain
from workbench.cases import Case, save_cases, withhold
from workbench.explain import Explanation, save
from workbench.figures import Figure
from workbench.shift import read_factors

NAME = "04_compare_shift"
SMALL = {
    "random_changes": 2, "dosed_cases": 3, "effect_cases": 1, "map_cases": 2, "switched_shares": [0.25],
    "agreement_cases": 4, "deleted_cases": 2, "permutations": 19, "reduced_cases": 4,
}  # fmt: skip


def explanations(cases: list[Case]) -> list[Explanation]:
    rng, made = np.random.default_rng(0), []
    for case in cases:
        answers = {"tuned_full": case.path, "tuned_changed": case.path[:1]}
        chains = {"tuned_full": case.toolchain, "tuned_changed": ()}
        for method in ("paper", "in_loop", "certified", "random_node"):
            degrees, removed = tuple(rng.random(len(case.elements))), case.facts[:1]
            if method == "certified":
                degrees = tuple(float(e in removed) for e in case.elements)
            made.append(Explanation(case, method, degrees, removed, (), answers, chains, {}, {}, 0))
    return made


def make_run(run: Path, model: Path | str, *, withheld: float = 0.1, **adapter: float) -> list[Case]:
    """Finished stages adapter and explain, with a random adapter and random masks: five held-out cases, three of them
    explained. withheld: how much more each of them lacks than the one before."""
    folder, rng = open_adapter(run, model, **adapter), np.random.default_rng(0)
    checkpoint = folder / "checkpoints" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(folder / name, checkpoint / name)
    cases = [replace(withhold(chain_case(), withheld * i, rng=rng), id=f"case-{i}") for i in range(5)]
    for name, some in {"cases_held_out": cases, "cases_train": cases[:3], "showcase": cases[:1]}.items():
        save_cases(folder / f"{name}.jsonl", some)
    made = {"metrics": {}, "seed": 0, "device": "cpu"}
    runs.write_manifest(run, "adapter", config={}, inputs={}, **made)
    folder = runs.open_stage(run, "explain")
    for one in explanations(cases[:3]):
        save(folder / "explanations" / f"{one.case.id}-{one.method}.json", one)
    runs.write_manifest(run, "explain", config={"withheld": 0.0}, inputs={"adapter": run / "adapter"}, **made)
    return cases


@pytest.mark.slow
def test_it_runs_on_another_architecture_that_has_no_answer_right(tmp_path: Path) -> None:
    model, run = save_tiny(tmp_path / "model", "qwen"), tmp_path / "run"
    cases = make_run(run, model)
    large = {"units": "layer", "closer_layers": 1}  # as models of many modules are switched
    made = execute(NAME, run_dir=str(run), model=str(model), shown_case="case-1", **SMALL, **large)
    assert made["case"].id == "case-1" and isinstance(made["figures"].spectra.norms(made["table"]), Figure)
    manifest = runs.read_manifest(run, "shift")
    assert runs.is_complete(run, "shift") and set(manifest["inputs"]) == {"model", "adapter", "explain"}
    check_tables(run / "shift", cases)
    check_metrics(manifest["metrics"], modules=4, switches=2 + 2 + 2)
    assert [len(one) for one in made["order"].values()] == [2, 16] and made["panel"].settings.losses.shape == (2,)
    assert not made["found"] and manifest["metrics"]["reduced"]["reduced"]["part"] == 1


@pytest.mark.slow
def test_the_same_run_leaves_the_same_stage(tmp_path: Path) -> None:
    """The shipped reader with an adapter that leads it to the tiny case's answer: there is something to keep."""
    cases, given = make_run(tmp_path, "reader", withheld=0.0, size=0.1, seed=6), {**SMALL, "memory_share": 0.0}
    made = execute(NAME, run_dir=str(tmp_path), **given)
    folder = tmp_path / "shift"
    check_tables(folder, cases)
    metrics = runs.read_manifest(tmp_path, "shift")["metrics"]
    check_metrics(metrics, modules=12, switches=12)
    assert made["right"][4].all() and 0 < len(made["kept"]) < 48, "dose 1 is right, and so is less"
    assert [one.rank for one in read_factors(folder / "reduced")] == [one.rank for one in made["smaller"]]
    before = {path.name: path.read_bytes() for path in folder.glob("*.tsv")}
    assert {"kept_modules.tsv", "kept_parts.tsv", "causal.tsv"} <= set(before)
    whole = state(tmp_path)
    again = execute(NAME, run_dir=str(tmp_path), **given)
    assert state(tmp_path) == whole, "a finished stage is read: what is computed again goes elsewhere"
    assert {path.name: path.read_bytes() for path in again["folder"].glob("*.tsv")} == before
    assert plain(again["metrics"], where="metrics") == metrics
    assert again["panel"].off == () and again["panel"].state["dose"] == 1


def check_tables(folder: Path, cases: list[Case]) -> None:
    """Every case and measure is in the tables; masks are known of the explained cases alone."""
    elements = pd.read_csv(folder / "elements.tsv", sep="\t")
    asked = elements["case"].unique().tolist()
    assert asked[:3] == ["case-0", "case-1", "case-2"] and len(asked) == 4
    assert len(elements) == sum(len(case.elements) for case in cases if case.id in asked)
    known = {"mask (paper)", "mask (in loop)", "certified set"}
    assert {*known, "attention", "delta", "gradient", "q_proj shift", "v_proj shift"} <= set(elements.columns)
    assert elements[elements["case"] == asked[3]][list(known)].isna().all(axis=None)
    removals = pd.read_csv(folder / "removals.tsv", sep="\t")
    assert removals["by"].tolist() == ["map", "norm", "random"] * 2 and (removals["n"] == 3).all()
    doses = pd.read_csv(folder / "doses.tsv", sep="\t")
    assert sorted(doses["dose"].unique()) == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]


def check_metrics(metrics: dict, *, modules: int, switches: int) -> None:
    """A record a module, a switch, a pair, a measure, a dose."""
    assert metrics["modules"] == modules and metrics["cases"] == 4
    assert len(metrics["spectra"]) == len(metrics["base_shares"]) == modules and len(metrics["switches"]) == switches
    measures = len(metrics["separation_nodes"])
    assert measures == 12 and len(metrics["agreement_nodes"]) == len(metrics["agreement_facts"]) == 66
    assert set(metrics["reduced"]) == {"none", "reduced", "whole"} and len(metrics["dose"]) == 7
    order = metrics["first_order"]
    assert order["slope"] == pytest.approx(order["inner_products"], rel=1e-4)
