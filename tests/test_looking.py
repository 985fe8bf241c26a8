"""Run All by hand on a finished stage reads it; notebooks 3 and 4 are read in their own tests."""

import os
import shutil
from pathlib import Path

import pytest
from notebook_runs import execute, state
from ui_run import TINY, ui_run

from workbench.artifacts import runs
from workbench.artifacts.runs import RUN_DIR
from workbench.hands.report.lineage import verify

__all__ = ["ui_run"]


@pytest.mark.slow
def test_the_graph_and_the_adapter_of_a_finished_run_are_read(
    ui_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
