"""The comparison with packages: rows and their figures, what an ablation costs, the command on a run folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from asked_cases import answered, asked
from explain_cases import cases, engine

from workbench.attribution import METHODS
from workbench.hands.bench import contenders, peers
from workbench.hands.bench.contenders import CONTENDERS, OURS, Asked, Contender, Given, Quality
from workbench.hands.cli import main
from workbench.stats import comprehensiveness, ranking, spearman, top_k_drop


def test_rows_hold_quality_cost_and_what_a_package_said_when_it_failed():
    def fails(_asked: Asked) -> Given:
        raise ValueError("input contains infinity\nand more")

    rivals = [
        Contender("same", "other", "leave_one_out", CONTENDERS["leave_one_out"].ask, exact=True),
        Contender("fails", "other", "leave_one_out", fails),
        Contender("rare", "other", "gradient_gate", CONTENDERS["gradient_gate"].ask, dear=True),
    ]
    mine = [CONTENDERS[name] for name in ("leave_one_out", "gradient_gate", "smallest_flip_set")]
    rows = peers.compare([answered(0), answered(1)], [*mine, *rivals], dear_cases=1, masks=16)
    assert len(rows) == 2 * len(mine) + 5
    assert all(set(row) == set(rows[0]) for row in rows)
    same, broken = (next(r for r in rows if r["contender"] == name) for name in ("same", "fails"))
    assert same["difference"] == 0 and same["rows_ratio"] == 1 and same["agreement"] == pytest.approx(1)
    assert broken["failed"] == "input contains infinity" and broken["lds"] is None
    one = next(r for r in rows if r["contender"] == "gradient_gate")
    assert (one["rows"], one["backward_passes"], one["certified"]) == (1, 1, None)
    none, pair = (r for r in rows if r["contender"] == "smallest_flip_set")  # of the first case no set flips the answer
    assert (none["certified"], none["flips"], none["size"]) == (0, None, None)
    assert (pair["certified"], pair["flips"], pair["size"]) == (1, 1, 2)
    with pytest.raises(ValueError, match="infinity"):
        peers.measure(Contender("ours", OURS, "ours", fails), asked())


def test_quality_is_that_of_the_games_own_values():
    one = answered(1)
    scores = METHODS["leave_one_out"](one.part()).scores
    found = CONTENDERS["smallest_flip_set"].ask(one).found
    quality = Quality(one, size=len(found.elements), masks=32)
    measured, order = quality(scores), ranking(scores)
    assert measured["top_k_drop"] == pytest.approx(top_k_drop(one.part(), order, 3), abs=1e-4)
    assert measured["comprehensiveness"] == pytest.approx(comprehensiveness(one.part(), order), abs=1e-4)
    held_out = np.random.default_rng([one.seed, 1]).random((32, len(one.facts))) < 0.5
    assert measured["lds"] == pytest.approx(spearman(held_out @ scores, one.part()(held_out)), abs=1e-6)
    members = np.isin(np.arange(len(one.facts)), found.elements).astype(float)
    assert quality(members)["flips"] == 1
    assert Quality(one, size=0)(members)["flips"] == 0  # nothing goes, nothing flips
    assert Quality(one, size=None)(members)["flips"] is None
    assert quality(np.zeros(len(one.facts)))["lds"] == 0


def test_figures_are_means_and_medians_over_the_cases_that_did_not_fail():
    blank = {"contender": "m", "package": "p", **dict.fromkeys(peers.MEANS), "seconds": 9.0}
    rows = [
        {**blank, "lds": v, "certified": 1.0, "seconds": s, "failed": None} for v, s in ((0.2, 1), (0.4, 2), (0.9, 9))
    ]
    figures = peers.summarise([*rows, {**blank, "failed": "why"}])
    one = figures["m"]
    assert (one["n"], one["failed"], one["lds"]["n"]) == (4, 1, 3) and "flips" not in one
    assert one["lds"]["mean"] == pytest.approx(0.5) and one["lds"]["low"] <= 0.5 <= one["lds"]["high"]
    assert one["lds"]["low"] >= -1 and one["lds"]["high"] <= 1
    assert one["certified"]["mean"] == 1 and one["certified"]["low"] < 1  # of three cases, never without width
    assert one["seconds"]["median"] == 2
    (line,) = peers.table(figures)
    assert line["method"] == "p: m" and line["lds"] == pytest.approx(0.5) and line["flips"] is None


def test_cases_whose_answer_is_no_text_are_passed_over():
    with pytest.raises(ValueError, match="none of 3 held-out cases shows 3 facts and gets an answer"):
        peers.asked_of(engine(), cases(), 2)


def test_the_command_measures_a_run_without_any_package(tmp_path: Path, small_run, monkeypatch, capsys):
    monkeypatch.setattr(peers, "installed", lambda: dict.fromkeys(["captum", "context-cite"]))
    file = tmp_path / "peers.json"
    assert main(["bench", "peers", "--json", str(file), "--run-dir", str(small_run), "--quick"]) == 0
    result = json.loads(file.read_text())
    assert [line["method"] for line in result["table"]] == [one.name for one in contenders.available({})]
    assert all(line.keys() == result["table"][0].keys() and line["n"] == 1 for line in result["table"])
    assert "pip install" in result["packages"]["captum"] and "ContextCiter" in result["left_out"]
    assert result["model"] == "reader" and "leave_one_out" in result["figures"] and result["rows"]
    assert "case 1 of 1" in capsys.readouterr().out


def test_a_run_without_an_adapter_names_the_notebook(tmp_path: Path, capsys):
    file = tmp_path / "f.json"
    assert main(["bench", "peers", "--json", str(file), "--run-dir", str(tmp_path / "run")]) == 2
    assert "Run notebook 02_train_qlora.ipynb first" in capsys.readouterr().err and not file.exists()
