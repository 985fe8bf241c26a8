"""Links in run folders: nothing that is written follows one to what lies outside."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hostile_area import answered, area, around, finish
from tiny_chain import RUN, SAME

from workbench.artifacts import runs
from workbench.artifacts.work import renew
from workbench.hands.cli import main
from workbench.hands.panel import export

__all__ = ["area"]

INNER = {"kg": ".", "adapter": ".", "explain": "explanations", "shift": "reduced"}


def make(run: Path, stages: Iterable[str] = INNER) -> None:
    """Stages as notebooks opened by hand make them, with folders within, checkpoints and an export."""
    for stage in stages:
        inner = INNER[stage]
        folder = runs.open_stage(run, stage)
        runs.atomic_write_text(folder / inner / "a.txt", "x")
        (folder / runs.WORK_FOLDER).mkdir(exist_ok=True)
        (folder / runs.WORK_FOLDER / "progress.json").write_text("{}")
        runs.write_manifest(run, stage, config={}, inputs={}, metrics={"n": 1}, seed=1, device="cpu")
    export.write(run / "explain" / "exports" / "case", {".csv": b"1"})


def test_no_link_in_a_run_leads_what_is_written_out_of_it(area: Path) -> None:
    """In place of every file and folder, of what is being made too, a link: what it leads to stays as it is."""
    whole = area / "inside" / "whole"
    make(whole)
    (runs.open_stage(whole, "adapter") / runs.WORK_FOLDER / "checkpoint-3").mkdir(parents=True)
    (runs.work_folder(whole, "adapter") / runs.WORK_FOLDER / "checkpoint-3" / "optimizer.pt").write_text("x")
    paths = [path.relative_to(whole) for path in whole.rglob("*")]
    paths += map(Path, ("kg.new", "kg.old", "report.html"))
    assert len(paths) > 25
    before, refused = around(area), 0
    for number, path in enumerate(paths):
        run = Path(shutil.copytree(whole, area / "inside" / str(number)))
        place = run / path
        folder = place.is_dir() or place.suffix in (".new", ".old")
        if folder and place.exists():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.symlink_to(area / ("elsewhere" if folder else "outside"))
        try:
            renew(run, "adapter")
            make(run, [name for name in INNER if path.parts[0].startswith(name)])
        except ValueError as error:
            assert f"{place} is a link to" in str(error)
            refused += 1
        assert around(area) == before, path
        shutil.rmtree(run)
    assert 4 < refused < len(paths), "a link to what is only replaced does no harm"


def test_links_out_of_the_run_folder_are_refused_before_anything_runs(
    area: Path, capsys: pytest.CaptureFixture
) -> None:
    run = area / "inside" / "run"
    run.mkdir()
    for name in ("adapter", "adapter.new", "kg.old", "notebooks", ".lock", ".lock.kernel"):
        (run / name).symlink_to(area / ("outside" if name.startswith(".") else "elsewhere"))
        error = answered(["run", "--run-dir", str(run), "--notebooks", str(area / "nb")], capsys)
        assert f"{name} is a link to" in error
        (run / name).unlink()
        assert not [path.name for path in run.iterdir() if not path.name.startswith(".")]
    finish(run, "kg")
    os.mkfifo(run / "kg" / "pipe")
    assert "pipe" not in runs.folder_files(run / "kg")
    assert runs.check_stage(run, "kg") == [], "a pipe nobody writes to would be waited for"


def test_links_in_a_finished_run_and_in_a_sweeps_folder_are_not_written_through(
    area: Path, made_chain: Path, capsys: pytest.CaptureFixture
) -> None:
    run, before = Path(shutil.copytree(made_chain / RUN, area / "inside" / "run")), around(area)
    for path in [path for path in run.rglob("*") if path.is_file() and not path.name.startswith(".lock")]:
        path.unlink()
        path.symlink_to(area / "outside")
    (run / "notebooks" / "01_build_kg.partial.ipynb").symlink_to(area / "outside")
    words = ["run", "--run-dir", str(run), "--notebooks", str(made_chain / "nb"), *SAME, "--fresh"]
    assert main(words) == 0 and around(area) == before
    assert main(["verify", str(run)]) == 0 and not [path for path in run.rglob("*") if path.is_symlink()]
    capsys.readouterr()

    (area / "inside" / "grid.yaml").write_text(f"what: chain\nnotebooks: {area / 'nb'}\nseeds: 1\n")
    for name in (".lock", "rows.jsonl", "runs"):
        out = area / "inside" / f"sweep {name}"
        out.mkdir()
        (out / name).symlink_to(area / "outside" if name != "runs" else area)
        error = answered(["sweep", "grid.yaml", "--out", str(out), "--workers", "1"], capsys)
        assert "is a link to" in error and around(area) == before
