"""The chain on tiny notebooks: order, resume, and every way in which a run can end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from tiny_chain import write_notebooks

from workbench.artifacts import runs
from workbench.artifacts.lock import LOCK_NAME, RunLocked, run_lock
from workbench.artifacts.parameters import ParameterError
from workbench.cli import main
from workbench.headless.chain import ChainError, find_notebooks, run_chain
from workbench.headless.watch import OwnKernel
from workbench.models import ModelError
from workbench.report.write import current_report

ROOT = Path(__file__).resolve().parent.parent
WAIT = 240  # seconds that a slow machine may take for what ends by itself


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"no {what} after {WAIT} s"
        time.sleep(0.05)


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z" if Path("/proc").is_dir() else False


def command_line(*words: object) -> list[str]:
    return [sys.executable, "-m", "workbench", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def started(*words: object) -> subprocess.Popen:
    """The command line in a process group of its own."""
    return subprocess.Popen(
        command_line(*words), env=environment(), start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def quiet() -> SimpleNamespace:
    lines: list[str] = []
    return SimpleNamespace(lines=lines, say=lines.append)


def test_all_run_in_order_then_again_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: SimpleNamespace
) -> None:
    foreign = tmp_path / "data" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(json.dumps({"argv": ["/nowhere"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    body = "import os, sys, pathlib\nprint(sys.executable, os.getcwd())"
    notebooks = write_notebooks(
        tmp_path / "nb", bodies={"kg": body}, extra={"adapter": "rate = 0.1\n", "explain": "top = 0\n"}
    )
    run_dir = tmp_path / "run {1} ü"

    copies = run_chain(run_dir, notebooks=notebooks, parameters={"rate": 1, "seed": 5}, say=quiet.say)
    assert [copy.name for copy in copies] == [f"{name}.ipynb" for name in runs.STAGES.values()]
    assert [copy.parent for copy in copies] == [run_dir / "notebooks"] * 4
    assert not list(run_dir.rglob("*.partial*")) and "JUPYTER_PATH" not in os.environ
    printed = nbformat.read(copies[0], as_version=4).cells[3].outputs[0].text
    assert printed.split() == [sys.executable, str(tmp_path)]
    assert all(runs.read_manifest(run_dir, stage)["seed"] == 5 for stage in runs.STAGES)

    def again(**given: object) -> list[str]:
        quiet.lines.clear()
        parameters = {"rate": 1, "seed": 5, **given}
        run_chain(run_dir, notebooks=notebooks, parameters=parameters, say=quiet.say)
        return [line.split()[1].rstrip(":") for line in quiet.lines if "done in" in line]

    names = list(runs.STAGES.values())
    assert again() == []
    assert again(rate=0.5) == names[1:2]  # a parameter of one; what it leaves is the same, so the others stay
    assert "rate 1.0 -> 0.5" in quiet.lines[1]
    copies[0].write_bytes(copies[0].read_bytes()[:-100])
    manifest = run_dir / "explain" / runs.MANIFEST
    manifest.write_text(manifest.read_text()[:100])
    runs.atomic_write_text(run_dir / "shift" / "result.txt", "edited")
    assert again(rate=0.5) == [names[0], *names[2:]]  # the first leaves what it left before
    assert "cannot be read" in quiet.lines[0] and "kept" in quiet.lines[2]
    assert "it was not finished" in quiet.lines[3] and "file result.txt was changed" in quiet.lines[5]
    assert again(rate=0.5, top=1) == names[2:]  # explain leaves another result, and shift was made from it


def test_a_stage_made_by_hand_since_is_not_taken_for_the_chains(tmp_path: Path, quiet: SimpleNamespace) -> None:
    notebooks = write_notebooks(tmp_path / "nb", bodies={"adapter": "assert False"})
    for again in (False, True):
        quiet.lines.clear()
        with pytest.raises(ChainError, match="02_train_qlora"):
            run_chain(tmp_path / "run", notebooks=notebooks, say=quiet.say)
        assert ("kept" in quiet.lines[0]) == again
    runs.open_stage(tmp_path / "run", "kg")
    runs.write_manifest(tmp_path / "run", "kg", config={}, inputs={}, metrics={}, seed=2, device="cpu")
    with pytest.raises(ChainError):
        run_chain(tmp_path / "run", notebooks=notebooks, say=quiet.say)
    assert runs.read_manifest(tmp_path / "run", "kg")["seed"] == 1


def failure(tmp_path: Path, body: str, **options: object) -> str:
    notebooks = write_notebooks(tmp_path / "nb", bodies={"kg": body})
    with pytest.raises(ChainError) as caught:
        run_chain(tmp_path / "run", notebooks=notebooks, say=lambda line: None, **options)
    assert (tmp_path / "run" / LOCK_NAME).read_text() == ""
    return str(caught.value)


def test_a_failing_cell_is_named_with_its_error_and_its_copy_stays(tmp_path: Path) -> None:
    old = runs.work_folder(tmp_path / "run", "adapter") / runs.WORK_FOLDER
    old.mkdir(parents=True)
    message = failure(tmp_path, "# load\nx = [1]\nraise ValueError('bad [red]\\nname')", fresh=True)
    assert message.startswith('01_build_kg, code cell 3 ("x = [1]"): ValueError: bad [red] name.')
    assert "the same command again" in message
    partial = tmp_path / "run" / "notebooks" / "01_build_kg.partial.ipynb"
    assert str(partial) in message and partial.is_file()
    assert not (tmp_path / "run" / "notebooks" / "01_build_kg.ipynb").exists()
    assert not old.exists()  # with fresh=True nothing of an earlier run is gone on with


def test_a_notebook_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    began = time.monotonic()
    message = failure(tmp_path, "import time\ntime.sleep(600)", timeout=3)
    # which cell it was in, and whether the kernel was up by then, is up to the machine
    assert message.startswith("01_build_kg") and "stopped after" in message
    assert "time-out 3 s" in message and "--timeout" in message
    assert time.monotonic() - began < WAIT


def test_a_kernel_that_dies_is_reported(tmp_path: Path) -> None:
    message = failure(tmp_path, "import os\nos._exit(9)")
    assert message.startswith('01_build_kg, code cell 3 ("import os"): the kernel died.')
    assert "memory" in message


def test_a_kernel_that_does_not_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnKernel, "kernel_spec", KernelSpec(argv=[sys.executable, "-c", ""], language="python"))
    message = failure(tmp_path, "")
    assert message.startswith("01_build_kg: no kernel could be started") and "ipykernel" in message


def test_a_notebook_that_leaves_no_manifest_fails(tmp_path: Path) -> None:
    message = failure(tmp_path, "run_dir = run_dir + '_elsewhere'")
    assert "01_build_kg ran to its end but left no valid manifest" in message


def test_wrong_parameters_stop_before_anything_runs(tmp_path: Path) -> None:
    notebooks = write_notebooks(tmp_path / "nb")
    for parameters in ({"sead": 1}, {"seed": 0.1}):
        with pytest.raises(ParameterError):
            run_chain(tmp_path / "run", notebooks=notebooks, parameters=parameters)
    with pytest.raises(FileNotFoundError, match=r"no notebooks in .*empty; looked for 01_build_kg\.ipynb"):
        find_notebooks(tmp_path / "empty")
    assert not (tmp_path / "run").exists()


RATED = "if rate < 0:\n    raise ValueError('no such rate')"


def snapshot(run_dir: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a finished run, its content and when it was written; not what is being made, nor the locks."""
    return {
        path.relative_to(run_dir).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(run_dir.rglob("*"))
        if path.is_file() and not {".lock", ".lock.kernel"} & {path.name} and ".new" not in path.parent.name
        and not path.name.endswith(".partial.ipynb")
    }  # fmt: skip


def test_a_rerun_that_fails_takes_nothing_away_and_the_right_command_finds_all_of_it(
    tmp_path: Path, quiet: SimpleNamespace
) -> None:
    declared = 'rate = 0.1  # of learning; -1 <= rate <= 10\nmodel = "reader"  # base model\n'
    body = f"from workbench.artifacts import runs\nruns.open_stage(run_dir, 'adapter')\n{RATED}"
    notebooks = write_notebooks(tmp_path / "nb", bodies={"adapter": body}, extra={"adapter": declared})
    run_dir = tmp_path / "run"

    def run(**given: object) -> None:
        quiet.lines.clear()
        how = {"fresh": given.pop("fresh")} if "fresh" in given else {}
        run_chain(run_dir, notebooks=notebooks, parameters=given, say=quiet.say, **how)

    run(rate=0.5)
    current_report(run_dir)
    before = snapshot(run_dir)
    assert {"report.html", "notebooks/02_train_qlora.ipynb", "adapter/result.txt"} <= before.keys()
    for wrong in ({"rate": -2}, {"rate": 10**26}, {"rate": float("nan")}):
        with pytest.raises(ParameterError, match="rate"):
            run(**wrong)
        assert snapshot(run_dir) == before and not (run_dir / "adapter.new").exists()
    with pytest.raises(ModelError, match="knows-it"):
        run(rate=0.5, model=str(tmp_path / "knows-it"))
    assert snapshot(run_dir) == before and not (run_dir / "adapter.new").exists()
    for wrong in ({"rate": -1}, {"rate": -1, "fresh": True}):
        with pytest.raises(ChainError, match="no such rate"):
            run(**wrong)
        after = snapshot(run_dir)
        if "fresh" in wrong:  # the first stage was made again, and a report never mixes two runs
            before = {
                name: old for name, old in before.items() if not name.startswith(("kg/", "report", "notebooks/01"))
            }
            assert before.items() <= after.items() and "report.html" not in after
            continue
        assert after == before
        run(rate=0.5)
        assert all("finished before, kept" in line for line in quiet.lines), quiet.lines
    run(rate=0.5)  # what --fresh asked for and did not come to is done now
    assert "kept" in quiet.lines[0] and "--fresh asked for it anew" in quiet.lines[1]
    run(rate=0.5)
    assert all("finished before, kept" in line for line in quiet.lines), quiet.lines


SLOW = """
import os, pathlib, time
state = pathlib.Path(run_dir, "adapter.new", "checkpoints", "state")
resumed = state.exists()
state.parent.mkdir(parents=True, exist_ok=True)
state.write_text(str(os.getpid()))
if not resumed:
    time.sleep(600)
print("resumed", resumed)
"""


def until_the_second_notebook_works(tmp_path: Path) -> tuple[subprocess.Popen, Path, int]:
    notebooks = write_notebooks(tmp_path / "nb", bodies={"adapter": SLOW})
    run_dir = tmp_path / "run"
    process = started("run", "--run-dir", run_dir, "--notebooks", notebooks)
    state = run_dir / "adapter.new" / "checkpoints" / "state"
    wait_for(lambda: process.poll() is not None or (state.is_file() and state.read_text()), "second notebook")
    assert process.poll() is None, process.communicate()[1]
    return process, run_dir, int(state.read_text())


def test_after_a_kill_the_same_command_keeps_what_was_finished(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    process, run_dir, kernel = until_the_second_notebook_works(tmp_path)
    with pytest.raises(RunLocked, match=rf"\(process {process.pid} on .*workbench run"), run_lock(run_dir):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: ended(kernel), "end of the kernel that outlived the chain")

    before = runs.read_manifest(run_dir, "kg")
    assert main(["run", "--run-dir", str(run_dir), "--notebooks", str(tmp_path / "nb")]) == 0
    output = capsys.readouterr().out
    assert "[1/4] 01_build_kg: finished before, kept" in output and "report.html" in output
    assert runs.read_manifest(run_dir, "kg") == before
    assert "resumed True" in (run_dir / "notebooks" / "02_train_qlora.ipynb").read_text()
    assert (run_dir / "report.html").is_file()


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(tmp_path: Path, stop: signal.Signals, code: int) -> None:
    process, run_dir, kernel = until_the_second_notebook_works(tmp_path)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=WAIT)
    assert process.returncode == code
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert "stopped" in last and last.endswith(f"--notebooks {tmp_path / 'nb'}")
    wait_for(lambda: ended(kernel), "end of the kernel")
    assert (run_dir / LOCK_NAME).read_text() == ""
