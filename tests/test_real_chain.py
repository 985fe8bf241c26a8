"""The four real notebooks, one after another, as a user's command runs them: whole, again, changed, and stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from workbench.artifacts.runs import STAGES
from workbench.artifacts.steps import find_notebooks
from workbench.bench.kills import SMALL, contents, environment, known

pytestmark = pytest.mark.chain

GIVEN = [word for name, value in known(find_notebooks(), SMALL).items() for word in ("-p", name, str(value))]
WAIT = 600  # seconds that a slow machine may take for what ends by itself


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "workbench", *map(str, words)]


def workbench(*words: object, code: int = 0) -> str:
    """What a command prints; it must end with `code`."""
    done = subprocess.run(command(*words), env=environment(), capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def kept(output: str) -> list[str]:
    """Notebooks that a run did not run again, by what it said."""
    return [name for name in STAGES.values() if f"{name}: finished before, kept" in output]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run at tiny settings."""
    folder = tmp_path_factory.mktemp("chain") / "run"
    output = workbench("run", "--run-dir", folder, *GIVEN)
    assert "done in" in output and not kept(output)
    return folder


def test_every_executed_copy_is_whole_and_without_errors(run: Path) -> None:
    assert "no longer matches" not in workbench("verify", run)
    for name in STAGES.values():
        copy = nbformat.read(run / "notebooks" / f"{name}.ipynb", as_version=4)
        code = [cell for cell in copy.cells if cell.cell_type == "code" and cell.source.strip()]
        assert all(cell.execution_count for cell in code), f"{name}: a cell was not run"
        outputs = [output for cell in code for output in cell.outputs]
        assert not [output for output in outputs if output.output_type == "error"]
        said = "".join(output.get("text", "") for output in outputs)
        assert "Passed unknown parameter" not in said and "Traceback" not in said
    assert (run / "report.html").stat().st_size > 100_000
    assert not list((run / "notebooks").glob("*.partial.ipynb"))


def test_the_same_command_again_runs_nothing_and_changes_nothing(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert kept(workbench("run", "--run-dir", run, *GIVEN)) == list(STAGES.values())
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def stop_within(stage: str, *words: object) -> int:
    """Start a run, send SIGTERM once some cells of a stage's notebook are done; its exit code."""
    process = subprocess.Popen(
        command("run", "--log", "json", *words), env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for event in map(json.loads, process.stdout):
        if event["event"] == "progress" and event["stage"] == stage and event["cell"] > 20:
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=WAIT)
    return process.returncode


def test_a_stage_stopped_by_a_signal_loses_nothing_and_a_changed_parameter_costs_what_stands_on_it(run: Path) -> None:
    before, changed = contents(run), [*GIVEN, "-p", "max_new_tokens", "33"]
    assert stop_within("explain", "--run-dir", run, *changed) == 128 + signal.SIGTERM
    assert contents(run) == before
    assert kept(workbench("run", "--run-dir", run, *GIVEN)) == list(STAGES.values()), "what was finished is kept"
    again = workbench("run", "--run-dir", run, *changed)
    assert kept(again)[:2] == ["01_build_kg", "02_train_qlora"] and "max_new_tokens 32 -> 33" in again
    assert "03_explain_masks: done" in again and contents(run).keys() == before.keys()
    assert "no longer matches" not in workbench("verify", run)
