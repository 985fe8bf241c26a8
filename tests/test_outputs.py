"""No command writes over what it reads, by whatever name; it says so before anything is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from damaged_records import BIOTOOLS
from kg_tables import write_table
from tiny_chain import write_notebooks

from workbench.artifacts import runs
from workbench.artifacts.files import check_outputs
from workbench.hands.cli import main
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
        runs.open_stage("run", stage)
        runs.write_manifest("run", stage, config={}, inputs={}, metrics={"n": 1}, seed=1, device="cpu")
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
def test_what_is_read_is_never_written_over(
    place: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
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
        with pytest.raises(ValueError, match="would overwrite"):
            check_outputs({"--out": out}, reads=[read])
