"""Explanations from end to end on a small random reader: contents, saving, comparison, determinism."""

import json
from dataclasses import replace

import numpy as np
import pytest
from explain_cases import case, cases, engine

from workbench.cases import toolchain
from workbench.explain import (
    METHODS,
    METRICS,
    ExplainConfig,
    Explanation,
    Weights,
    compare,
    explain,
    explain_all,
    load,
    save,
    summarise,
    without,
)

QUICK = ExplainConfig(weights=Weights(alpha=20), paper_steps=8, loop_steps=4, max_new_tokens=6)


@pytest.fixture(scope="module")
def everything() -> dict[str, list[Explanation]]:
    return explain_all(engine(), cases(), config=QUICK)


def test_every_method_explains_every_case(everything: dict[str, list[Explanation]]) -> None:
    assert tuple(everything) == METHODS and len(METHODS) == 9
    for method, group in everything.items():
        assert [e.case.id for e in group] == ["one", "two", "three"]
        for e in group:
            assert e.method == method
            assert e.removed and set(e.removed) <= set(e.case.elements)
            assert len(e.degrees) == len(e.case.elements)
            assert ("base_full" in e.answers) == (method in ("paper", "in_loop"))


def test_baselines_remove_as_much_as_the_reference(everything: dict[str, list[Explanation]]) -> None:
    for method in METHODS[2:]:
        for e, reference in zip(everything[method], everything["in_loop"], strict=True):
            rooms = {
                "random_edge": len(e.case.facts),
                "random_node": len(e.case.nodes),
                "aligned_node": len(e.case.nodes),
            }
            assert len(e.removed) == min(len(reference.removed), rooms.get(method, 99))
            assert [d for d in e.degrees if d] == [1.0] * len(e.removed)


def test_answers_are_those_of_the_model_on_the_rendered_text(everything: dict[str, list[Explanation]]) -> None:
    run = engine()
    for method in ("in_loop", "random_both"):
        for e in everything[method]:
            changed = without(e.case, e.removed)
            assert e.changed == changed
            assert run.answers([e.case], max_new_tokens=6) == [e.answers["tuned_full"]]
            assert run.answers([changed], max_new_tokens=6) == [e.answers["tuned_changed"]]
            if method == "in_loop":
                assert run.answers([changed], adapter=False, max_new_tokens=6) == [e.answers["base_changed"]]


def test_metrics_and_flip_follow_from_the_answers(everything: dict[str, list[Explanation]]) -> None:
    for e in (e for group in everything.values() for e in group):
        chains = [toolchain(e.answers[key]) for key in ("tuned_full", "tuned_changed")]
        assert e.flipped == (chains[0] != chains[1])
        assert {n: e.metrics[n] for n in list(METRICS)[:3]} == {
            n: f(*chains) for n, f in METRICS.items() if n != "cosine"
        }
        assert 0 <= e.metrics["cosine"] <= 1
        if e.answers["tuned_full"] == e.answers["tuned_changed"]:
            assert e.metrics["cosine"] == 1


def test_saved_and_read_back(everything: dict[str, list[Explanation]], tmp_path) -> None:
    for e in (everything["in_loop"][1], everything["aligned_both"][0]):
        path = save(tmp_path / f"{e.method}.json", e)
        assert load(path) == e
        assert json.loads(path.read_text("utf-8"))["case"]["id"] == e.case.id


def test_a_number_that_is_none_is_not_saved(everything: dict[str, list[Explanation]], tmp_path) -> None:
    broken = replace(everything["paper"][0], metrics={"jaccard": float("nan")})
    with pytest.raises(ValueError, match=r"metrics\.jaccard is nan"):
        save(tmp_path / "x.json", broken)
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_records() -> None:
    methods = ("in_loop", "random_node", "attention_lowest")
    first, again = (compare(engine(), cases(), methods=methods, seed=5, config=QUICK) for _ in range(2))
    assert first == again
    assert [(r["method"], r["case"]) for r in first] == [(m, c.id) for m in methods for c in cases()]


def test_a_method_alone_gives_what_it_gives_among_all(everything: dict[str, list[Explanation]]) -> None:
    for method in ("in_loop", "aligned_node"):
        alone = explain(engine(), cases(), method, config=QUICK)
        assert [e.removed for e in alone] == [e.removed for e in everything[method]]
        assert all("base_changed" in e.answers for e in alone)


def test_cost_is_booked_for_the_whole_batch(everything: dict[str, list[Explanation]]) -> None:
    loop, paper = everything["in_loop"][0].ledger, everything["paper"][0].ledger
    assert loop["cases"] == 3 and loop["seconds"] > 0
    assert loop["backward_passes"] == QUICK.loop_steps and paper["backward_passes"] == 0
    assert everything["random_edge"][0].ledger["rows"] == 3  # one answer a case


def test_progress_tells_steps_and_methods() -> None:
    heard: list[tuple[str, dict[str, float]]] = []
    explain_all(
        engine(),
        cases()[:1],
        methods=("paper", "random_edge"),
        config=QUICK,
        progress=lambda method, row: heard.append((method, row)),
    )
    done = [method for method, row in heard if row == {"done": 1.0}]
    assert done == ["paper", "random_edge"]
    assert [row["step"] for method, row in heard if method == "in_loop"] == [
        1,
        2,
        3,
        4,
    ]  # the reference of the baseline


def test_summary_has_means_and_intervals_of_every_metric(everything: dict[str, list[Explanation]]) -> None:
    rows = [e.record() for group in everything.values() for e in group]
    found = summarise(rows)
    assert set(found) == set(METHODS)
    for method, metrics in found.items():
        mine = [r for r in rows if r["method"] == method]
        assert set(metrics) == {*METRICS, "flipped", "removed", "facts_removed"}
        for name, interval in metrics.items():
            assert interval["mean"] == pytest.approx(np.mean([r[name] for r in mine]))
            assert interval["low"] <= interval["mean"] <= interval["high"] and interval["n"] == 3
    assert found == summarise(rows)


def test_what_cannot_be_explained_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'magic'; the methods are paper, in_loop"):
        explain(engine(), cases(), "magic")
    with pytest.raises(ValueError, match="got 0 cases"):
        explain(engine(), [])
    with pytest.raises(ValueError, match="2 cases with 1 ids"):
        explain(engine(), [case(), case()])
    with pytest.raises(ValueError, match="shows no facts"):
        explain(engine(), [replace(case(), facts=())])
    with pytest.raises(ValueError, match="reference must be one of paper, in_loop"):
        ExplainConfig(reference="random_node")
    with pytest.raises(ValueError, match="loop_steps must be 1 or more"):
        ExplainConfig(loop_steps=0)
