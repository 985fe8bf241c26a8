"""The chain on tiny notebooks: order, resume, and every way in which a run can end."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from hostile_area import finish
from jupyter_client.kernelspec import KernelSpec
from processes import ENVIRONMENT, ROOT, WAIT, command, wait_for
from refusals import refused
from tiny_chain import GIVEN, RUN, SAME, write_notebooks

from workbench import models
from workbench.artifacts import runs
from workbench.artifacts.lock import LOCK_NAME, RunLocked, run_lock
from workbench.artifacts.parameters import ParameterError
from workbench.artifacts.steps import plan
from workbench.hands.cli import main
from workbench.hands.headless import chain as headless
from workbench.hands.headless.chain import ChainError, check_room, find_notebooks, run_chain
from workbench.hands.headless.watch import OwnKernel


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def again(chain: Path, **given: object) -> list[str]:
    """What the chain says that goes on with the finished run, at these parameters."""
    lines, how = list[str](), {"fresh": given.pop("fresh", False)}
    run_chain(chain / RUN, notebooks=chain / "nb", parameters={**GIVEN, **given}, say=lines.append, **how)
    return lines


def made(lines: list[str]) -> list[str]:
    return [line.split()[1].rstrip(":") for line in lines if "done in" in line]


def test_all_run_in_order_then_again_only_what_changed(made_chain: Path, chain: Path) -> None:
    names, run_dir = list(runs.STAGES.values()), chain / RUN
    assert not list(run_dir.rglob("*.partial*"))
    copies = [run_dir / "notebooks" / f"{name}.ipynb" for name in names]
    printed = nbformat.read(copies[0], as_version=4).cells[3].outputs[0].text
    assert printed.split() == [sys.executable, str(made_chain)]
    assert all(runs.read_manifest(run_dir, stage)["seed"] == 5 for stage in runs.STAGES)

    assert run_chain(run_dir, notebooks=chain / "nb", parameters=GIVEN, say=lambda line: None) == copies
    assert made(again(chain)) == []
    lines = again(chain, rate=0.5)
    assert made(lines) == names[1:2]  # a parameter of one; what it leaves is the same, so the others stay
    assert "rate 1.0 -> 0.5" in lines[1]
    copies[0].write_bytes(copies[0].read_bytes()[:-100])
    manifest = run_dir / "explain" / runs.MANIFEST
    manifest.write_text(manifest.read_text()[:100])
    runs.atomic_write_text(run_dir / "shift" / "result.txt", "edited")
    lines = again(chain, rate=0.5, top=1)
    assert made(lines) == [names[0], *names[2:]]  # the first leaves what it left before
    assert "cannot be read" in lines[0] and "kept" in lines[2]
    assert "it was not finished" in lines[3]
    assert "file result.txt was changed; input explain" in lines[5], "explain leaves another result"


def test_a_stage_made_by_hand_since_is_not_taken_for_the_chains(chain: Path) -> None:
    finish(chain / RUN, "kg", seed=2)
    lines = again(chain)
    assert "the stage was made again by hand" in lines[0] and "kept" in lines[2]
    assert runs.read_manifest(chain / RUN, "kg")["seed"] == 5


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


@pytest.mark.parametrize(
    ("body", "begins", "says"),
    [
        ("import os\nos._exit(9)", ', code cell 3 ("import os"): the kernel died.', "memory"),
        ("run_dir = run_dir + '_elsewhere'", " ran to its end but left no valid manifest", "none was written"),
    ],
)
def test_a_kernel_that_dies_and_a_notebook_without_a_manifest_are_reported(tmp_path: Path, body, begins, says) -> None:
    message = failure(tmp_path, body)
    assert message.startswith(f"01_build_kg{begins}") and says in message


def test_a_kernel_that_does_not_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnKernel, "kernel_spec", KernelSpec(argv=[sys.executable, "-c", ""], language="python"))
    message = failure(tmp_path, "")
    assert message.startswith("01_build_kg: no kernel could be started") and "ipykernel" in message


def snapshot(run_dir: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a finished run, its content and when it was written; not what is being made, nor the locks."""
    return {
        path.relative_to(run_dir).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(run_dir.rglob("*"))
        if path.is_file() and not {".lock", ".lock.kernel"} & {path.name} and ".new" not in path.parent.name
        and not path.name.endswith(".partial.ipynb")
    }  # fmt: skip


def test_a_rerun_that_fails_takes_nothing_away_and_the_right_command_finds_all_of_it(chain: Path) -> None:
    run_dir = chain / RUN
    before = snapshot(run_dir)
    assert {"report.html", "notebooks/02_train_qlora.ipynb", "adapter/result.txt"} <= before.keys()
    for wrong in ({"rate": -2}, {"rate": 10**26}, {"rate": float("nan")}):
        refused("rate", again, chain, error=ParameterError, **wrong)
        assert snapshot(run_dir) == before and not (run_dir / "adapter.new").exists()
    refused("knows-it", again, chain, model=str(chain / "knows-it"), error=models.ModelError)
    assert snapshot(run_dir) == before and not (run_dir / "adapter.new").exists()
    for wrong in ({"rate": -1}, {"rate": -1, "fresh": True}):
        refused("no such rate", again, chain, error=ChainError, **wrong)
        after = snapshot(run_dir)
        if "fresh" in wrong:  # the first stage was made again, and a report never mixes two runs
            made_anew = ("kg/", "report", "notebooks/01")
            before = {name: old for name, old in before.items() if not name.startswith(made_anew)}
            assert before.items() <= after.items() and "report.html" not in after
            continue
        assert after == before
        lines = again(chain)
        assert all("finished before, kept" in line for line in lines), lines
    lines = again(chain)  # what --fresh asked for and did not come to is done now
    assert "kept" in lines[0] and "--fresh asked for it anew" in lines[1]
    lines = again(chain)
    assert all("finished before, kept" in line for line in lines), lines


def until_the_second_notebook_works(chain: Path) -> tuple[subprocess.Popen, list[str], int]:
    """The command that goes on with the finished run until it waits, its words, and the process of the kernel."""
    words = ["run", "--run-dir", str(chain / RUN), "--notebooks", str(chain / "nb"), *SAME, "-p", "wait", "true"]
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen(command(*words), env=ENVIRONMENT, **how)
    state = chain / RUN / "adapter.new" / "checkpoints" / "state"
    wait_for(lambda: process.poll() is not None or state.is_file(), "second notebook")
    assert process.poll() is None, process.communicate()[1]
    return process, words, int(state.read_text())


def test_after_a_kill_the_same_command_keeps_what_was_finished(chain: Path, capsys: pytest.CaptureFixture) -> None:
    process, words, kernel = until_the_second_notebook_works(chain)
    run_dir = chain / RUN
    with pytest.raises(RunLocked, match=rf"\(process {process.pid} on .*workbench run"), run_lock(run_dir):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: ended(kernel), "end of the kernel that outlived the chain")

    before = runs.read_manifest(run_dir, "kg")
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "[1/4] 01_build_kg: finished before, kept" in output and "report.html" in output
    assert runs.read_manifest(run_dir, "kg") == before
    assert "resumed True" in (run_dir / "notebooks" / "02_train_qlora.ipynb").read_text()
    assert (run_dir / "report.html").is_file()


def test_a_signal_stops_cleanly_and_says_how_to_go_on(chain: Path) -> None:
    """As Ctrl-C sends it; SIGTERM is sent to the real notebooks."""
    process, words, kernel = until_the_second_notebook_works(chain)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert "stopped" in last and last.endswith(shlex.join(words))
    wait_for(lambda: ended(kernel), "end of the kernel")
    assert (chain / RUN / LOCK_NAME).read_text() == ""


def test_a_field_without_room_in_the_reader_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "tools.tsv").write_text("name\n")
    large = r"Sequencing, Genomics has 1,\d{3} names.*1,024.*\(\d+\).*--model smollm2"
    for given, told in (
        ({"topics": ["Sequencing", "Genomics"]}, large),
        ({"topics": ["Cooking"]}, r"topics: .*'Cooking'"),
        ({"table": str(tmp_path / "table")}, r"table: .*\.tsv: file missing"),
    ):
        refused(told, run_chain, tmp_path / "run", parameters=given, error=ParameterError)
    assert not (tmp_path / "run").exists()


def test_fields_have_room_where_the_reader_or_another_model_takes_them() -> None:
    notebooks = find_notebooks()
    for given in ({}, {"topics": ["RNA-Seq"]}, {"topics": [], "table": "mediakg"}):
        steps = reversed(plan(notebooks, ROOT, given))
        check_room({name: value for step in steps for name, value in step.effective.items()})


def test_the_reader_is_the_one_that_models_load() -> None:
    assert (headless.READER, headless.POOL) == (models.READER, models.reader.POOL)
