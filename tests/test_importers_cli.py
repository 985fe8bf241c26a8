"""`workbench kg import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damaged_records import BIOTOOLS

from workbench.hands.cli import main
from workbench.hands.cli.kg import FORMATS
from workbench.kg import from_json
from workbench.kg.importers import IMPORTERS


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    path = tmp_path / "e.json"
    path.write_text(json.dumps([BIOTOOLS, 5]))
    return path


def test_the_formats_are_those_of_the_importers() -> None:
    assert set(FORMATS) == set(IMPORTERS)


def test_a_graph_and_a_report_are_written(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, report = entry.parent / "g.json", entry.parent / "r.tsv"
    assert main(["kg", "import", "biotools", str(entry), "--out", str(out), "--report", str(report)]) == 0
    assert "tool:samtools" in from_json(out)
    finding = report.read_text().splitlines()[1].split("\t")
    assert finding == ["e.json", "[1]", "entry is not an object", "'5'", "dropped"]
    said = capsys.readouterr().out
    assert "2 records: 1 tools, 1 commands, 1 sources" in said and "entry is not an object (dropped)" in said
    again = entry.parent / "h.json"
    assert main(["kg", "import", "biotools", str(entry), "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "word"}, "no importer is called 'word'; there are nfcore"),
        ({"path": "missing.json"}, "no such file or folder"),
        ({"--out": "none/g.json"}, "does not exist; create it first"),
        ({"--out": "."}, "this is a folder"),
        ({"--mapping": "none.json"}, "no such file; give a mapping"),
        ({"--edam": "none.owl"}, "no such file or folder"),
        ({"format": "workflow"}, "nothing in it reads as workflow"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(
    entry: Path, change: dict[str, str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(entry.parent)
    given = {"format": "biotools", "path": "e.json", "--out": "g.json", "--report": "r.jsonl", **change}
    options = [part for key in given if key.startswith("--") for part in (key, given[key])]
    assert main(["kg", "import", given["format"], given["path"], *options]) != 0
    assert told in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in entry.parent.iterdir()) == ["e.json"]
