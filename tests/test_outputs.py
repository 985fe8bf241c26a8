"""No command writes over what it reads, by whatever name; it says so before anything is written. Links in run folders:
nothing that is written follows one to what lies outside."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from damaged_records import BIOTOOLS
from hostile_area import answered, area, around, finish
from kg_tables import write_table
from refusals import refused
from tiny_chain import RUN, SAME, write_notebooks

from workbench.artifacts import runs
from workbench.artifacts.files import check_outputs
from workbench.artifacts.stage import renew
from workbench.hands.cli import main
from workbench.hands.panel import explorer
from workbench.kg import build_graph, read_table, to_json


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with something to read for every command, as the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("entries").mkdir()
    for name in ("entries/e.json", "one.json"):
        Path(name).write_text(json.dumps([BIOTOOLS]))
    write_table(Path("table"))
    to_json(build_graph(read_table("table")), "graph.json")
    Path("sweep.json").write_text(json.dumps({"what": "chain", "notebooks": str(write_notebooks(tmp_path / "nb"))}))
    os.symlink("one.json", "link.json")
    os.link("one.json", "hard.json")
    for name in ("a.json", "b.json", "map.json"):
        Path(name).write_text("{}")
    for stage in runs.STAGES:
        finish(Path("run"), stage)
    to_json(build_graph(read_table("table")), "run/kg/own.json")
    return tmp_path


IMPORT = "kg import biotools"
REFUSED = [
    (f"{IMPORT} one.json --out one.json", "out one.json would overwrite one.json"),
    (f"{IMPORT} one.json --out ./entries/../one.json", "would overwrite one.json"),
    (f"{IMPORT} one.json --out link.json", "would overwrite one.json"),
    (f"{IMPORT} link.json --out one.json", "would overwrite link.json"),
    (f"{IMPORT} one.json --out hard.json", "would overwrite one.json"),
    (f"{IMPORT} one.json --out HERE/one.json", "would overwrite one.json"),
    (f"{IMPORT} one.json --out g.json --report one.json", "report one.json would overwrite one.json"),
    (f"{IMPORT} one.json --out g.json --report ./g.json", "--report g.json is the file of --out too"),
    (f"{IMPORT} entries --out entries/e.json", "would overwrite"),
    (f"{IMPORT} entries --out entries/new.json", "would be read as a part of it the next time"),
    (f"{IMPORT} one.json --out map.json --mapping map.json", "--out map.json would overwrite map.json"),
    ("kg merge graph.json table --out graph.json", "--out graph.json would overwrite graph.json"),
    ("kg merge graph.json table --out m.json --matches table/tools.tsv", "--matches table/tools.tsv would overwrite"),
    ("kg merge graph.json table --out m.json --conflicts m.json", "--conflicts m.json is the file of --out too"),
    ("kg merge graph.json graph.json --out m.json", "two graphs or more, each given once"),
    ("bench compare a.json b.json --json b.json", "--json b.json would overwrite b.json"),
    ("bench certified --run-dir run --json run/adapter/manifest.json", "would overwrite run/adapter"),
    ("bench certified --run-dir run --json run", "this is a folder"),
    ("sweep sweep.json --out . --dry-run", "would overwrite sweep.json"),
    ("run --run-dir run --notebooks nb -p table run/kg/own.json", "would overwrite run/kg/own.json"),
    ("run --run-dir run --notebooks nb --fresh -p table HERE/run/kg", "would overwrite"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_is_read_is_never_written_over(place, words, said, capsys):
    if " -p table " in words:
        write_notebooks(place / "nb", extra={"kg": "table = 'x'\n"})
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert main(words.replace("HERE", str(place)).split()) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_new_file_beside_what_is_read_is_written(place: Path) -> None:
    assert main([*IMPORT.split(), "one.json", "--out", "g.json", "--report", "r.json"]) == 0
    assert main([*IMPORT.split(), "one.json", "--out", "g.json", "--report", "r.json"]) == 0
    assert main([*IMPORT.split(), "entries", "--out", "g.json", "--report", "entries/findings.tsv"]) == 0
    assert main(["kg", "merge", "graph.json", "g.json", "--out", "new/m.json", "--matches", "table/matches.tsv"]) == 0
    assert Path("table/matches.tsv").is_file() and Path("new/m.json").is_file()


def test_an_output_must_not_hold_an_input_nor_lie_in_one(place: Path) -> None:
    check_outputs({"--out": "new.json", "--report": None}, reads=["one.json", "absent.json"])
    for out, read in (("run", "run/kg"), ("run/kg/x.json", "run"), ("absent/../one.json", "one.json")):
        refused("would overwrite", check_outputs, {"--out": out}, reads=[read])


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
    explorer.write(run / "explain" / "exports" / "case", {".csv": b"1"})


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


def test_links_out_of_the_run_folder_are_refused_before_anything_runs(area, capsys):
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


def test_links_in_a_finished_run_and_in_a_sweeps_folder_are_not_written_through(area, made_chain, capsys):
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
