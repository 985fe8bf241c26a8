"""Explanations from end to end on a small random reader: contents, saving, comparison, determinism."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from dosed_models import with_adapter
from explain_cases import NAMES, case, cases, engine
from refusals import refused

from workbench import explain
from workbench.cases import Case, toolchain
from workbench.cases.sampling import with_order
from workbench.game import Engine
from workbench.models import load as load_model

QUICK = explain.ExplainConfig(weights=explain.Weights(alpha=20), paper_steps=8, loop_steps=4, max_new_tokens=6)


Explained = dict[str, list[explain.Explanation]]  # by method


def explain_all(reader: Engine, some: list[Case], *, methods=explain.METHODS, **how) -> Explained:
    """What is shared by the methods is computed once; the base model does not answer for the baselines."""
    session = explain.Session(reader, some, **how)
    return {method: session.explanations(method, with_base=method not in explain.BASELINES) for method in methods}


@pytest.fixture(scope="module")
def everything() -> Explained:
    return explain_all(engine(), cases(), config=QUICK)


def test_every_method_explains_every_case(everything: Explained) -> None:
    assert tuple(everything) == explain.METHODS and len(explain.METHODS) == 10
    for method, group in everything.items():
        assert [e.case.id for e in group] == ["one", "two", "three"]
        for e, reference in zip(group, everything["in_loop"], strict=True):
            assert e.method == method
            assert e.removed and set(e.removed) <= set(e.case.elements)
            assert len(e.degrees) == len(e.case.elements)
            assert ("base_full" in e.answers) == (method not in explain.BASELINES)
            assert bool(e.certificate) == (method == "certified")
            if method in explain.BASELINES:
                room = {"edge": len(e.case.facts), "node": len(e.case.nodes)}.get(method.split("_")[1], 99)
                assert len(e.removed) == min(len(reference.removed), room)
                assert [d for d in e.degrees if d] == [1.0] * len(e.removed)


def test_answers_are_those_of_the_model_on_the_rendered_text(everything: Explained) -> None:
    run = engine()
    for method in ("in_loop", "random_both"):
        for e in everything[method]:
            changed = explain.without(e.case, e.removed)
            assert e.changed == changed
            assert run.answers([e.case], max_new_tokens=6) == [e.answers["tuned_full"]]
            assert run.answers([changed], max_new_tokens=6) == [e.answers["tuned_changed"]]
            if method == "in_loop":
                assert run.answers([changed], adapter=False, max_new_tokens=6) == [e.answers["base_changed"]]


@pytest.fixture(scope="module")
def reader() -> Engine:
    """The shipped reader, which does name commands, not quantised, with an adapter that does nothing."""
    return Engine(with_adapter(load_model(names=NAMES, four_bit=False), size=0))


@pytest.fixture(scope="module", params=["facts", "elements"])
def decided(reader: Engine, request: pytest.FixtureRequest) -> Explained:
    config = replace(QUICK, max_new_tokens=24, sets_of=request.param)
    return explain_all(reader, cases()[:2], methods=("in_loop", "certified"), config=config)


def kept_with(reader: Engine, e: explain.Explanation, removals: list) -> bool:
    """Whether the toolchain stays without each of these sets of elements, on the rendered text."""
    paths = reader.answers([explain.without(e.case, gone) for gone in removals], max_new_tokens=24)
    return {toolchain(path) for path in paths} <= {e.toolchains["tuned_full"]}


def test_a_certified_set_flips_and_no_smaller_one_does(reader: Engine, decided: Explained, request) -> None:
    of_facts = request.node.callspec.params["decided"] == "facts"
    for e in decided["certified"]:
        among = e.case.facts if of_facts else e.case.elements
        assert set(e.removed) <= set(among)
        found = explain.ElementSet(**e.certificate | {"elements": tuple(e.certificate["elements"])})
        assert found.found and found.certified and e.flipped and e.flags == ()
        assert e.removed == tuple(e.case.elements[i] for i in found.elements)
        assert e.degrees == tuple(float(element in e.removed) for element in e.case.elements)
        for size in range(len(e.removed)):
            assert kept_with(reader, e, list(combinations(among, size)))


def test_in_loop_takes_no_more_than_it_needs(reader: Engine, decided: Explained) -> None:
    for e in decided["in_loop"]:
        order = np.argsort(-np.array(e.degrees), kind="stable")
        assert e.removed == tuple(e.case.elements[i] for i in order[: len(e.removed)])
        assert e.flipped and e.flags == () and e.certificate == {}
        assert kept_with(reader, e, [e.removed[:k] for k in range(len(e.removed))])


def test_every_method_is_stopped_by_the_same_rule(reader: Engine) -> None:
    session = explain.Session(reader, cases()[:2], config=replace(QUICK, max_new_tokens=24))
    for method in ("paper", "in_loop", "random_node", "attention_lowest"):
        group = session.explanations(method, with_base=False, until_flip=True)
        for e, order in zip(group, session.orders(method), strict=True):
            assert e.removed == tuple(e.case.elements[i] for i in order[: e.elements_taken]) and e.flipped
            assert kept_with(reader, e, [e.removed[:k] for k in range(len(e.removed))])
    for method, size in (("random_both", 11), ("random_node", 6)):
        equal, order = session.explanations(method, with_base=False)[0], session.orders(method)[0]
        first = [equal.case.elements[i] for i in order[: len(equal.removed)]]
        assert len(order) == size and equal.removed == tuple(first)
    refused("'certified' takes out a set, in no order", session.orders, "certified")


def test_other_orders_are_asked_of_the_model(reader: Engine, decided: Explained) -> None:
    found = explain.other_orders(reader, decided["certified"], orders=3, seed=4, max_new_tokens=24)
    rng = np.random.default_rng(4)
    for one, e in zip(found, decided["certified"], strict=True):
        assert one.case == e.case.id and len(one.flips) == len(one.kept) == 3
        for flips, kept in zip(one.flips, one.kept, strict=True):
            shuffled = with_order(e.case, rng)
            assert shuffled.facts != e.case.facts
            full, changed = reader.answers([shuffled, explain.without(shuffled, e.removed)], max_new_tokens=24)
            assert flips == (toolchain(full) != toolchain(changed))
            assert kept == (toolchain(full) == e.toolchains["tuned_full"])
    refused("orders must be 1 or more", explain.other_orders, reader, decided["certified"], orders=0)


def test_a_decision_that_cannot_be_changed_is_reported(everything: Explained) -> None:
    """The small random reader names no command, whatever it is shown."""
    for e in everything["certified"]:
        assert not e.certificate["found"] and e.certificate["value"] is None and not e.flipped
        assert len(e.removed) == 1 and e.flags[:2] == ("no_flip", "not_certified")
    assert all(len(e.removed) == 1 and "no_flip" in e.flags for e in everything["in_loop"])


def test_answers_are_compared_at_the_length_of_the_settings(reader: Engine) -> None:
    """A game that let the model write on beyond its answer to G would call that a change."""
    for length in (3, 5):
        session = explain.Session(reader, cases()[:2], config=replace(QUICK, max_new_tokens=length))
        (one, two) = session.explanations("certified", with_base=False)
        assert [e.flipped for e in (one, two)] == [e.certificate["found"] for e in (one, two)]
        kept = session.games[1](np.ones((1, session.games[1].n), bool))
        assert kept > 0 and session.games[1].max_new_tokens == length == len(session.full_ids[1])


def test_metrics_and_flip_follow_from_the_answers(everything: Explained) -> None:
    for e in (e for group in everything.values() for e in group):
        chains = [toolchain(e.answers[key]) for key in ("tuned_full", "tuned_changed")]
        assert e.flipped == (chains[0] != chains[1])
        expected = {name: f(*chains) for name, f in explain.METRICS.items() if name != "cosine"}
        assert e.metrics == expected | {"cosine": e.metrics["cosine"]} and 0 <= e.metrics["cosine"] <= 1
        if e.answers["tuned_full"] == e.answers["tuned_changed"]:
            assert e.metrics["cosine"] == 1


def test_saved_and_read_back(everything: Explained, tmp_path) -> None:
    for e in (everything["in_loop"][1], everything["certified"][2], everything["aligned_both"][0]):
        path = explain.save(tmp_path / f"{e.method}.json", e)
        assert explain.load(path) == e
        assert json.loads(path.read_text("utf-8"))["case"]["id"] == e.case.id


def test_a_number_that_is_none_is_not_saved(everything: Explained, tmp_path) -> None:
    broken = replace(everything["paper"][0], metrics={"jaccard": float("nan")})
    refused(r"metrics\.jaccard is nan", explain.save, tmp_path / "x.json", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_method_alone_gives_what_it_gives_among_all(everything: Explained) -> None:
    for method in ("in_loop", "certified", "aligned_node"):
        alone = explain.explain(engine(), cases(), method, config=QUICK)
        assert [e.removed for e in alone] == [e.removed for e in everything[method]]
        assert all("base_changed" in e.answers for e in alone)


def test_cost_is_booked_for_the_whole_batch(everything: Explained) -> None:
    loop, paper = everything["in_loop"][0].ledger, everything["paper"][0].ledger
    assert loop["cases"] == 3 and loop["seconds"] > 0
    assert loop["backward_passes"] == QUICK.loop_steps and paper["backward_passes"] == 0
    assert everything["random_edge"][0].ledger["rows"] <= 3  # an answer a case, of a text that none has left before


def test_a_text_that_two_methods_leave_is_answered_once() -> None:
    session = explain.Session(engine(), cases(), config=QUICK)
    first = session.explanations("in_loop", with_base=True)
    before = session.engine.ledger.rows
    again = session.explanations("in_loop", with_base=True, until_flip=True)
    assert session.engine.ledger.rows == before
    assert [one.answers for one in again] == [one.answers for one in first]


def test_progress_tells_steps_and_methods() -> None:
    heard: list[tuple[str, dict[str, float]]] = []
    methods = ["paper", "certified", "random_edge"]
    explain_all(engine(), cases()[:1], methods=methods, config=QUICK, progress=lambda *told: heard.append(told))
    assert [method for method, row in heard if row == {"done": 1.0}] == methods
    assert [row["case"] for method, row in heard if method == "certified" and "case" in row] == [1]
    # the reference of the baseline
    assert [row["step"] for method, row in heard if method == "in_loop"] == [1, 2, 3, 4]


def test_summary_has_means_and_intervals_of_every_metric(everything: Explained) -> None:
    rows = [e.record() for group in everything.values() for e in group]
    found = explain.summarise(rows)
    assert set(found) == set(explain.METHODS)
    for method, metrics in found.items():
        mine = [r for r in rows if r["method"] == method]
        assert set(metrics) == {*explain.METRICS, "flipped", "removed", "facts_removed"}
        for name, interval in metrics.items():
            assert interval["mean"] == pytest.approx(np.mean([r[name] for r in mine]))
            assert interval["low"] <= interval["mean"] <= interval["high"] and interval["n"] == 3
    assert found == explain.summarise(rows)


def test_what_cannot_be_explained_is_refused() -> None:
    refused("unknown method 'magic'; the methods are paper, in_loop", explain.explain, engine(), cases(), "magic")
    refused("got 0 cases", explain.explain, engine(), [])
    refused("2 cases with 1 ids", explain.explain, engine(), [case(), case()])
    refused("shows no facts", explain.explain, engine(), [replace(case(), facts=())])
    refused("reference must be one of paper, in_loop", explain.ExplainConfig, reference="random_node")
    for name in ("loop_steps", "certified_budget"):
        refused(f"{name} must be 1 or more", explain.ExplainConfig, **{name: 0})
