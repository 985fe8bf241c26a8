"""The first three notebooks from first cell to last, the second on a model of another architecture with names of many
tokens; rules that all notebooks keep; which cases of a run are held out from an adapter that was trained elsewhere."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from kg_tables import write_table
from notebook_runs import FOLDER, NOTEBOOKS, cells, execute, open_adapter, state
from refusals import refused
from safetensors.torch import load_file
from tiny import chain_case, graph_words, save_tiny

from workbench import Run, kg
from workbench.artifacts import runs
from workbench.artifacts.parameters import parse_value, read_parameters
from workbench.artifacts.state import State
from workbench.cases import Case, load_cases, save_cases, withhold
from workbench.cases.sampling import split_counts, stretches
from workbench.explain import METHODS, ExplainConfig, Weights, load
from workbench.figures import Figure
from workbench.hands.panel import MaskPanel
from workbench.hands.panel.page import explorer
from workbench.models.smollm2 import ADAPTERS, shipped, trained_on
from workbench.train.qlora import GivenAdapter


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_code_cell_holds_the_parameters(notebook: Path) -> None:
    first = next(cells(notebook, "code"))
    assert first.metadata.get("tags") == ["parameters"]
    assert all("  # " in line for line in first.source.splitlines())
    known = list(read_parameters(notebook))
    assert known[0] == "run_dir" and "seed" in known
    assert notebook.stem != runs.STAGES["shift"] or known[1:3] == ["model", "seed"]
    either = {line.split(":")[0] for line in first.source.splitlines() if "|" in line.split("=")[0]}
    assert set(papermill.inspect_notebook(str(notebook))) | either == set(known), "papermill knows them"
    assert nbformat.read(notebook, as_version=4).metadata["kernelspec"]["name"] == "python3"


def test_names_of_parameters_mean_one_thing() -> None:
    """-p hands a value to every notebook that knows the name."""
    known = [read_parameters(notebook) for notebook in NOTEBOOKS]
    shared = {name for one in known for other in known if one is not other for name in set(one) & set(other)}
    assert shared == {"run_dir", "seed", "model"}


@pytest.mark.parametrize("name", ["01_build_kg", "03_explain_masks", "04_compare_shift"])
def test_cells_are_short_and_explained(name: str) -> None:
    found = cells(FOLDER / f"{name}.ipynb", "code")
    code = [cell.source for cell in found if "parameters" not in cell.metadata.get("tags", [])]
    prose = [cell.source for cell in cells(FOLDER / f"{name}.ipynb", "markdown")]
    assert max(len(source.splitlines()) for source in code) <= 10
    assert len(prose) >= len(code) and sum(map(len, prose)) >= sum(map(len, code))


def test_the_graph_notebook_leaves_a_finished_stage(tmp_path: Path, made_kg: Path) -> None:
    made = execute("01_build_kg", run_dir=str(tmp_path), shown_nodes=60, seed=1)
    metrics = runs.read_manifest(tmp_path, "kg")["metrics"]
    assert runs.is_complete(tmp_path, "kg")
    assert {"tools", "commands", "sources", "entity_types", "relation_types", "facts"} <= set(metrics)
    assert metrics["facts"] == len(made["facts"]) == len(pd.read_csv(tmp_path / "kg" / "facts.tsv", sep="\t"))
    assert kg.from_json(tmp_path / "kg" / "graph.json").number_of_edges() == metrics["facts"]
    graphs = [(run / "kg" / "graph.json").read_bytes() for run in (tmp_path, made_kg)]
    assert graphs[0] == graphs[1], "seed and shown_nodes are of the layout alone"


def test_the_graph_notebook_takes_another_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_table(tmp_path / "table")
    execute("01_build_kg", run_dir=str(tmp_path / "run"), table=str(table), registry=str(tmp_path / "none"))
    manifest = runs.read_manifest(tmp_path / "run", "kg")
    assert manifest["metrics"]["tools"] == 5 and manifest["metrics"]["agreement"] == {}
    assert "No registry data at hand" in capsys.readouterr().out


def test_a_broken_table_leaves_no_stage(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table", tools="tool\n")
    refused(r"tools\.tsv", execute, "01_build_kg", run_dir=str(tmp_path / "run"), table=str(table), error=kg.TableError)
    assert not (tmp_path / "run").exists()


SMALL = {
    "explained_cases": 3, "masked_cases": 2, "paper_steps": 4, "loop_steps": 2, "max_new_tokens": 8, "withheld": 0.2,
    "flip_sets": 2, "certified_budget": 40, "shapley_orders": 2, "fitted_masks": 20, "tried_masks": 8,
    "changed_cases": 2, "peer_cases": 2, "peers": ["attention_highest", "paper_masks", "leave_one_out"],
    "planted_games": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run whose third notebook was given what was explored in the panel: both, and what the notebook made."""
    place = tmp_path_factory.mktemp("explored")
    model, run = save_tiny(place / "model", "llama"), place / "run"
    folder, rng = open_adapter(run, model), np.random.default_rng(0)
    held_out = [replace(withhold(chain_case(), 0.1 * i, rng=rng), id=f"held_out/{i}") for i in range(4)]
    save_cases(folder / "cases_held_out.jsonl", held_out)
    save_cases(folder / "showcase.jsonl", [replace(chain_case(), id="showcase")])
    runs.write_manifest(run, "adapter", config={}, inputs={}, metrics={}, seed=0, device="cpu")
    there, left_out = Run(run, model=str(model)), SMALL["withheld"]
    panel = MaskPanel(there.engine, there.shown(withheld=left_out), withheld=left_out)
    settings = {name: SMALL[name] for name in ("paper_steps", "loop_steps", "max_new_tokens", "certified_budget")}
    config = ExplainConfig(Weights(alpha=77.0, gamma=0.0), **settings)
    panel.state = State(case="held_out/2", method="in_loop", config=config, withheld=left_out)
    learned = panel.recompute()
    outcome = panel.take_out([panel.case.facts[1], panel.case.nodes[2]])
    state = panel.state.parameters()
    typed = {name: parse_value(json.dumps(value)) for name, value in state.items()}  # as -p hands them on
    given = {"run_dir": str(run), "model": str(model), **SMALL, **typed}
    made = execute("03_explain_masks", **given)
    return SimpleNamespace(run=run, given=given, made=made, learned=learned, outcome=outcome, state=state)


def test_the_mask_notebook_leaves_a_finished_stage(explored: SimpleNamespace) -> None:
    run, made = explored.run, explored.made
    manifest = runs.read_manifest(run, "explain")
    assert runs.is_complete(run, "explain") and set(manifest["inputs"]) == {"model", "adapter"}
    methods = manifest["metrics"]["methods"]
    assert set(methods) == set(METHODS)
    for record in methods.values():
        for metric in ("jaccard", "edit_distance", "path_overlap", "cosine", "flipped"):
            assert set(record[metric]) == {"mean", "low", "high", "n"} and record[metric]["n"] == 2
    saved = [load(path) for path in sorted((run / "explain" / "explanations").glob("*.json"))]
    by_case = ["paper", "in_loop", "certified"] * 3
    assert [one.method for one in saved] == [*by_case, "certified"] and saved[0].case.id == "held_out/2"
    table = pd.read_csv(run / "explain" / "comparison.tsv", sep="\t")
    assert len(table) == 2 * len(METHODS) and set(table["method"]) == set(METHODS)
    assert isinstance(made["panel"].figure, Figure) and made["panel"].png()
    recorded = manifest["metrics"]
    assert recorded["certified"]["certified"]["n"] == 3 and recorded["certified"]["elements"]["n"] == 3
    counts = {role: count["n"] for role, count in recorded["changed_sets"].items()}
    assert counts == {"added": 2, "kept": 2, "dropped": 2}
    assert {row["method"] for row in recorded["faithfulness"]} == {*SMALL["peers"], "random"}
    assert all(row["n"] == 2 and row["low"] <= row["mean"] <= row["high"] for row in recorded["faithfulness"])
    assert {"method", "elements", "and", "or", "calls"} <= set(recorded["planted"][0]) and len(recorded["planted"]) > 5
    changed = json.loads((run / "explain" / "changed.json").read_text("utf-8"))
    assert [one["case"] for one in changed["cases"]] == [one.case.id for one in saved[3:9:3]]


def test_what_was_explored_runs_headless_with_the_same_numbers(explored: SimpleNamespace) -> None:
    learned, outcome, tried = explored.learned, explored.outcome, explored.made["tried"]
    again = explored.made["shown"]["in_loop"]
    assert again.case.id == "held_out/2" and again.weights == learned.weights
    assert again.degrees == learned.degrees and again.removed == learned.removed
    assert again.toolchains == learned.toolchains and again.metrics == learned.metrics
    assert tried.answers == outcome.answers and tried.leads == pytest.approx(outcome.leads, abs=1e-5)
    kept = State.load(explored.run / "explain" / "state.json")
    assert {**kept.parameters(), "asked_tool": []} == {**explored.state, "explored_method": "in_loop"}
    assert json.loads((explored.run / "explain" / "by_hand.json").read_text("utf-8"))["leads"] == tried.leads
    later = explorer(explored.run, model=explored.given["model"])
    later.state = kept
    assert later.explanation is not None and not later.stale, "what the run has left is shown without new work"
    assert later.outcome is not None and later.outcome.answers == outcome.answers


def test_whoever_runs_all_cells_of_the_mask_notebook_in_a_finished_run_reads_it(explored: SimpleNamespace) -> None:
    before = state(explored.run)
    panel = execute("03_explain_masks", **explored.given)["panel"]
    assert state(explored.run) == before
    assert panel.view.method.value == "in_loop" and not panel.stale
    assert panel.weights == explored.made["weights"] == Weights(alpha=77.0, gamma=0.0)


@pytest.mark.parametrize("stage", ["adapter", "explain", "shift"])
def test_a_notebook_names_a_missing_stage(tmp_path: Path, stage: str) -> None:
    missing = runs.STAGES["kg" if stage == "adapter" else "adapter"]
    refused(missing, execute, runs.STAGES[stage], run_dir=str(tmp_path / "nothing"), error=runs.MissingStage)


SIZES = {
    "train_cases": 200, "held_out_cases": 8, "held_out_sequences": 24, "held_out_tool_cases": 4,
    "steps": 3, "batch": 2, "checkpoint_every": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model"), "qwen", words=graph_words()))


@pytest.mark.slow
def test_the_training_notebook_leaves_a_finished_stage(made_kg: Path, model: str, tmp_path: Path) -> None:
    adapters, cases = [], []
    for name, scored in {"again": {"scored_cases": 1, "shares": [0.0]}, "first": {}}.items():
        run = Path(shutil.copytree(made_kg, tmp_path / name))
        execute("02_train_qlora", run_dir=str(run), model=model, **SIZES, **scored)
        assert runs.is_complete(run, "adapter")
        adapters.append(load_file(run / "adapter" / "adapter_model.safetensors"))
        cases.append(load_cases(run / "adapter" / "cases_train.jsonl"))
    metrics = runs.read_manifest(run, "adapter")["metrics"]
    rows = product(("base", "tuned"), ("exact", "valid"), (0, 30, 60))
    assert {f"{who}_{what}_{share}" for who, what, share in rows} | {"train_seconds"} <= set(metrics)
    assert (metrics["trainable_parameters_8b"], metrics["total_parameters_8b"]) == (6_815_744, 8_037_076_992)
    assert metrics["held_out_cases"] == 8 and metrics["leaks"] == 0
    unseen = load_cases(run / "adapter" / "cases_held_out_sequences.jsonl")
    assert metrics["splits"]["held_out_sequences"] == split_counts(unseen)
    assert 0 < len(unseen) <= 24 and metrics["intervals"]["unseen_tuned_exact_30"]["n"] == len(unseen)
    kinds = {row["kind"]: row["n"] for row in metrics["held_out_by_sequence"]}
    assert sum(kinds.values()) == 8 and set(kinds) <= {"one command", "sequence seen", "sequence unseen"}
    assert cases[0] == cases[1]
    assert all((adapters[0][key] == adapters[1][key]).all() for key in adapters[0]), "one seed, one adapter"


@pytest.mark.slow
@pytest.mark.parametrize("scores", [None, 0.5], ids=["no card", "card"])
def test_a_given_adapter_is_taken_as_it_is_and_judged_on_the_cases_of_the_run(made_kg, model, tmp_path, scores):
    elsewhere = open_adapter(tmp_path / "elsewhere", model)
    if scores is not None:
        row = {"split": "held_out", "model": "tuned", "share": 0.0, "metric": "exact", "mean": scores}
        told = {"training": {"steps": 5, "seconds": 2.0, "loss": [{"step": 5, "loss": 1.0}]}, "scores": [row]}
        (elsewhere / "card.json").write_text(json.dumps(told), encoding="utf-8")
    run = Path(shutil.copytree(made_kg, tmp_path / "run"))
    fewer = {"scored_cases": 3, "base_cases": 2, "shares": [0.0, 0.3]}
    space = execute("02_train_qlora", run_dir=str(run), model=model, adapter=str(elsewhere), **SIZES, **fewer)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (run / "adapter" / name).read_bytes() == (elsewhere / name).read_bytes()
    manifest = runs.read_manifest(run, "adapter")
    metrics, made_from = manifest["metrics"], manifest["inputs"]["adapter"]
    assert Path(made_from["path"]) == elsewhere.resolve() and len(made_from["sha256"]) == 64
    assert not {"train_seconds", "train_steps", "held_out_loss"} & set(metrics)
    counted = {who: metrics["intervals"][f"{who}_exact_30"]["n"] for who in ("tuned", "base")}
    assert counted == {"tuned": 3, "base": 2} and "tuned_exact_60" not in metrics
    assert len(space["result"].history) == len(space["by_card"]) == (0 if scores is None else 1)
    assert space["engine"].lm.model.peft_config["default"].r == 4, "what answers is the given adapter"


def case(source: str, chain: tuple[str, ...], target: str, split: str) -> Case:
    path = (source, *(node for command in chain for node in ("format:x", command)), target)
    return Case(id=split, source=source, target=target, facts=(), path=path, names={}, split=split)


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_ships_was_not_trained_on_the_cases_that_it_is_judged_by(name: str) -> None:
    learned = trained_on(shipped(name))
    assert len(learned) > 2_000
    pairs, rows = {pair[:2] for pair in learned}, {row for *_, chain in learned for row in stretches(chain)}
    for file in shipped(name).glob("cases_held_out*.jsonl.gz"):
        for one in load_cases(file):
            assert (one.source, one.target) not in pairs
            assert one.split != "held_out_sequences" or one.toolchain not in rows


def test_cases_that_it_learned_are_not_held_out_from_it() -> None:
    given = GivenAdapter.chosen("whole", "smollm2")
    source, target, chain = next(row for row in trained_on(shipped("whole")) if len(row[2]) > 2)
    known = [case(source, chain, target, split) for split in ("train", "held_out", "held_out_sequences")]
    part = case("source:another", chain[:2], target, "held_out_sequences")
    new = [
        case("source:another", chain, target, "held_out"),
        case("source:another", chain[::-1], target, "held_out_sequences"),
    ]
    splits = {"train": known[:1], "held_out": [known[1], new[0]], "held_out_sequences": [known[2], part, new[1]]}
    assert given is not None
    assert stretches(chain) <= given.taught and (source, target, chain) in given.learned
    assert given.unseen(splits) == {"train": known[:1], "held_out": new[:1], "held_out_sequences": new[1:]}


def test_what_another_adapter_learned_is_not_known(tmp_path: Path) -> None:
    assert trained_on(tmp_path) == trained_on(tmp_path / "whole") == []
