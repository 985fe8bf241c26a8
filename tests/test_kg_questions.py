"""Questions about a graph: by brute force, that the answer follows from what is shown, and on which facts it hangs."""

import json
from itertools import product

import networkx as nx
import numpy as np
import pytest
from refusals import refused

from workbench import explain_log
from workbench.hands.cli import main
from workbench.kg import load_graph
from workbench.kg.asked_log import log_of
from workbench.kg.build import GraphError
from workbench.kg.quiz import KINDS
from workbench.logs.decisions import decision
from workbench.logs.readers import read
from workbench.logs.records import record_of

ENDS = ("subject", "relation", "object")


@pytest.fixture(scope="module", params=[("biotoolkg", 300), ("mediakg", 200)], ids=["tools", "media"])
def asked(request):
    graph = load_graph(request.param[0]).graph
    return graph, list(log_of(graph, request.param[1], rng=np.random.default_rng(1))), request.param[1]


def triples(record) -> list[tuple[str, ...]]:
    return [tuple(fact[end] for end in ENDS) for fact in record["facts"]]


def answer(record, facts) -> str | None:
    """What the facts alone say: every unknown of the pattern is tried with every name."""
    if record["decision"] == "chain":
        flow = nx.DiGraph((head, tail) for head, _, tail in facts)
        ends = record["source"], record["target"]
        paths = list(nx.all_simple_paths(flow, *ends)) if all(end in flow for end in ends) else []
        return " -> ".join(paths[0][1:]) if len(paths) == 1 else None
    names, true = {end for head, _, tail in facts for end in (head, tail)}, set(facts)
    unknown = sorted({part for fact in record["pattern"] for part in fact if part.startswith("?")})
    found = set()
    for values in product(names, repeat=len(unknown)):
        stands = dict(zip(unknown, values, strict=True))
        if all(tuple(stands.get(part, part) for part in fact) in true for fact in record["pattern"]):
            found.add(stands["?"])
    if record["decision"] == "yesno":
        return "yes" if found == {record["claim"]} else "no" if found else None
    if record["decision"] == "option":
        chosen = found & set(record["options"])
        return chosen.pop() if len(chosen) == 1 else None
    return "; ".join(sorted(found)) or None


def test_every_answer_follows_from_the_facts_shown_and_hangs_on_those_that_are_named_and_no_other(asked):
    _graph, records, n = asked
    assert len(records) == n == len({one["question"] for one in records})
    assert {one["kind"] for one in records} == set(KINDS)
    for one in records:
        facts, truth = triples(one), one["truth"]
        assert answer(one, facts) == one["answer"], one
        assert answer(one, [facts[i] for i in truth]) == one["answer"]
        for i in range(len(facts)):
            kept = answer(one, facts[:i] + facts[i + 1 :]) == one["answer"]
            assert kept == (i not in truth), (one, i)


def test_the_whole_graph_gives_the_same_answer_and_every_fact_shown_is_in_it(asked):
    graph, records, _ = asked
    names = dict(graph.nodes(data="name"))
    whole = {(names[head], relation, names[tail]) for head, tail, relation in graph.edges(keys=True)}
    for one in records:
        facts = triples(one)
        assert set(facts) <= whole and len(set(facts)) == len(facts) >= min(12, len(one["truth"]))
        if len(one["pattern"]) == 1 and one["decision"] != "option":
            ((head, relation, tail),) = one["pattern"]
            more = {fact for fact in whole if fact[1] == relation and (fact[0] == head or fact[2] == tail)}
            assert answer(one, sorted(more)) == one["answer"]


def test_an_answer_is_read_as_itself_and_a_wrong_option_as_another(asked):
    for one in asked[1]:
        if one["decision"] == "chain":
            continue
        parse = decision(one["decision"], record_of(one)).parse
        assert parse(one["answer"]) == one["answer"]
        assert parse(f"It is {one['answer']}.") == one["answer"]
        for other in one.get("options", []):
            assert (parse(other) == one["answer"]) == (other == one["answer"])


def test_yes_and_no_and_the_options_places_are_about_as_often_right(asked):
    said = [one["answer"] == "yes" for one in asked[1] if one["decision"] == "yesno"]
    places = [one["options"].index(one["answer"]) for one in asked[1] if len(one.get("options", [])) == 4]
    assert len(said) > 40 and abs(np.mean(said) - 0.5) < 0.2
    assert len(places) > 40 and np.bincount(places, minlength=4).min() > len(places) / 8


def test_sizes_kinds_and_seed_are_as_asked_for_and_a_small_graph_gives_what_it_has(tmp_path, capsys):
    out = tmp_path / "q.jsonl"
    words = ["kg", "questions", "mediakg", "--out", str(out), "--n", "7", "--facts", "5", "--kinds", "yesno", "option"]
    assert main([*words, "--seed", "3"]) == 0
    first = out.read_bytes()
    rows = [json.loads(line) for line in first.splitlines()]
    assert [one["kind"] for one in rows] == ["yesno", "option"] * 3 + ["yesno"]
    assert {len(one["facts"]) for one in rows} == {5} and "7 questions" in capsys.readouterr().out
    assert main([*words, "--seed", "3"]) == 0 and out.read_bytes() == first
    assert main([*words, "--seed", "4"]) == 0 and out.read_bytes() != first
    assert main([*words[:3], "--out", str(out), "--kinds", "nay"]) == 2
    assert "no kind of question is called 'nay'; there are which" in capsys.readouterr().err

    small = nx.MultiDiGraph()
    small.add_node("tool:a", type="tool", name="alpha")
    for name in ("MIT", "BSD"):
        small.add_node(f"license:{name}", type="license", name=name)
    refused("questions need facts", list, log_of(small, 3, rng=np.random.default_rng(0)), error=GraphError)
    small.add_edge("tool:a", "license:MIT", key="licensed_under", relation="licensed_under")
    found = list(log_of(small, 9, rng=np.random.default_rng(0)))
    assert {one["question"] for one in found} == {
        "Which licences is alpha licensed under?",
        "Which tools are licensed under MIT?",
    }


def test_the_reader_explains_what_it_can_of_them_and_the_facts_that_decide_are_in_its_sets(tmp_path):
    log = tmp_path / "q.jsonl"
    how = {"rng": np.random.default_rng(0), "facts": 8}
    rows = [*log_of(load_graph("mediakg").graph, 4, kinds=["chain"], **how)]
    rows += log_of(load_graph("mediakg").graph, 1, kinds=["which"], **how)
    log.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    found = explain_log(log, model="reader", out=tmp_path / "run", decision="record", budget=60)
    *chains, other = found.records
    assert other["state"] == "refused" and "for the model 'reader'" in other["why"]
    right = [one for one in chains if one["as_logged"]]
    assert len(list(read(log))) == 5 and len(right) >= 2, chains
    for one in right:
        assert set(one["models"]["tuned"]["alone"]) & set(one["more"]["truth"])
