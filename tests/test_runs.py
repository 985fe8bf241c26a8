"""The run folder: files are whole or absent, and a stage that changed is noticed."""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from workbench.artifacts import runs, stage
from workbench.artifacts.files import digest_folder, untimed
from workbench.artifacts.stage import renew, settle, state_of_work


def finish(run_dir: Path, stage: str, *, text: str = "x", **changes: object) -> dict:
    """Make a stage with one file."""
    folder = runs.open_stage(run_dir, stage)
    runs.atomic_write_text(folder / "result.txt", text)
    arguments: dict = {"config": {"rate": 0.1}, "inputs": {}, "metrics": {"n": 1}, "seed": 7, "device": "cpu"}
    return runs.write_manifest(run_dir, stage, **{**arguments, **changes})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("-inf"), np.array([1.0, np.nan])])
def test_a_number_that_is_none_is_named_and_nothing_is_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match=r"metrics\.tuned\.exact(\[1\])? is (nan|inf|-inf)"):
        finish(tmp_path, "kg", metrics={"tuned": {"exact": value}})
    assert not (tmp_path / "kg" / runs.MANIFEST).exists()


def test_a_folder_digest_tells_of_names_and_contents_only(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "a").write_text("a")
    digest = digest_folder(one)
    assert digest == digest_folder(two)
    for ignored in (".hidden", runs.MANIFEST, f"{runs.WORK_FOLDER}/state"):
        runs.atomic_write_text(two / ignored, "b")
    assert digest == digest_folder(two)
    (two / "sub" / "a").rename(two / "sub" / "b")
    assert digest != digest_folder(two)
    refused("nowhere", digest_folder, tmp_path / "nowhere", error=NotADirectoryError)


def test_a_manifest_says_what_the_stage_was_made_from(tmp_path: Path) -> None:
    finish(tmp_path, "kg")
    table = tmp_path / "table.tsv"
    table.write_text("t")
    written = finish(tmp_path, "adapter", inputs={"kg": tmp_path / "kg", "table": table, "model": "org/name"})
    assert written == runs.read_manifest(tmp_path, "adapter")
    assert written["inputs"]["kg"] == {"path": "run:kg", "sha256": digest_folder(tmp_path / "kg")}
    assert written["inputs"]["table"]["sha256"] == runs.sha256_file(table)
    assert written["inputs"]["model"] == {"id": "org/name"}
    assert written["files"] == {"result.txt": runs.sha256_file(tmp_path / "adapter" / "result.txt")}
    assert {"torch", "transformers", "peft"} <= written["packages"].keys()
    assert written["seconds"] >= 0 and (written["seed"], written["device"]) == (7, "cpu")
    assert runs.is_complete(tmp_path, "adapter") and not runs.is_complete(tmp_path, "shift")
    table.write_text("u")
    assert not runs.is_complete(tmp_path, "adapter")
    found = finish(tmp_path, "kg", inputs={"code": Path(runs.__file__)})["inputs"]["code"]["path"]
    assert found == "package:artifacts/runs.py" and runs.check_stage(tmp_path, "kg") == []


def test_a_missing_stage_names_the_notebook_to_run(tmp_path: Path) -> None:
    with pytest.raises(runs.MissingStage, match=r"'adapter' was not made or not finished.*02_train_qlora\.ipynb"):
        runs.require_stage(tmp_path, "adapter")
    refused("unknown stage 'graph'; the stages are kg, adapter, explain, shift", runs.require_stage, tmp_path, "graph")
    with pytest.raises(runs.MissingStage, match="call open_stage"):
        runs.write_manifest(tmp_path, "kg", config={}, inputs={}, metrics={}, seed=1, device="cpu")
    refused("input 'table'", finish, tmp_path, "kg", inputs={"table": tmp_path / "none.tsv"}, error=FileNotFoundError)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"files": 3, "inputs": {}}'])
def test_a_damaged_manifest_counts_as_none(tmp_path: Path, damage: str) -> None:
    finish(tmp_path, "kg")
    (tmp_path / "kg" / runs.MANIFEST).write_text(damage)
    assert not runs.is_complete(tmp_path, "kg")
    refused("'kg' was not made", runs.require_stage, tmp_path, "kg", error=runs.MissingStage)
    finish(tmp_path, "kg")
    assert runs.require_stage(tmp_path, "kg") == tmp_path / "kg"


def test_a_changed_file_or_input_makes_a_stage_stale(tmp_path: Path) -> None:
    finish(tmp_path, "kg")
    finish(tmp_path, "adapter", inputs={"kg": tmp_path / "kg"})
    assert runs.is_complete(tmp_path, "adapter")
    (tmp_path / "kg" / "exported.png").write_text("a picture saved later changes no result")
    assert runs.is_complete(tmp_path, "kg") and runs.is_complete(tmp_path, "adapter")

    finish(tmp_path, "kg")  # made again, with the same content
    assert runs.is_complete(tmp_path, "adapter")
    finish(tmp_path, "kg", text="other")
    with pytest.raises(stage.StaleStage, match=r"input kg .* is not the one it was made from.*02_train_qlora"):
        runs.require_stage(tmp_path, "adapter")

    (tmp_path / "kg" / "result.txt").write_text("edited")
    refused(r"file result\.txt was changed", runs.require_stage, tmp_path, "kg", error=stage.StaleStage)
    (tmp_path / "kg" / "result.txt").unlink()
    assert runs.check_stage(tmp_path, "kg") == ["file result.txt is gone"]


def test_another_version_of_the_package_means_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(tmp_path, "kg")
    monkeypatch.setattr(stage, "__version__", "9.9.9")
    assert not runs.is_complete(tmp_path, "kg")


def test_a_result_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    finish(tmp_path, "adapter", text="old")
    folder = tmp_path / "adapter"
    outside = tmp_path / "outside.txt"
    outside.write_text("not ours")
    manifest = json.loads((folder / runs.MANIFEST).read_text())
    manifest["files"]["../outside.txt"] = "0"  # a manifest is data; it cannot point out of its folder
    (folder / runs.MANIFEST).write_text(json.dumps(manifest))
    (folder / "notes.txt").write_text("someone's notes")
    (folder / "exports").mkdir()
    (folder / "exports" / "a.png").write_text("a picture")
    (folder / ".0123.tmp").write_text("left by a killed run")
    (folder / runs.WORK_FOLDER).mkdir()

    def content() -> dict[str, str]:
        return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}

    before = content()
    work = runs.open_stage(tmp_path, "adapter")
    runs.atomic_write_text(work / "other.txt", "new")
    assert content() == before
    runs.write_manifest(tmp_path, "adapter", config={}, inputs={}, metrics={}, seed=1, device="cpu")
    after = content()
    assert after.pop(runs.MANIFEST) != before[runs.MANIFEST]
    assert after == {"other.txt": "new", "notes.txt": "someone's notes", "exports/a.png": "a picture"}
    assert outside.exists() and {path.name for path in tmp_path.iterdir()} == {"adapter", "outside.txt"}


def test_checkpoints_live_until_the_stage_is_made_again(tmp_path: Path) -> None:
    state = runs.open_stage(tmp_path, "adapter") / runs.WORK_FOLDER / "state"
    state.parent.mkdir()
    state.write_text("step 100")
    runs.open_stage(tmp_path, "adapter")  # the first was interrupted
    assert state.exists()
    runs.write_manifest(tmp_path, "adapter", config={}, inputs={}, metrics={}, seed=1, device="cpu")
    kept = tmp_path / "adapter" / runs.WORK_FOLDER / "state"
    assert kept.exists() and not state.exists()
    assert (runs.open_stage(tmp_path, "adapter") / runs.WORK_FOLDER / "state").read_text() == "step 100"
    assert kept.exists(), "copied: a stop behind the manifest goes on from there"
    finish(tmp_path, "adapter")
    assert kept.exists() and not state.exists()

    renew(tmp_path, "adapter")
    assert not (runs.open_stage(tmp_path, "adapter") / runs.WORK_FOLDER).exists(), "made from nothing"
    assert runs.is_complete(tmp_path, "adapter")
    assert state_of_work(tmp_path, "adapter") == "afresh"
    runs.open_stage(tmp_path, "adapter")
    assert state_of_work(tmp_path, "adapter") == "afresh", "until it is made, however often that is begun"
    finish(tmp_path, "adapter")
    assert state_of_work(tmp_path, "adapter") is None


class Killed(BaseException):
    pass


def test_a_kill_between_any_two_steps_leaves_the_old_result_or_the_new_one(tmp_path, monkeypatch):
    """Every call that changes a folder is the last one once; what is left is settled, and neither torn nor mixed."""
    seen: set[str] = set()
    for last in itertools.count(1):
        run = tmp_path / str(last)
        finish(run, "adapter", text="old")
        (run / "adapter" / "exports").mkdir()
        (run / "adapter" / "exports" / "a.png").write_text("a picture")
        state = runs.open_stage(run, "adapter") / runs.WORK_FOLDER / "state"
        state.parent.mkdir()
        state.write_text("new")
        killed = False
        with monkeypatch.context() as patched:
            count_down(patched, last)
            try:
                runs.open_stage(run, "adapter")
                finish(run, "adapter", text="new")
            except Killed:
                killed = True
        settle(run, "adapter")
        assert runs.check_stage(run, "adapter") == []
        text = (run / "adapter" / "result.txt").read_text()
        begun = run / "adapter.new" if text == "old" else run / "adapter"
        assert (begun / runs.WORK_FOLDER / "state").read_text() == "new", "checkpoints are gone on with"
        assert (run / "adapter" / "exports" / "a.png").read_text() == "a picture"
        seen.add(text)
        if not killed:
            break
        assert last < 200
    assert seen == {"old", "new"} and last > 8


def count_down(patched: pytest.MonkeyPatch, last: int) -> None:
    """Let the process end, as by a kill, before the call of that number that renames, removes or makes something."""
    left = iter(range(last - 1, -1, -1))

    def until(call: Callable) -> Callable:
        def stopped(*given: object, **how: object) -> object:
            if next(left, 0) == 0:
                raise Killed
            return call(*given, **how)

        return stopped

    for name in ("replace", "rename", "unlink", "rmdir", "mkdir"):
        patched.setattr(os, name, until(getattr(os, name)))


def test_a_run_folder_can_be_moved(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    finish(before, "kg")
    finish(before, "adapter", inputs={"kg": before / "kg"})
    before.rename(after)
    assert runs.is_complete(after, "adapter")


def test_what_an_interrupted_run_left_is_no_part_of_the_next_result(tmp_path: Path) -> None:
    folder = runs.open_stage(tmp_path, "kg")
    (folder / "result.txt").write_text("half")
    (folder / "left.txt").write_text("half")
    assert finish(tmp_path, "kg")["files"].keys() == {"result.txt"}


def test_times_are_no_part_of_a_result() -> None:
    value = {"a": [{"seconds": 1.0, "calls": 2}], "seconds": 3, "b": {"ledger": {"seconds": 4, "rows": (1, 2)}}}
    assert untimed(value) == {"a": [{"calls": 2}], "b": {"ledger": {"rows": [1, 2]}}}
