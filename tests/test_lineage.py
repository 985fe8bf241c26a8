"""From a run back to what it was made from: show, verify, diff. `workbench.Run`: a finished or unfinished run folder
through one door. Run All by hand on a finished stage reads it; notebooks 3 and 4 are read in their own tests."""

import json
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
from tiny_chain import GIVEN, RUN
from ui_run import TINY

import workbench
from workbench import explain
from workbench.artifacts import provenance, runs
from workbench.artifacts.provenance import describe_input, input_change, remembered_digest
from workbench.artifacts.runs import RUN_DIR, MissingStage
from workbench.artifacts.stage import check_code
from workbench.attribution import METHODS
from workbench.cases import save_cases, toolchain
from workbench.game import Game
from workbench.hands.cli import main
from workbench.hands.headless.chain import run_chain
from workbench.hands.report.lineage import NoRun, compare, lineage, metric_differences, verify


@pytest.fixture
def made(made_chain: Path) -> Path:
    """A finished run of the tiny chain with its report; copied by tests that change it."""
    return made_chain / RUN


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copied"))


def test_everything_a_number_rests_on_is_recorded(made: Path, capsys: pytest.CaptureFixture) -> None:
    adapter = lineage(made)["stages"]["adapter"]
    assert adapter["parameters"] == {"seed": 5, "rate": 1.0, "model": "reader", "wait": False}
    assert adapter["inputs"]["kg"]["path"] == "run:kg"
    assert {f"artifacts/{name}.py" for name in ("runs", "stage", "files")} <= set(adapter["code"]["sources"])
    assert adapter["code"]["package_sha256"] == provenance.sources_digest(provenance.PACKAGE_FOLDER)
    assert adapter["machine"]["peak_bytes"] > 1e6 and adapter["packages"]["torch"]

    assert main(["show", str(made)]) == 0
    told = capsys.readouterr().out
    for word in ("02_train_qlora", "rate: 1.0", "kg: run:kg", "seed: 5", "sources", "result.txt"):
        assert word in told
    assert main(["show", str(made), "--json", "--stage", "adapter"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"] == {"adapter": adapter}


def test_verify_says_what_no_longer_matches(copied: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(copied)]) == 0
    assert capsys.readouterr().out.count("as it was made") == 5
    (copied / "kg" / "result.txt").write_text("edited")
    page = copied / "report.html"
    page.write_text(page.read_text().replace("recorded metric", "other metric"))
    manifest = copied / "shift" / runs.MANIFEST
    manifest.write_text(manifest.read_text().replace('"n": 5', '"n": 6'))
    assert main(["verify", str(copied), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["stages"]["kg"]["broken"] == ["file result.txt was changed"]
    assert "is not the one it was made from" in found["stages"]["adapter"]["broken"][0]
    assert found["stages"]["explain"]["broken"] == []
    assert "its manifest is not the one" in found["stages"]["shift"]["broken"][0]
    assert "was changed" in found["report"] and not found["sound"]


def test_verify_counts_the_files(copied: Path, capsys: pytest.CaptureFixture) -> None:
    def verdict(stage: str) -> tuple[list[str], list[str]]:
        code = main(["verify", str(copied), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (code == 0) == found["sound"]
        return found["stages"][stage]["broken"], found["stages"][stage]["notes"]

    for usual in (".ipynb_checkpoints/result-checkpoint.txt", ".DS_Store", "exports/a.png", "exports/more/b.csv"):
        runs.atomic_write_text(copied / "kg" / usual, "x")
    broken, notes = verdict("kg")
    named = "beside the result: .DS_Store, .ipynb_checkpoints/result-checkpoint.txt, exports/a.png and 1 more"
    assert broken == [] and named in notes
    runs.open_stage(copied, "kg")
    assert any("begun anew and not finished" in note for note in verdict("kg")[1])
    for foreign, as_link in (("planted.txt", False), ("deep/er/planted.json", False), ("linked", True)):
        place = copied / "kg" / foreign
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(copied / "adapter") if as_link else place.write_text("x")
        assert verdict("kg")[0] == [f"file {foreign} is no part of what was made; remove it"]
        place.unlink()
    (copied / "kg" / "result.txt").unlink()
    assert verdict("kg")[0] == ["file result.txt is gone"]


def test_code_that_moved_on_is_a_note(copied: Path, capsys: pytest.CaptureFixture) -> None:
    path = copied / "kg" / runs.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["code"]["sources"]["artifacts/runs.py"] = "0" * 64
    path.write_text(json.dumps(manifest))
    assert check_code(copied, "kg") == ["the code that made it was changed (artifacts/runs.py)"]
    assert not runs.is_complete(copied, "kg") and runs.require_stage(copied, "kg")
    main(["verify", str(copied)])
    assert "note: the code that made it was changed (artifacts/runs.py)" in capsys.readouterr().out


def test_diff_names_parameters_files_and_metrics(made: Path, copied: Path, capsys: pytest.CaptureFixture) -> None:
    page = str(copied.parent / "both.html")
    assert main(["diff", str(made), str(copied), "--html", page]) == 0
    assert "Workbench run copied" in Path(page).read_text()
    assert main(["diff", str(made), str(copied), "--html", str(copied / "kg" / "page.html")]) == 2
    notebooks = made.parent / "nb"
    run_chain(copied, notebooks=notebooks, parameters={**GIVEN, "seed": 3}, say=lambda line: None)
    assert main(["diff", str(made), str(copied), "--json"]) == 1
    capsys.readouterr()
    found = compare(made, copied)["adapter"]
    assert found["parameters"] == ["seed 5 -> 3"] and found["files"] == ["result.txt differs"]
    assert found["metrics"] == [{"name": "n", "first": 5, "second": 3, "difference": -2, "relative": -0.4}]
    assert any(line.startswith("input kg ") for line in found["made_from"])
    assert main(["diff", str(made), str(copied)]) == 1
    told = capsys.readouterr().out
    assert "parameters: seed 5 -> 3" in told and "-40.00%" in told
    shutil.rmtree(copied / "shift")
    assert compare(made, copied)["shift"]["files"] == [f"the stage was not made, or not to its end in {copied}"]


def test_metrics_are_compared_where_they_can_be() -> None:
    one = {"a": 0, "b": {"c": [1.0, 2.0]}, "train_seconds": 3, "text": "x", "same": True, "gone": 1}
    other = {"a": 1, "b": {"c": [1.0, 2.5]}, "train_seconds": 9, "text": "y", "same": True}
    rows = {row["name"]: row for row in metric_differences(one, other)}
    assert set(rows) == {"a", "b.c.1", "text", "gone"}
    assert rows["a"]["relative"] is None and rows["a"]["difference"] == 1
    assert rows["b.c.1"]["relative"] == 0.25 and rows["text"]["difference"] is None


def test_a_folder_without_a_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for words in (["show", str(tmp_path)], ["verify", str(tmp_path)], ["diff", str(tmp_path), str(tmp_path)]):
        assert main(words) == 2
        assert "holds no run" in capsys.readouterr().err
    with pytest.raises(NoRun):
        lineage(tmp_path)


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=n", "-c", "user.email=e@e")
    return subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_revision_is_that_of_the_checkout_that_tracks_the_package(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert provenance.git_state(package) == {"revision": None, "edited": None}
    git(tmp_path, "init", "-q")
    assert provenance.git_state(package)["revision"] is None, "installed below a checkout, but no part of it"
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "-qm", "first")
    assert provenance.git_state(package) == {"revision": git(tmp_path, "rev-parse", "HEAD").strip(), "edited": False}
    (package / "__init__.py").write_text("x = 1")
    assert provenance.git_state(package)["edited"] is True


def test_a_large_file_is_read_once_and_a_changed_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.artifacts.provenance.LARGE", 1)
    monkeypatch.setattr("workbench.artifacts.provenance.SETTLED_SECONDS", -1.0)
    path = tmp_path / "model.safetensors"
    path.write_text("a")
    first = remembered_digest(path)
    monkeypatch.setattr("workbench.artifacts.provenance.sha256_file", lambda path: "read")
    assert remembered_digest(path) == first
    path.write_text("bb")
    assert remembered_digest(path) == "read"


def test_a_fetched_model_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = iter(["a" * 40, "b" * 40])
    where = "huggingface_hub.try_to_load_from_cache"
    monkeypatch.setattr(where, lambda name, file: str(tmp_path / next(commit) / file))
    recorded = describe_input(tmp_path, "model", "org/model-7b")
    assert recorded == {"id": "org/model-7b", "revision": "a" * 40}
    assert "is at commit bbbbbbbbbbbb now" in str(input_change(tmp_path, "model", recorded))
    assert describe_input(tmp_path, "model", "no model, a text") == {"id": "no model, a text"}


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
