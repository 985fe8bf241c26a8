"""`workbench.Run`: a finished or unfinished run folder through one door. Run All by hand on a finished stage reads it;
notebooks 3 and 4 are read in their own tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from notebook_runs import execute, state
from refusals import refused
from sweep_runs import make_run
from tiny import NAMES, chain_case
from ui_run import TINY

import workbench
from workbench import explain
from workbench.artifacts import runs
from workbench.artifacts.runs import RUN_DIR, MissingStage
from workbench.attribution import METHODS
from workbench.cases import save_cases, toolchain
from workbench.game import Game
from workbench.hands.report.lineage import verify


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workbench.Run:
    folder = make_run(tmp_path_factory.mktemp("run"), cases=3)
    save_cases(folder / "adapter" / "showcase.jsonl", [chain_case()])
    return workbench.Run(folder)


def test_what_the_adapter_left_is_there_and_the_rest_names_its_notebook(run: workbench.Run) -> None:
    assert set(run.cases) == {"train", "held_out", "showcase"} and len(run.cases["held_out"]) == 3
    assert run.names == NAMES and run.model == "reader" and run.metrics == {"adapter": {}}
    assert run.explanations == [] and run.settings == (explain.ExplainConfig(), 0.0, 0)
    assert repr(run).endswith("finished: adapter)") and run.asker() is None
    with pytest.raises(MissingStage, match="01_build_kg"):
        _ = run.graph


def test_explanations_scores_and_answers_are_those_of_the_functions(run: workbench.Run) -> None:
    for method in ("certified", "paper"):
        (own,) = explain.explain(run.engine, [run.cases["held_out"][1]], method, seed=0)
        assert run.explain("held-1", method) == own
    case, scores = run.case("showcase"), run.attribute("showcase")
    straight = METHODS["leave_one_out"](Game.of(run.engine, case)).scores
    assert np.allclose(sorted(straight, reverse=True), scores) and scores.is_monotonic_decreasing
    assert set(scores.index) == {case.label(element) for element in case.elements}
    (path,) = run.engine.answers([case], adapter=False)
    assert run.answers("showcase")["base"] == tuple(NAMES[node] for node in toolchain(path)), "commands by name"
    table = run.compare(["held-0", "held-2"], ["paper", "attention_highest"])
    assert len(table) == 4 and {"jaccard", "flipped"} <= set(table.columns)


def test_unknown_names_say_what_there_is(run: workbench.Run, tmp_path: Path) -> None:
    refused("held_out", run.cases.__getitem__, "held", error=KeyError)
    refused("no case has the id", run.case, "nobody", error=KeyError)
    refused("leave_one_out", run.attribute, "showcase", "magic", error=KeyError)
    with pytest.raises(MissingStage, match="02_train_qlora"):
        _ = workbench.Run(tmp_path / "none").cases


def test_the_door_itself_is_light() -> None:
    """The tests above go through it; here nobody has yet."""
    code = "import sys, workbench; assert not {'torch', 'pandas', 'networkx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.slow
def test_the_graph_and_the_adapter_of_a_finished_run_are_read(ui_run, tmp_path, capsys):
    run = Path(shutil.copytree(ui_run, tmp_path / "run"))
    before = state(run)
    with pytest.raises(runs.FinishedStage, match=r"steps 4 -> 8.*again=True"):
        execute("02_train_qlora", run_dir=str(run), **TINY | {"steps": 8})
    execute("01_build_kg", run_dir=str(run), shown_nodes=30)
    made = execute("02_train_qlora", run_dir=str(run), **TINY)
    assert state(run) == before
    assert capsys.readouterr().out.count("it is read, and nothing in the run folder changes") == 2
    weights = "adapter_model.safetensors"
    assert (made["folder"] / weights).read_bytes() == (run / "adapter" / weights).read_bytes()
    assert made["result"].steps == 4 and made["result"].history, "the training ends where it ended"


def make(run: Path, seed: int = 0, **how) -> str:
    """What the cells of a notebook do with their stage."""
    said = runs.read_or_make(run, "kg", {"seed": seed, "shown_nodes": 400, "run_dir": str(run), "other": 1}, **how)
    folder = runs.open_stage(run, "kg")
    runs.atomic_write_text(folder / "graph.json", f"{seed} {said}")
    runs.write_manifest(run, "kg", config={}, inputs={}, metrics={"seed": seed}, seed=seed, device="cpu")
    return said


def test_a_stage_is_made_again_where_that_is_said_or_where_it_is_not_whole(tmp_path: Path) -> None:
    assert "is made" in make(tmp_path)
    assert runs.read_manifest(tmp_path, "kg")["parameters"] == {"seed": 0, "shown_nodes": 400}
    before = state(tmp_path)
    assert "is read" in make(tmp_path) and state(tmp_path) == before
    refused("seed 0 -> 1", make, tmp_path, 1, error=runs.FinishedStage)
    assert state(tmp_path) == before
    assert "is made" in make(tmp_path, 1, again=True) and runs.read_manifest(tmp_path, "kg")["seed"] == 1
    (tmp_path / "kg" / "graph.json").write_text("edited")
    assert "is made" in make(tmp_path, 2) and runs.read_manifest(tmp_path, "kg")["seed"] == 2


def test_a_headless_run_makes_what_it_comes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.setenv(RUN_DIR, os.fspath(tmp_path))
    assert "is made" in make(tmp_path) and "is made" in make(tmp_path, 3)
    assert verify(tmp_path)["kg"]["broken"] == [f"its executed copy {tmp_path}/notebooks/01_build_kg.ipynb is gone"]
