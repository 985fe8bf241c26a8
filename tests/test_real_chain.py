"""What a user runs: the four real notebooks, one after another, by the command: stopped, whole, changed, and again. The
built wheel where there is no checkout: commands, notebooks, data and notices come with it."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from killed_runs import SMALL, contents, given, known
from processes import ENVIRONMENT, command

from workbench.artifacts.runs import STAGES
from workbench.artifacts.steps import find_notebooks

GIVEN = given(known(find_notebooks(), SMALL))
WAIT = 600  # seconds that a slow machine may take for what ends by itself


def workbench(*words: object, code: int = 0) -> str:
    """What a command prints; it must end with `code`."""
    done = subprocess.run(command(*words), env=ENVIRONMENT, capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "unknown parameter" not in done.stderr and "Unable to parse" not in done.stderr
    return done.stdout


def kept(output: str) -> list[str]:
    """Notebooks that a run did not run again, by what it said."""
    return [name for name in STAGES.values() if f"{name}: finished before, kept" in output]


def stop_in_the_last(*words: object, cell: int) -> tuple[int, str]:
    """Start a run, send SIGTERM once it is at a cell of the last notebook; its exit code and what it said."""
    process = subprocess.Popen(
        command("run", "--log", "json", *words), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        event = json.loads(line)
        if event["event"] == "progress" and event["stage"] == "shift" and event["cell"] >= cell:
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=WAIT)
    return process.returncode, said


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at tiny settings, stopped in its last notebook and finished by the same command."""
    folder = tmp_path_factory.mktemp("chain") / "run"
    code, said = stop_in_the_last("--run-dir", folder, *GIVEN, cell=2)
    assert code == 128 + signal.SIGTERM and not kept(said)
    events = [json.loads(line) for line in said.splitlines()]
    assert [one["stage"] for one in events if one["event"] == "finished"] == list(STAGES)[:3]
    output = workbench("run", "--run-dir", folder, *GIVEN)
    assert "done in" in output and kept(output) == list(STAGES.values())[:3]
    return folder


@pytest.mark.chain
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


@pytest.mark.chain
def test_a_changed_parameter_stopped_by_a_signal_loses_nothing_and_the_same_command_again_changes_nothing(run):
    whole, changed = contents(run), [*GIVEN, "-p", "enough", "0.5"]
    code, said = stop_in_the_last("--run-dir", run, *changed, cell=10)
    assert code == 128 + signal.SIGTERM and contents(run) == whole
    assert "enough 0.95 -> 0.5" in said and kept(said) == list(STAGES.values())[:3]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert kept(workbench("run", "--run-dir", run, *GIVEN)) == list(STAGES.values()), "what was finished is kept"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert "no longer matches" not in workbench("verify", run)


ROOT = Path(__file__).resolve().parent.parent
DATA = list(ROOT.glob("workbench/data/**/*"))
NOTICES = [path for name in ("LICENSE", "NOTICE") for path in ROOT.glob(f"workbench/**/*{name}*")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, with what is installed: nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scripts of an environment of its own in which the wheel is; what it stands on is that of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / "python")
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True, capture_output=True)
    own = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    Path(own.strip(), "beneath.pth").write_text(sysconfig.get_path("purelib"))
    return scripts


def test_the_wheel_holds_notebooks_data_and_every_notice_of_what_it_bundles(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    notebooks = {f"workbench/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("notebooks/**/*.ipynb")}
    own, data = ({path.relative_to(ROOT).as_posix() for path in some if path.is_file()} for some in (NOTICES, DATA))
    licences = {name.partition(".dist-info/licenses/")[2] for name in held}
    assert len(notebooks) >= 6 and notebooks <= held
    assert len(own) >= 2 and own | {"LICENSE"} <= licences and own <= held
    assert len(data) > 30 and data <= held


def test_from_an_empty_folder_the_installed_command_runs_the_notebooks_it_carries(installed, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    manner = {"cwd": tmp_path, "env": environment, "text": True}
    command = [str(installed / "workbench"), "run"]
    refused = subprocess.run([*command, "-p", "steps", "0"], capture_output=True, **manner)
    assert refused.returncode == 2 and "steps must keep to" in refused.stderr and not list(tmp_path.iterdir())

    given = [*command, "--run-dir", "r", "-p", "shown_nodes", "30", "-p", "table", "mediakg", "-p", "topics", "[]"]
    with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **manner) as run:
        assert run.stdout and run.stderr
        lines = []
        for line in run.stdout:
            lines.append(line)
            if line.startswith("[2/4]"):  # the first notebook is done: the others run as they do in a checkout
                run.terminate()
        said = run.stderr.read()
    assert (tmp_path / "r" / "kg" / "manifest.json").is_file(), "".join(lines) + said
