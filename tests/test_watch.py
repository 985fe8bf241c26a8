"""What a headless run tells: progress of loops inside cells, time left, JSON lines, silence."""

import json
from pathlib import Path

import pytest
from refusals import refused
from tiny_chain import RUN, SAME, write_notebooks

from workbench.hands.cli import main
from workbench.hands.headless.chain import run_chain
from workbench.hands.headless.watch import Event, Loop, Watch, clock

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


@pytest.mark.parametrize(
    "content",
    [{}, {"data": {}}, {"data": {"state": []}}, {"data": {"state": {"value": 3}}}, {"data": {"text/html": 1}}],
)
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
