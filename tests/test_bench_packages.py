"""Packages called as their users call them: our prompt, our answer, the same scores; passes counted from outside. Our
sets beside ContextCite's scores on passages: what is compared, and what the shares are of. The comparison with
packages: rows and their figures, what an ablation costs, the command on a run folder."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from asked_cases import answered, asked, has
from explain_cases import cases, engine, model
from refusals import refused
from tiny import save_tiny

from workbench import models
from workbench.attribution import METHODS
from workbench.game import Engine
from workbench.hands.bench import contenders, packages, peers
from workbench.hands.bench.cited import PASSAGES, compared, made_records, summarised
from workbench.hands.bench.contenders import (
    CONTENDERS,
    OURS,
    Asked,
    Contender,
    Counter,
    Given,
    Quality,
    largest_difference,
)
from workbench.hands.bench.packages import PackageMissing, Text, captum_scores, context_cite_scores
from workbench.hands.cli import main
from workbench.logs.records import record_of
from workbench.models.prompts import text
from workbench.stats import comprehensiveness, ranking, spearman, top_k_drop


@has("captum")
@pytest.mark.parametrize("call", [contenders.NO_CACHE, contenders.ONE_PASS])
def test_our_ablation_is_captums_on_the_same_prompt(call):
    for number in range(3):
        one = asked(number)
        ours = METHODS["leave_one_out"](one.part()).scores
        theirs = captum_scores(model(), one.case, one.answer, method="FeatureAblation", **call)
        assert np.abs(ours).max() > 0.01 and np.abs(theirs - ours).max() < 1e-4


@has("captum")
def test_passes_of_captum_are_those_of_its_formula():
    one = asked(1)
    n, length = len(one.case.facts), len(one.answer)
    for call, rows in ((contenders.ONE_PASS, n + 1), (contenders.NO_CACHE, (n + 1) * length), ({}, (n + 1) * length)):
        with Counter(model()) as count:
            captum_scores(model(), one.case, one.answer, method="FeatureAblation", **call)
        assert (count.spent.calls, count.spent.rows) == (rows, rows), call


@has("captum")
def test_packages_draw_from_the_seed_and_leave_the_global_generators_alone():
    one, before = asked(), (torch.random.get_rng_state(), np.random.get_state()[1])
    draws = [
        captum_scores(model(), one.case, one.answer, method=method, seed=3, n_samples=4, **contenders.ONE_PASS)
        for method in ("KernelShap", "ShapleyValueSampling") * 2
    ]
    assert np.array_equal(draws[0], draws[2]) and np.array_equal(draws[1], draws[3])
    assert torch.equal(before[0], torch.random.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])
    # each permutation adds up to v(all) - v(none)
    ends = one.part()(np.array([[True] * len(one.facts), [False] * len(one.facts)]))
    assert draws[1].sum() == pytest.approx(ends[0] - ends[1], abs=1e-4)


@has("context_cite")
def test_context_cite_explains_our_answer_and_on_its_masks_we_give_its_scores(capfd):
    one, template = asked(1), model().tokenizer.chat_template
    with Counter(model()) as count:
        found = context_cite_scores(model(), one.case, one.answer)
    assert found.answer == one.answer and found.masks.shape == (64, len(one.case.facts))
    assert count.spent.rows == 64 + len(one.answer)
    assert 0.3 < found.masks.mean() < 0.7 and len(np.unique(found.masks, axis=0)) > 30
    given = Given(found.scores, masks=found.masks)
    assert np.abs(found.scores).max() > 0.01 and largest_difference(one, given, given) < 1e-4
    assert model().tokenizer.chat_template == template  # the reader itself keeps having none
    assert "Attributed" not in capfd.readouterr().out


def test_our_passes_by_the_hook_are_those_of_the_ledger():
    one = asked(2)
    for name in ("leave_one_out", "context_cite", "gradient_gate", "shapley_sampling"):
        before = one.engine.ledger.to_dict()
        with Counter(model()) as count:
            CONTENDERS[name].ask(one)
        after = one.engine.ledger.to_dict()
        assert count.spent.calls > 0
        for key in ("calls", "rows", "tokens"):
            assert getattr(count.spent, key) == after[key] - before[key], (name, key)


def test_a_prompt_as_text_is_the_prompt_and_an_ablated_line_is_the_deleted_fact():
    for case in cases():
        whole = Text.of(model().template.segments(case))
        assert whole(*whole.lines) == text(case, model().template) and len(whole.lines) == len(case.facts)
        without = ["" if i == 1 else line for i, line in enumerate(whole.lines)]
        assert whole(*without) == text(case, model().template, [i != 1 for i in range(len(case.facts))])
        ids = model().tokenizer.encode(whole(*without))
        assert tuple(ids) == engine().prompt(case, np.arange(len(case.facts)) != 1).ids
    odd = "a {b} {{context}} }{"
    assert packages._braces(odd).format(context="x", query="y") == odd


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(PackageMissing, match=r"captum cannot be imported .*pip install --editable .*\[bench\]"):
        packages.package("captum")
    ours = contenders.available({"captum": None, "context-cite": None})
    assert {one.package for one in ours} == {OURS} and len(ours) == 7
    more = contenders.available({"captum": "1", "context-cite": None}, dear=False)
    assert {one.package for one in more} == {OURS, "captum"} and not any(one.dear for one in more)
    assert all(one.like in CONTENDERS and CONTENDERS[one.like].package == OURS for one in CONTENDERS.values())


def test_the_records_ask_for_what_one_of_their_passages_says():
    records = made_records(3, seed=0)
    assert records[:2] == made_records(2, seed=0)
    for record in records:
        asked = record.question.removeprefix("Under which licence is ").removesuffix("?")
        assert len(record.facts) == PASSAGES and len({fact.text for fact in record.facts}) == PASSAGES
        assert sum(f"{asked} is licensed under" in fact.text for fact in record.facts) == 1


def test_a_record_is_compared_at_the_size_of_our_set(tmp_path):
    lm = models.load(str(save_tiny(tmp_path / "llama", "llama")), names={}, four_bit=False)
    package = importlib.util.find_spec("context_cite") is not None
    record = record_of({"id": "1", "question": "q?", "facts": ["a b", "c d", "e f"]})
    row = compared(Engine(lm), record, package=package)
    assert row["rows"] >= row["calls"] >= 4 and row["size"] in (None, 1, 2, 3)
    if package and row["size"] and "package_failed" not in row:
        assert len(row["package_top"]) == row["size"] and row["package_turns"] in (True, False)


def test_shares_are_of_records_with_a_set():
    ours = {"memory": False, "rows": 9, "seconds": 1.0, "ours": [1, 2]}
    rows = [
        ours | {"size": 2, "package_turns": True, "package_top": [2, 1]},
        ours | {"size": 2, "package_turns": False, "package_top": [0, 1]},
        ours | {"size": 2, "package_failed": "not finite"},
        {"memory": True, "size": None, "rows": 5, "seconds": 2.0, "package_rows": 64},
    ]
    found = summarised(rows)
    assert (found["context-cite's top k turn it"]["share"], found["context-cite's top k turn it"]["n"]) == (0.5, 2)
    assert found["its top k are our set"]["share"] == 0.5 and found["a certified set"]["share"] == 0.75
    assert found["package_rows"]["n"] == 1 and found["rows"]["median"] == 9


def test_the_command_shows_shares_and_medians_in_one_table(tmp_path, capsys):
    model, file = save_tiny(tmp_path / "llama", "llama"), tmp_path / "cited.json"
    words = ["bench", "cited", "--json", str(file), "--model", str(model), "--run-dir", str(tmp_path), "-n", "1"]
    assert main(words) == 0
    told, said = json.loads(file.read_text()), capsys.readouterr().out
    assert [row["what"] for row in told["table"]] == list(told["figures"]) and told["figures"]["rows"]["n"] == 1
    assert "a certified set" in said and "median" in said and "share" in said


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
    refused("infinity", peers.measure, Contender("ours", OURS, "ours", fails), asked())


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
    refused("none of 3 held-out cases shows 3 facts and gets an answer", peers.asked_of, engine(), cases(), 2)


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
