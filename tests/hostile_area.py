"""A folder to work in whose surroundings must stay as they are, and what a command may answer there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_chain import write_notebooks

from workbench.artifacts import runs
from workbench.hands.cli import main

ANSWERED = {0, 1, 2, 4, 5}  # done, different, refused, in use, cannot be written: never a failure nobody foresaw


@pytest.fixture
def area(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; what lies beside the folder `inside` must be the same afterwards."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_text("not yours")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("not yours")
    write_notebooks(tmp_path / "nb")
    monkeypatch.chdir(tmp_path / "inside")
    monkeypatch.setenv("HOME", str(tmp_path / "inside" / "home"))
    before = around(tmp_path)
    yield tmp_path
    assert around(tmp_path) == before


def around(area: Path) -> dict[str, bytes]:
    files = (path for path in area.rglob("*") if path.is_file() and not path.is_relative_to(area / "inside"))
    return {str(path): path.read_bytes() for path in files}


def answered(words: list[str], capsys: pytest.CaptureFixture) -> str:
    """Run a command; what it said. It must end with a foreseen code, and an error is one line."""
    try:
        code = main(words)
    except SystemExit as stop:  # argparse has refused the words
        assert stop.code == 2
        return capsys.readouterr().err
    told = capsys.readouterr()
    assert code in ANSWERED, f"{words}: {told.err}"
    assert code in (0, 1) or told.err.count("\n") == 1, told.err
    assert "\x1b[2J" not in told.out + told.err, "a recorded text has reached the terminal as a command"
    return told.err


def finish(run_dir: Path, stage: str, **more: object) -> None:
    folder = runs.open_stage(run_dir, stage)
    runs.atomic_write_text(folder / "a.txt", "x")
    how = {"config": {}, "inputs": {}, "metrics": {"n": 1}, "seed": 1, "device": "cpu", **more}
    runs.write_manifest(run_dir, stage, **how)  # type: ignore[arg-type]
