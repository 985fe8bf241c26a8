"""A run that was killed, starved of disk or meddled with: what was finished stays, and the end is the same. What a run
without a browser tells: progress of loops inside cells, time left, JSON lines, silence."""

import errno
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_runs import contents, killed_run
from papermill.exceptions import PapermillExecutionError
from processes import ENVIRONMENT, command
from refusals import refused
from tiny_chain import RUN, SAME, write_notebooks

from workbench.artifacts import runs
from workbench.artifacts.lock import KERNEL_LOCK_NAME, RunLocked, hold_kernel_lock, run_lock
from workbench.artifacts.stage import settle
from workbench.hands.cli import main
from workbench.hands.headless.chain import run_chain
from workbench.hands.headless.watch import Event, Loop, Watch, clock, hint_for, not_written
from workbench.train.config import Checkpoints, logging_steps

GROWS = """
import pathlib
state = pathlib.Path(run_dir, "adapter.new", "checkpoints", "state")
state.parent.mkdir(parents=True, exist_ok=True)
for step in range(int(state.read_text()) if state.exists() else 0, 10):
    __import__("time").sleep(0.1)
    runs_text = str(step + 1)
    state.with_suffix(".new").write_text(runs_text)
    state.with_suffix(".new").replace(state)
"""


def test_runs_killed_at_random_instants_end_as_an_undisturbed_one(tmp_path: Path) -> None:
    notebooks = write_notebooks(tmp_path / "nb", bodies={"adapter": GROWS})
    words = command("run", "--quiet", "--notebooks", notebooks, "-p", "seed", 3, "--run-dir")
    rng = np.random.default_rng(1)
    started = time.monotonic()
    subprocess.run([*words, str(tmp_path / "whole")], env=ENVIRONMENT, check=True)
    longest, left = time.monotonic() - started, 2
    while left:
        place = tmp_path / f"run{left}"
        left -= killed_run(words, place, longest=longest, kills=left, rng=rng)
        assert contents(place) == contents(tmp_path / "whole")


WRITER = """
import sys
from workbench.artifacts import runs
run_dir, turn = sys.argv[1], int(sys.argv[2])
while True:
    turn += 1
    folder = runs.open_stage(run_dir, "kg")
    for name in ("a.txt", "b.txt"):
        runs.atomic_write_text(folder / name, f"{name} of turn {turn} " * 20_000)
    runs.write_manifest(run_dir, "kg", config={"turn": turn}, inputs={}, metrics={}, seed=turn, device="cpu")
"""


def test_a_stage_is_whole_at_every_instant(tmp_path: Path) -> None:
    """Two writers killed in the midst of writing: from the first result on there is always a whole one."""
    rng = np.random.default_rng(0)
    for turn in range(2):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(1000 * turn)], env=ENVIRONMENT)
        deadline = time.monotonic() + 60
        while finished_turn(tmp_path) <= 1000 * turn and time.monotonic() < deadline and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.1)))
        writer.kill()
        writer.wait()
        settle(tmp_path, "kg")
        assert runs.check_stage(tmp_path, "kg") == []
        assert (tmp_path / "kg" / "a.txt").read_text().startswith(f"a.txt of turn {finished_turn(tmp_path)} ")
        assert finished_turn(tmp_path) > 1000 * turn
    assert not list(runs.open_stage(tmp_path, "kg").glob(".*.tmp")), "what torn writes left is swept away"


def finished_turn(run_dir: Path) -> int:
    try:
        return runs.read_manifest(run_dir, "kg")["config"]["turn"]
    except runs.MissingStage:
        return 0


def limited(tmp_path: Path, size: int, *words: object) -> subprocess.CompletedProcess:
    """The chain where no file may grow beyond `size` bytes: to a program that is a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    chain = command("run", "--run-dir", tmp_path / "run", "--notebooks", tmp_path / "nb", *words)
    return subprocess.run(chain, env=ENVIRONMENT, preexec_fn=limit, capture_output=True, text=True)


def test_a_full_disk_stops_the_run_and_nothing_finished_is_lost(tmp_path: Path) -> None:
    large = "data = b'x' * 300_000\nopen(run_dir + '/large.bin', 'wb').write(data)"
    write_notebooks(tmp_path / "nb", bodies={"adapter": large})
    stopped = limited(tmp_path, 100_000)
    assert stopped.returncode == 5, stopped.stderr
    assert "02_train_qlora" in stopped.stderr and "File too large" in stopped.stderr
    assert "disk is full" in stopped.stderr and "what was finished is kept" in stopped.stderr
    kept = runs.read_manifest(tmp_path / "run", "kg")
    again = limited(tmp_path, resource.RLIM_INFINITY)
    assert again.returncode == 0 and "01_build_kg: finished before, kept" in again.stdout
    assert runs.read_manifest(tmp_path / "run", "kg") == kept
    assert {(tmp_path / "run" / stage / "result.txt").read_text() for stage in runs.STAGES} == {"seed 1 0"}


def test_weights_that_find_no_room_are_told_from_other_errors(tmp_path: Path) -> None:
    """torch keeps the number of the system's error to itself."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RuntimeError) as caught:
            torch.save({"a": torch.zeros(100_000)}, tmp_path / "large.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = PapermillExecutionError(0, 1, "torch.save(...)", caught.typename, str(caught.value), [])
    assert not_written(error, tmp_path) and "disk is full" in hint_for(error)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(f"what: chain\nnotebooks: {write_notebooks(tmp_path / 'nb')}\nseeds: 1\n")
    (tmp_path / "closed").mkdir(mode=0o500)
    where = "/proc/self/place" if os.geteuid() == 0 else str(tmp_path / "closed" / "place")
    for words in (["run", "--notebooks", str(tmp_path / "nb"), "--run-dir"], ["sweep", str(grid), "--out"]):
        assert main([*words, where]) == 5
        error = capsys.readouterr().err
        assert "cannot be written" in error and error.count("\n") == 1
    (tmp_path / "out").write_text("a file")
    assert main(["sweep", str(grid), "--out", str(tmp_path / "out")]) == 5
    assert "another --run-dir" not in capsys.readouterr().err


def test_no_room_for_the_executed_copy_is_said_as_such(tmp_path: Path) -> None:
    write_notebooks(tmp_path / "nb")
    stopped = limited(tmp_path, 1_000)
    assert stopped.returncode == 5, stopped.stderr
    assert "cannot be written: File too large. The disk is full" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_a_kernel_that_outlives_its_chain_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold_kernel_lock(tmp_path)
    assert held is not None
    lines: list[str] = []
    (tmp_path / ".lock").write_text(json.dumps({"pid": 4194304, "since": "long ago", "host": "h", "command": "c\n<b>"}))
    monkeypatch.setattr("workbench.artifacts.lock.KERNEL_SECONDS", 0.2)
    with pytest.raises(RunLocked, match=f"still working.*fuser.*{KERNEL_LOCK_NAME}"), run_lock(tmp_path):
        pass
    held.close()
    with run_lock(tmp_path, say=lines.append):
        assert "process 4194304 on h, since long ago: c <b>" in lines[0]
        with pytest.raises(RunLocked, match=f"process {os.getpid()} on"), run_lock(tmp_path):
            pass
    assert (tmp_path / ".lock").read_text() == ""


def test_where_no_lock_can_be_taken_the_name_in_the_file_decides(tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("workbench.artifacts.lock.fcntl.flock", none)
    with run_lock(tmp_path), pytest.raises(RunLocked), run_lock(tmp_path):
        pass
    for holder in ({"pid": 4194304, "host": __import__("socket").gethostname()}, {}):
        (tmp_path / ".lock").write_text(json.dumps(holder))
        with run_lock(tmp_path):
            pass
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": "another machine"}))
    with pytest.raises(RunLocked, match="on another machine"), run_lock(tmp_path):
        pass


def test_checkpoints_that_are_torn_altered_or_of_another_training_are_not_taken_up(tmp_path: Path) -> None:
    def write(step: int) -> None:
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        for name in ("adapter_model.safetensors", "optimizer.pt", "trainer_state.json"):
            (folder / name).write_text(f"{name} {step}")

    settings = {"steps": 30, "seed": 1}
    first = Checkpoints(tmp_path, settings)
    assert first.last() is None
    for step in (9, 10, 20):
        write(step)
        first.note(step, seconds=step / 10)
    write(30)  # killed before it was noted
    again = Checkpoints(tmp_path, settings)
    assert again.last() == str(tmp_path / "checkpoint-20") and again.seconds == 2.0
    assert not (tmp_path / "checkpoint-30").exists()
    (tmp_path / "checkpoint-20" / "optimizer.pt").write_text("altered")
    assert Checkpoints(tmp_path, settings).last() == str(tmp_path / "checkpoint-10")
    write(30)
    again.note(30, seconds=3.0)
    again.keep_adapters_only()
    assert Checkpoints(tmp_path, settings).last() == str(tmp_path / "checkpoint-30"), "its optimizer is not needed"
    assert Checkpoints(tmp_path, {**settings, "seed": 2}).last() is None and not tmp_path.exists()


@pytest.mark.parametrize(("steps", "every"), [(1400, 250), (12, 4), (5, 2), (1000, 7), (3, 100)])
def test_a_row_of_the_history_ends_at_every_checkpoint(steps: int, every: int) -> None:
    rows = logging_steps(steps, every)
    assert every % rows == 0 and 1 <= rows <= max(1, steps // 100)


BARS = [
    ("\u200737/1400\u2007[00:10&lt;05:20,\u2007\u20074.20it/s]", Loop(37, 1400, 320.0)),
    ("  26%|##  | 37/1400 [1:00:10<2:05:20, 4.20it/s]", Loop(37, 1400, 7520.0)),
    ("<div><progress value='3' max='9'></progress> [3/9 00:01 < 00:05, 1.2 it/s, Epoch 0.1/1]</div>", Loop(3, 9, 5.0)),
]
NO_BARS = ["", "0/3 [00:00<?, ?it/s]", "3/9", "<b>1/2</b>", "<script>1/2 [x<y</script>"]


@pytest.mark.parametrize(("text", "loop"), [*BARS, *((text, None) for text in NO_BARS)])
def test_progress_bars_are_read(text: str, loop: Loop | None) -> None:
    assert Loop.read(text) == loop


def message(kind: str, content: dict) -> dict:
    return {"msg_type": kind, "content": content}


def test_time_left_is_that_of_the_loop_or_of_an_earlier_run() -> None:
    told: list[Event] = []
    bar = message("comm_msg", {"data": {"state": {"value": BARS[0][0]}}})
    watch = Watch(told.append, "adapter", "[2/4]", 3)
    watch.enter(1)
    watch._last = 0.0
    watch.message(bar)
    assert told[-1].fields["left_seconds"] == 320 and "in this cell" in told[-1].line and "37 of 1,400" in told[-1].line
    watch = Watch(told.append, "adapter", "[2/4]", 3, earlier=[1.0, 500.0, 60.0])
    watch.enter(1)
    assert 550 < told[-1].fields["left_seconds"] <= 560
    watch.message(bar)
    assert told[-1].fields["left_seconds"] > 550, "not told again at once"
    watch._last = 0.0
    watch.message(bar)
    assert told[-1].fields["left_seconds"] == 380 and told[-1].line.endswith("about 6 min 20 s left")


SHAPES = [{}, {"data": {}}, {"data": {"state": []}}, {"data": {"state": {"value": 3}}}, {"data": {"text/html": 1}}]


@pytest.mark.parametrize("content", SHAPES)
def test_messages_of_any_shape_are_let_pass(content: dict) -> None:
    watch = Watch(lambda event: pytest.fail("nothing to tell"), "kg", "", 1)
    for kind in ("comm_open", "comm_msg", "display_data", "update_display_data", "status"):
        watch.message(message(kind, content))


def test_a_loop_in_a_kernel_is_told(tmp_path: Path) -> None:
    loop = "import time\nfrom tqdm.auto import tqdm\nfor _ in tqdm(range(8)):\n    time.sleep(0.3)\nassert False"
    notebooks = write_notebooks(tmp_path / "nb", bodies={"kg": loop})
    told: list[Event] = []
    refused("01_build_kg", run_chain, tmp_path / "run", notebooks=notebooks, tell=told.append, error=RuntimeError)
    loops = [event.fields for event in told if "total" in event.fields]
    assert loops and all(one["total"] == 8 and 0 <= one["left_seconds"] < 60 for one in loops)


def test_clock_reads_well() -> None:
    assert [clock(s) for s in (0, 59.4, 185, 7380)] == ["0 s", "59 s", "3 min 05 s", "2 h 03 min"]


def test_json_lines_and_silence(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words, notebooks = ["run", "--run-dir", str(chain / RUN), *SAME, "--notebooks"], str(chain / "nb")
    assert main([*words, notebooks, "--log", "json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["stage"] for one in records if one["event"] == "kept"] == ["kg", "adapter", "explain", "shift"]
    assert all({"time", "event", "message"} <= set(one) for one in records)
    assert main([*words, notebooks, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*words, str(tmp_path / "none"), "--log", "json", "--quiet"]) == 2
    error = json.loads(capsys.readouterr().err)
    assert error["event"] == "error" and error["exit_code"] == 2 and "no notebooks" in error["message"]
