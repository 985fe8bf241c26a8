"""The command line: exit codes, one line per error."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_area import finish
from processes import ENVIRONMENT, WAIT, command
from refusals import refused
from tiny_chain import write_notebooks

import workbench
from workbench.artifacts.start import this_command
from workbench.hands.cli import main, output
from workbench.hands.headless import chain
from workbench.hands.report import write


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict:
    """What the chain would be called with."""
    seen: dict = {}
    monkeypatch.setattr(chain, "run_chain", lambda run_dir, **options: seen.update(options, run_dir=run_dir))
    monkeypatch.setattr(write, "write_report", lambda run_dir: run_dir / "report.html")
    monkeypatch.chdir(tmp_path)
    return seen


VERSION = "from workbench.hands.cli import main; main(['version'])"
RUN = (
    "from workbench.artifacts.start import own_process; own_process(); print(); "
    "import workbench.hands.headless.chain, workbench.hands.report.write"
)


@pytest.mark.parametrize(
    ("code", "heavy", "said"),
    [
        (VERSION, "torch papermill matplotlib distributed pyarrow yaml pandas", workbench.__version__),
        (RUN, "torch transformers sklearn scipy rfc3987_syntax", ""),
    ],
)
def test_a_command_starts_without_loading_what_it_does_without(code: str, heavy: str, said: str) -> None:
    told = f"import sys; {code}; print(*filter(sys.modules.get, sys.modules))"
    line, modules = subprocess.check_output([sys.executable, "-c", told], text=True, timeout=WAIT).splitlines()
    assert line == said and not set(heavy.split()) & set(modules.split())


def test_options_reach_the_chain(handed: dict, capsys: pytest.CaptureFixture) -> None:
    words = "run --run-dir r --model ./m -p rate -1e-3 -p seed 3 -p note --x -p on true --timeout 0 --fresh"
    assert main(words.split()) == 0
    assert handed["parameters"] == {"rate": -1e-3, "seed": 3, "note": "--x", "on": True, "model": "./m"}
    assert (handed["run_dir"], handed["timeout"], handed["fresh"]) == ("r", None, True)
    assert "the report is r/report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-p run_dir x", "give --run-dir"),
        ("-p seed 1 -p seed 2", "seed is given twice: 1 and 2"),
        ("--model m -p model n", "model is given twice"),
        ("-p rate 1e999", "too large"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    handed: dict, capsys: pytest.CaptureFixture, words: str, expected: str
) -> None:
    assert main(["run", *words.split()]) == 2
    assert expected in capsys.readouterr().err
    assert not handed


WRONG = [
    "run --timeout soon",
    "run --timeout -1",
    "run --timeout nan",
    "walk",
    "run -p a",
    "run -p steps --run-dir x",
    "",
]


@pytest.mark.parametrize("words", [*WRONG, *(f"app --port={port}" for port in (99999999, 0, -1, "http", 65536))])
def test_a_wrong_command_line_ends_with_code_2(words: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    said = "a whole number from 1 to 65535" if "port" in words else "usage: "
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_an_error_is_one_line_unless_debugging(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    notebooks = str(write_notebooks(tmp_path / "nb"))
    words = ["run", "--run-dir", str(tmp_path / "r"), "--notebooks", notebooks, "-p", "x", "[a]"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no notebook has a parameter 'x'" in error
    refused("no notebook", main, [*words, "--debug"])


def test_a_run_folder_that_is_a_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "r").write_text("")
    assert main(["run", "--run-dir", str(tmp_path / "r"), "--notebooks", str(write_notebooks(tmp_path / "nb"))]) == 5
    assert "cannot be written: File exists" in capsys.readouterr().err


def test_quiet_leaves_the_answers(capsys: pytest.CaptureFixture) -> None:
    words = ["kg", "ask", "mediakg", "--from", "internet archive", "--to", "Transcript"]
    told = {}
    for manner in ((), ("--quiet",), ("--log", "json", "--quiet")):
        assert main([*words, *manner]) == 0
        told[manner] = capsys.readouterr().out
    assert told[()] == told["--quiet",] != ""
    records = [json.loads(line) for line in told["--log", "json", "--quiet"].splitlines()]
    assert "\n".join(record["message"] for record in records) + "\n" == told[()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("workbench ver", "verify version"), ("workbench kg i", "import"), ("workbench run --fr", "--fresh")],
)
def test_bash_completes_commands_and_options(typed: str, completed: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["completion", "bash"]) == 0
    words = typed.split()
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _shtab_workbench; echo ${{COMPREPLY[@]}}"
    script = f"{capsys.readouterr().out}\n{ask}\ncomplete -p workbench"
    answer, declared = subprocess.check_output(["bash", "-c", script], text=True).splitlines()
    assert sorted(answer.split()) == completed.split() and "-o default" in declared


def test_a_command_is_told_as_it_can_be_typed_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "project" / ".venv" / "bin" / "workbench"
    script.parent.mkdir(parents=True)
    (tmp_path / "project" / "notebooks").mkdir()
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path / "project")
    assert this_command() == f"{Path('.venv', 'bin', 'python')} -m workbench"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert this_command() == str(Path(".venv", "bin", "workbench"))
    monkeypatch.chdir("notebooks")
    assert this_command() == str(script)
    monkeypatch.setenv("PATH", str(script.parent))  # the environment is active
    assert this_command() == "workbench"


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("archive", 0, "is taken for 'Internet Archive' (source:internet-archive)"),
        ("internet archive", 0, "1. cost"),
        ("JPEGG", 2, "is in no name; near it are JPEG (format:jpeg)"),
        ("mp", 2, "names, say which: "),
        ("zzzz", 2, "'zzzz' is in no name"),
    ],
)
def test_names_are_understood_or_those_that_come_near_are_told(given, code, said, capsys) -> None:
    assert main(["kg", "ask", "mediakg", "--from", given, "--to", "Transcript"]) == code
    assert said in "".join(capsys.readouterr())


def test_a_table_fits_the_screen_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [{"method": f"method {i}", **{f"measure {k}": f"{i}.{k:04}" for k in range(12)}} for i in range(6)]
    output.show(rows, title="many")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
    for row in rows:
        mine = "".join(line for line in lines if row["method"] in line)
        assert all(value in mine for value in row.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-p table", "nope does not exist; give a folder of tables"),
        ("--model", "nope' has no readable config: there is no such folder"),
        ("-p adapter", "does not exist; give the folder that PEFT saved the adapter in"),
    ],
)
def test_what_is_not_there_is_refused_before_any_notebook(words: str, said: str, tmp_path: Path, capsys) -> None:
    assert main(["run", "--run-dir", str(tmp_path / "r"), *words.split(), str(tmp_path / "nope")]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["version", "show {run}", "show {run} --json"])
@pytest.mark.parametrize(("sink", "code"), [("/dev/full", 5), ("pipe", 141)])
def test_output_that_nobody_takes_ends_with_a_code_and_no_traceback(
    tmp_path: Path, words: str, sink: str, code: int
) -> None:
    if sink == "/dev/full" and not Path(sink).is_char_device():
        pytest.skip("this system has no /dev/full")
    finish(tmp_path / "run", "kg")
    if sink == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(sink, os.O_WRONLY)
    given = command(*words.format(run=tmp_path / "run").split())
    done = subprocess.run(given, stdout=writer, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    os.close(writer)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert done.stderr.count("\n") == (1 if code == 5 else 0)


def test_an_error_nobody_foresaw_names_its_kind(handed: dict, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(chain, "run_chain", lambda *_, **__: {}["a [b] name"])
    assert main(["run"]) == 70
    assert capsys.readouterr().err == "KeyError: 'a [b] name'\n"
