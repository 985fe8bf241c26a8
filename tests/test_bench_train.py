"""The benchmark of training, the comparison of two results, and the lines of code."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from sweep_runs import make_run
from tiny import NAMES, chain_case

from workbench import models
from workbench.hands.bench import code_lines, machine, measure, ratio
from workbench.hands.bench import train as bench_train
from workbench.hands.cli import main, output
from workbench.stats import bootstrap_mean
from workbench.train import TrainConfig, Views, collate

TRAIN = {"rank": 2, "alpha": 4, "batch": 4, "shares": [0.0, 0.5], "steps": 1400, "gone_setting": 1}


def test_training_is_measured_against_a_plain_script_on_the_same_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_train, "QUICK_STEPS", 2)
    monkeypatch.setattr(bench_train, "QUICK_ROUNDS", 1)
    file, run = tmp_path / "train.json", make_run(tmp_path / "run", cases=1, train=TRAIN)
    assert main(["bench", "train", "--quick", "--json", str(file), "--run-dir", str(run)]) == 0
    result = json.loads(file.read_text())
    assert (result["benchmark"], result["quick"], result["seed"]) == ("train", True, 0) and result["seconds"] > 0
    assert {row["contender"] for row in result["table"]} == {"plain Trainer", "padded", "packed"}
    config = TrainConfig(steps=2, batch=4, rank=2, alpha=4, shares=(0.0, 0.5))
    batch = collate([Views([chain_case()], models.load(names=NAMES), config=config)[i] for i in range(8)], 0)
    assert result["tokens"] == int(batch["attention_mask"].sum()) < batch["input_ids"].numel()
    for row in result["rows"]:
        assert row["tokens_per_second"] == pytest.approx(result["tokens"] / row["seconds"])
    plain = result["figures"]["plain Trainer"]
    assert plain["times_plain"]["mean"] == 1 and plain["tokens_per_second"]["n"] == bench_train.QUICK_ROUNDS
    assert result["machine"]["cores"] >= 1 and result["machine"]["memory_bytes"] > 2**28
    assert result["versions"]["torch"] and "Training" not in capsys.readouterr().err


def test_the_most_memory_held_is_seen():
    lm = models.load(names=NAMES)

    def hold(_lm):
        block = np.ones(8 << 20)  # 64 MiB
        for _ in range(20):
            block.sum()

    def nothing(_lm):
        for _ in range(200_000):
            pass

    assert 60 << 20 < bench_train.timed(hold, lm)["peak_bytes"] < 200 << 20
    assert bench_train.timed(nothing, lm)["peak_bytes"] < 20 << 20


def test_figures_are_compared_by_name_with_intervals_where_both_have_one(tmp_path, capsys):
    def result(name: str, mean: float, seconds: float) -> str:
        figure = {"mean": mean, "low": mean - 1, "high": mean + 1, "n": 5}
        document = {
            "benchmark": "train", "seed": 0, "quick": False, "machine": {"cores": len(name)},
            "methods": [{"method": "m/1", "rate": figure}, {"method": "m/2", "rate": dict.fromkeys(figure, 0)}],
            "versions": {"torch": "1"}, "seconds": seconds, "rows": [1, 2], name: 4,
        }  # fmt: skip
        (tmp_path / name).write_text(json.dumps(document))
        return str(tmp_path / name)

    first, second = result("a", 10.0, 4.0), result("bb", 20.0, 2.0)
    assert main(["bench", "compare", first, second, "--json", str(tmp_path / "c.json")]) == 0
    found = json.loads((tmp_path / "c.json").read_text())
    rows = {row["figure"]: row for row in found["table"]}
    assert rows.keys() == {"methods[m/1].rate", "methods[m/2].rate", "seconds"}
    assert (rows["seconds"]["ratio"], rows["seconds"]["low"]) == (0.5, None)
    assert rows["methods[m/2].rate"]["ratio"] is None
    errors = math.hypot(math.log(11 / 9), math.log(21 / 19)) / 2
    assert rows["methods[m/1].rate"]["low"] == pytest.approx(2 * math.exp(-errors), rel=1e-6)
    assert found["differs"]["machine"] == {"cores": [1, 2]} and found["differs"]["versions"] == {}
    assert found["only"] == {"a": ["a"], "b": ["bb"]}
    assert "differs: machine" in capsys.readouterr().out


def test_the_interval_of_a_ratio_covers_the_true_one():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        a, b = rng.normal(10, 2, 30), rng.normal(15, 3, 30)
        ends = [bootstrap_mean(x, rng=rng, draws=300) for x in (a, b)]
        row = ratio(*((e.mean, e.low, e.high) for e in ends))
        hits += row["low"] <= 1.5 <= row["high"]
    assert 180 <= hits <= 199  # of 200; 95 % of them are meant to


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "a.json"], "takes two results, A and B, not 1"),
        (["compare", "a.json", "b.json"], "does not say of which benchmark it is"),
        (["compare", "c.json", "d.json"], r"c.json is of bench 'x', .*d.json of 'y'"),
        (["compare", "c.json", "e.json"], "e.json is no JSON"),
        (["train"], "give it as --json FILE"),
        (["tain", "--json", "x"], "no benchmark is called 'tain'; there are planted, certified, peers"),
        (["train", "--json", "no/x.json"], "does not exist; create it first"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    for name, text in {"a": "[]", "b": "{}", "c": '{"benchmark": "x"}', "d": '{"benchmark": "y"}', "e": "{"}.items():
        Path(f"{name}.json").write_text(text)
    assert main(["bench", *words]) == output.REFUSED
    assert re.search(said, " ".join(capsys.readouterr().err.split()))


def test_the_machine_is_described_in_plain_types():
    assert (
        json.loads(json.dumps(machine())).keys() == machine().keys() >= {"processor", "cores", "memory_bytes", "gpus"}
    )


SOURCE = '''"""Of a module,
over two lines."""

import os  # why


class Room:
    """One."""

    text = """no docstring,
    two lines"""


def empty():
    """Nothing but this."""
    # and a remark
'''


def test_docstrings_comments_and_blank_lines_do_not_count() -> None:
    assert code_lines(SOURCE) == 5, "import, class, two of the text, def"
    assert code_lines("") == code_lines("# only\\n\\n") == 0


def test_rooms_add_up_to_the_package(tmp_path: Path) -> None:
    rows = {row["room"]: row for row in measure("size", run_dir=tmp_path, quick=True, seed=0, say=print)["table"]}
    rooms = [row for name, row in rows.items() if name not in ("workbench", "tests")]
    for column in ("files", "lines"):
        assert sum(row[column] for row in rooms) == rows["workbench"][column] > 200
    assert rows["kg"]["lines"] > rows["hands/narrative"]["lines"] > 0 and rows["tests"]["files"] > 100
