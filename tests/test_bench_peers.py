"""The comparison with packages: the same prompt, answer and scores as theirs, passes counted, figures from rows."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from explain_cases import NAMES, cases, engine, model

from workbench import models, runs
from workbench.bench import contenders, packages, peers
from workbench.bench.contenders import CONTENDERS, OURS, Asked, Contender, Given
from workbench.bench.costs import certified_explanation, citing, element_ablation, long_case
from workbench.bench.packages import PackageMissing, Text, captum_scores, context_cite_scores
from workbench.bench.passes import Passes, counted
from workbench.bench.quality import Quality, largest_difference
from workbench.cases import save_cases
from workbench.cli import main
from workbench.peers import METHODS
from workbench.prompts import text
from workbench.stats import comprehensiveness, ranking, spearman, top_k_drop


def has(module: str) -> pytest.MarkDecorator:
    """Skips where a package of the extra `bench` is missing; importing context-cite to find out would download."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed (bench)")


def asked(number: int = 0) -> Asked:
    """A case whose answer is its own path: the tiny reader is random and would name no node."""
    run, case = engine(), cases()[number]
    return Asked(run, case, run.answer_ids(case, case.path), own=False)


def answered(number: int = 0) -> Asked:
    """A case with the answer that the random reader gives, so that there is a decision to flip."""
    run, case = engine(), cases()[number]
    return Asked(run, case, run.greedy_answers([case])[0], own=False)


def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "installed", lambda: {"captum": None, "context-cite": None})


@has("captum")
@pytest.mark.parametrize("call", [contenders.NO_CACHE, contenders.ONE_PASS])
def test_our_ablation_is_captums_on_the_same_prompt(call):
    for number in range(3):
        one = asked(number)
        ours = METHODS["leave_one_out"](one.part())
        theirs = captum_scores(model(), one.case, one.answer, method="FeatureAblation", **call)
        assert np.abs(ours).max() > 0.01 and np.abs(theirs - ours).max() < 1e-4


@has("captum")
def test_passes_of_captum_are_those_of_its_formula():
    one = asked(1)
    n, length = len(one.case.facts), len(one.answer)
    for call, rows in ((contenders.ONE_PASS, n + 1), (contenders.NO_CACHE, (n + 1) * length), ({}, (n + 1) * length)):
        with counted(model()) as count:
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
    with counted(model()) as count:
        found = context_cite_scores(model(), one.case, one.answer)
    assert found.answer == one.answer and found.masks.shape == (64, len(one.case.facts))
    assert count.spent.rows == 64 + len(one.answer)
    assert 0.3 < found.masks.mean() < 0.7 and len(np.unique(found.masks, axis=0)) > 30
    given = Given(found.scores, masks=found.masks)
    assert np.abs(found.scores).max() > 0.01 and largest_difference(one, given, given) < 1e-4
    assert model().tokenizer.chat_template == template  # the reader itself keeps having none
    assert "Attributed" not in capfd.readouterr().out


@has("context_cite")
def test_the_answer_of_context_cite_is_counted_apart_from_its_ablations():
    one = asked()
    costs = citing(one, repeats=1)
    assert costs["ContextCiter"]["rows"] == 64 + len(one.answer)
    assert costs["ContextCiter, answer given"]["rows"] == 64
    assert costs["ContextCiter, answer given"]["seconds"] < costs["ContextCiter"]["seconds"]


def test_our_passes_by_the_hook_are_those_of_the_ledger():
    one = asked(2)
    for name in ("leave_one_out", "context_cite", "gradient_gate", "shapley_sampling"):
        before = one.engine.ledger.to_dict()
        with counted(model()) as count:
            CONTENDERS[name].ask(one)
        after = one.engine.ledger.to_dict()
        assert count.spent.calls > 0
        for key in ("calls", "rows", "tokens"):
            assert getattr(count.spent, key) == after[key] - before[key], (name, key)
    with counted(model()) as count:
        CONTENDERS["leave_one_out"].ask(one)
        count.mark()
    assert (count.spent.calls, count.spent.rows) == (1, len(one.facts) + 1)
    assert (count.spent - count.marked).rows == 0
    assert Passes(3, 5, 7, 2.0) - Passes(1, 2, 3, 0.5) == Passes(2, 3, 4, 1.5)


def test_a_prompt_as_text_is_the_prompt_and_an_ablated_line_is_the_deleted_fact():
    for case in cases():
        whole = Text.of(model(), case)
        assert whole(*whole.lines) == text(case, model().template) and len(whole.lines) == len(case.facts)
        without = ["" if i == 1 else line for i, line in enumerate(whole.lines)]
        assert whole(*without) == text(case, model().template, [i != 1 for i in range(len(case.facts))])
        ids = model().tokenizer.encode(whole(*without))
        assert tuple(ids) == engine().prompt(case, np.arange(len(case.facts)) != 1).ids
    odd = "a {b} {{context}} }{"
    assert packages._braces(odd).format(context="x", query="y") == odd


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(PackageMissing, match=r'captum cannot be imported .*pip install "workbench\[bench\]"'):
        packages.package("captum")
    ours = contenders.available({"captum": None, "context-cite": None})
    assert {one.package for one in ours} == {OURS} and len(ours) == 7
    more = contenders.available({"captum": "1", "context-cite": None}, dear=False)
    assert {one.package for one in more} == {OURS, "captum"} and not any(one.dear for one in more)
    assert all(one.like in CONTENDERS and CONTENDERS[one.like].package == OURS for one in CONTENDERS.values())


def test_rows_hold_quality_cost_and_what_a_package_said_when_it_failed():
    def fails(_asked: Asked) -> Given:
        raise ValueError("input contains infinity\nand more")

    rivals = [
        Contender("same", "other", "leave_one_out", CONTENDERS["leave_one_out"].ask, exact=True),
        Contender("fails", "other", "leave_one_out", fails),
        Contender("rare", "other", "gradient_gate", CONTENDERS["gradient_gate"].ask, dear=True),
    ]
    mine = contenders.available({})
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
    scores = METHODS["leave_one_out"](one.part())
    found = CONTENDERS["smallest_flip_set"].ask(one).found
    quality = Quality.of(one, size=len(found.elements), masks=32)
    measured, order = quality(scores), ranking(scores)
    assert measured["top_k_drop"] == pytest.approx(top_k_drop(one.part(), order, 3), abs=1e-4)
    assert measured["comprehensiveness"] == pytest.approx(comprehensiveness(one.part(), order), abs=1e-4)
    held_out = np.random.default_rng([one.seed, 1]).random((32, len(one.facts))) < 0.5
    assert measured["lds"] == pytest.approx(spearman(held_out @ scores, one.part()(held_out)), abs=1e-6)
    members = np.isin(np.arange(len(one.facts)), found.elements).astype(float)
    assert quality(members)["flips"] == 1
    assert Quality.of(one, size=0)(members)["flips"] == 0  # nothing goes, nothing flips
    assert Quality.of(one, size=None)(members)["flips"] is None
    assert quality(np.zeros(len(one.facts)))["lds"] == 0


def test_figures_are_means_and_medians_over_the_cases_that_did_not_fail():
    blank = {"contender": "m", "package": "p", **dict.fromkeys(peers.MEANS), "seconds": 9.0}
    rows = [{**blank, "lds": v, "seconds": s, "failed": None} for v, s in ((0.2, 1.0), (0.4, 2.0), (0.9, 9.0))]
    figures = peers.summarise([*rows, {**blank, "failed": "why"}])
    one = figures["m"]
    assert (one["n"], one["failed"], one["lds"]["n"]) == (4, 1, 3) and "flips" not in one
    assert one["lds"]["mean"] == pytest.approx(0.5) and one["lds"]["low"] <= 0.5 <= one["lds"]["high"]
    assert one["seconds"]["median"] == 2
    (line,) = peers.table(figures)
    assert line["method"] == "p: m" and line["lds"] == pytest.approx(0.5) and line["flips"] is None


@pytest.mark.parametrize(("facts", "tokens"), [(4, 5), (20, 6), (12, 40), (55, 3)])
def test_a_long_case_has_the_facts_asked_for_and_a_chain_that_the_answer_names(facts, tokens):
    case = long_case(NAMES, facts=facts, tokens=tokens, rng=np.random.default_rng(facts))
    assert len(case.facts) == facts and len({frozenset((f.head, f.tail)) for f in case.facts}) == facts
    assert len(case.needed) == len(case.path) - 1
    assert len(engine().answer_ids(case, case.path)) == len(case.path) == min(tokens, facts + 1, len(NAMES))
    with pytest.raises(ValueError, match="56 facts cannot be drawn from 11 names"):
        long_case(NAMES, facts=56, tokens=tokens, rng=np.random.default_rng(0))


@has("captum")
def test_one_ablation_costs_us_a_row_a_fact_and_scores_are_captums():
    found = element_ablation(engine(), ["captum"], facts=9, tokens=6, repeats=1)
    assert (found["facts"], found["answer_tokens"]) == (9, 6)
    costs = found["costs"]
    assert (costs["leave_one_out"]["rows"], costs["FeatureAblation, one pass"]["rows"]) == (10, 10)
    assert costs["FeatureAblation"]["rows"] == costs["FeatureAblation, no cache"]["rows"] == 60
    assert max(found["difference"][f"FeatureAblation, {how}"] for how in ("no cache", "one pass")) < 1e-4
    seconds = costs["FeatureAblation"]["seconds"] / costs["leave_one_out"]["seconds"]
    assert found["times_faster"]["FeatureAblation"] == pytest.approx(seconds)
    assert "ContextCiter" not in costs


def test_a_certified_explanation_is_measured_on_the_cases_of_that_size():
    found = certified_explanation(engine(), cases(), elements=15, count=2)
    assert found["elements"] == [15, 11]
    for search in ("certified", "smallest"):
        assert found[search]["certified"]["n"] == found[search]["seconds"]["n"] == 2
        # every mask was asked of the model or known, and the answer was generated
        assert found[search]["rows"]["low"] > 0 and found[search]["masks"]["low"] >= 1


def test_cases_whose_answer_is_no_text_are_passed_over():
    with pytest.raises(ValueError, match="none of 3 held-out cases shows 3 facts and gets an answer"):
        peers.asked_of(engine(), cases(), 2)


def run_folder(place: Path) -> Path:
    """A run whose adapter stage is finished; the adapter does nothing yet (B = 0)."""
    lm = models.add_adapter(
        models.load(names=NAMES), rank=2, alpha=4, modules=("q_proj", "v_proj"), dropout=0.0, seed=0
    )
    folder = runs.open_stage(place, "adapter")
    lm.model.save_pretrained(folder)
    save_cases(folder / "cases_held_out.jsonl", cases())
    runs.atomic_write_json(folder / "names.json", NAMES)
    runs.write_manifest(place, "adapter", config={"model": "reader"}, inputs={}, metrics={}, seed=0, device="cpu")
    return place


def test_the_command_measures_a_run_without_any_package(tmp_path: Path, monkeypatch, capsys):
    no_packages(monkeypatch)
    file = tmp_path / "peers.json"
    assert main(["bench", "peers", "--json", str(file), "--run-dir", str(run_folder(tmp_path / "run")), "--quick"]) == 0
    result = json.loads(file.read_text())
    assert [line["method"] for line in result["table"]] == [one.name for one in contenders.available({})]
    assert all(line.keys() == result["table"][0].keys() and line["n"] == 1 for line in result["table"])
    assert "pip install" in result["packages"]["captum"] and "ContextCiter" in result["left_out"]
    goals = result["goals"]
    assert (
        goals["element_ablation"]["costs"].keys() == {"leave_one_out"} and not goals["element_ablation"]["difference"]
    )
    assert goals["element_ablation"]["costs"]["leave_one_out"]["rows"] == goals["element_ablation"]["facts"] + 1
    assert goals["certified_explanation"]["certified"]["certified"]["n"] == 1
    assert result["model"] == "reader" and "leave_one_out" in result["figures"] and result["rows"]
    assert "case 1 of 1" in capsys.readouterr().out


def test_a_run_without_an_adapter_names_the_notebook(tmp_path: Path, capsys):
    file = tmp_path / "f.json"
    assert main(["bench", "peers", "--json", str(file), "--run-dir", str(tmp_path / "run")]) == 2
    assert "Run notebook 02_train_qlora.ipynb first" in capsys.readouterr().err and not file.exists()
