"""Run All in a finished run: every stage is read, no file of the run is touched, and what differs is refused."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from notebook_runs import execute
from test_notebooks import SMALL as EXPLAIN
from test_shift_notebook import SMALL as SHIFT
from ui_run import TINY

from workbench.artifacts import runs
from workbench.artifacts.looking import RUN_DIR
from workbench.report.lineage import verify

FEWER = {"held_out_cases": 8, "scored_cases": 2, "base_cases": 2, "shares": [0.0]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A run made by hand, and the parameters of each of its notebooks."""
    run = tmp_path_factory.mktemp("looking") / "run"
    given = {
        "01_build_kg": {"shown_nodes": 30}, "02_train_qlora": TINY | FEWER, "03_explain_masks": EXPLAIN,
        "04_compare_shift": SHIFT,
    }  # fmt: skip
    for name, parameters in given.items():
        execute(name, run_dir=str(run), **parameters)
    return run, given


def state(run: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every file, time of every folder."""
    paths = sorted(run.rglob("*"))
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", path.stat().st_mtime_ns)
        for path in [run, *paths]
    }


@pytest.mark.slow
def test_all_cells_of_all_notebooks_leave_a_finished_run_as_it_is(finished, capsys: pytest.CaptureFixture[str]) -> None:
    run, given = finished
    before = state(run)
    steps = [execute(name, run_dir=str(run), **parameters) for name, parameters in given.items()]
    assert state(run) == before
    said = capsys.readouterr().out
    assert said.count("it is read, and nothing in the run folder changes") == 4 and "again=True" in said
    assert steps[1]["result"].steps == TINY["steps"] and steps[1]["result"].history, "the adapter is that of the run"
    panel, shift = steps[2]["panel"], steps[3]["panel"]
    assert panel.view.method.value == "certified" and not panel.stale and shift.off == () and shift.state["dose"] == 1
    assert panel.removed == steps[2]["proved"].removed


@pytest.mark.slow
def test_other_parameters_are_refused_before_any_work(finished, tmp_path: Path) -> None:
    run, given = Path(shutil.copytree(finished[0], tmp_path / "run")), finished[1]
    before = state(run)
    for name, change in {"02_train_qlora": {"steps": 8}, "03_explain_masks": {"alpha": 1.5}}.items():
        with pytest.raises(runs.FinishedStage, match=f"{next(iter(change))} .* -> .*again=True"):
            execute(name, run_dir=str(run), **given[name] | change)
    assert state(run) == before


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
    with pytest.raises(runs.FinishedStage, match="seed 0 -> 1"):
        make(tmp_path, 1)
    assert state(tmp_path) == before
    assert "is made" in make(tmp_path, 1, again=True) and runs.read_manifest(tmp_path, "kg")["seed"] == 1
    (tmp_path / "kg" / "graph.json").write_text("edited")
    assert "is made" in make(tmp_path, 2) and runs.read_manifest(tmp_path, "kg")["seed"] == 2


def test_a_headless_run_makes_what_it_comes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.setenv(RUN_DIR, os.fspath(tmp_path))
    assert "is made" in make(tmp_path) and "is made" in make(tmp_path, 3)
    assert verify(tmp_path)["kg"]["broken"] == [f"its executed copy {tmp_path}/notebooks/01_build_kg.ipynb is gone"]
