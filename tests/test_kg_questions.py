"""Questions on the graph: against every set of commands of small random graphs, and on the shipped table."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from flow_worlds import ITEMS, all_plans, costs, fewest_given, made, worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from kg_tables import edited, with_row, write_table

from workbench.kg import PathError, build_graph, read_table
from workbench.kg.ports import steps
from workbench.kg.questions import Questions


@pytest.fixture(scope="module")
def shipped() -> nx.MultiDiGraph:
    return build_graph(read_table())


@settings(deadline=None, max_examples=150)
@given(worlds(), st.sampled_from(ITEMS))
def test_plans_are_those_of_trying_every_set(graph: nx.MultiDiGraph, target: str) -> None:
    expected = all_plans(graph, ["format:a"], target)
    asked = Questions(graph, costs=costs(graph), limit=None)
    if target not in asked.index.number:
        assert not any(expected) or target == "format:a"
        return
    found = asked.cheapest("source:s", target, k=1000)
    assert found.proved
    assert {frozenset(plan.commands): plan.cost for plan in found.plans} == expected
    assert [plan.cost for plan in found.plans] == sorted(expected.values())
    few = asked.cheapest("source:s", target, k=2)
    assert [plan.cost for plan in few.plans] == sorted(expected.values())[:2]
    for plan in found.plans:
        for end in range(len(plan.commands)):
            assert plan.commands[end] in made(graph, plan.commands[: end + 1], ["format:a"])[1], "not in order"


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_what_is_reachable_and_runnable(graph: nx.MultiDiGraph) -> None:
    has, done = made(graph, [n for n, kind in graph.nodes(data="type") if kind == "command"], ["format:a"])
    asked = Questions(graph)
    assert set(asked.runnable("source:s")) == done
    at_once = made(graph, [], ["format:a"])[0]
    assert set(asked.reachable("source:s")) == (has - at_once) & set(asked.index.number)


@settings(deadline=None, max_examples=80)
@given(worlds(most=5), st.sampled_from(ITEMS[1:]))
def test_what_is_missing_is_as_little_as_can_be(graph: nx.MultiDiGraph, target: str) -> None:
    asked = Questions(graph, limit=None)
    if target not in asked.index.number:
        return
    index = asked.index
    free = {index.items[i] for port in range(len(index.ports)) for i in index.accepts[port]} - index.below[target]
    fewest = fewest_given(graph, ["format:a"], target, sorted(free))
    found = asked.missing("source:s", target, k=3)
    assert bool(found.plans) == (fewest is not None)
    for plan in found.plans[:1]:
        assert len(plan.given) == fewest and found.proved
    for plan in found.plans:
        assert target in made(graph, plan.commands, {"format:a", *plan.given})[0]


@settings(deadline=None, max_examples=80)
@given(worlds(), st.sampled_from(ITEMS[1:]))
def test_why_not_names_inputs_that_cannot_be_had(graph: nx.MultiDiGraph, target: str) -> None:
    asked = Questions(graph)
    if target not in asked.index.number:
        return
    has, done = made(graph, [n for n, kind in graph.nodes(data="type") if kind == "command"], ["format:a"])
    rows = asked.why_not("source:s", target)
    if target in has:
        assert rows == []
    givers = {c for c in asked.index.class_of if set(graph.successors(c)) & asked.index.below[target]}
    assert target in has or givers <= {row.command for row in rows}
    for row in rows:
        assert row.command not in done and not has & set(row.port) and not done & set(row.providers)


def test_a_general_format_takes_a_special_one(tmp_path: Path) -> None:
    """A command that takes *Alignment format* takes BAM; one that takes BAM does not take an alignment."""
    formats = with_row("formats.tsv", "format_2573", "data_0863")  # SAM holds what BAM holds
    general = edited("commands.tsv", 7, "inputs", "format_2920")  # stringtie reads any alignment
    narrow = build_graph(read_table(write_table(tmp_path / "a", formats=formats)))
    wide = build_graph(read_table(write_table(tmp_path / "b", formats=formats, commands=general)))
    there = ["format_3698", "format:hisat2_index"]
    assert len(Questions(narrow).cheapest(there, "format_2306").plans[0].commands) == 4
    assert Questions(wide).cheapest(there, "format_2306").plans[0].commands == (
        "command:fasterq-dump", "command:hisat2", "command:stringtie",
    )  # fmt: skip


def test_every_input_counts_and_alternatives_do_not(tmp_path: Path) -> None:
    graph = build_graph(read_table(write_table(tmp_path)))
    needs = {step.command: step.needs for step in steps(graph)}
    assert len(needs["command:hisat2"]) == 2, "reads and an index"
    asked = Questions(graph)
    assert not asked.cheapest("source:sra", "format_2573").plans
    assert [row.command for row in asked.why_not("source:sra", "format_2573")] == [
        "command:hisat2",
        "command:hisat2-build",
    ]
    [row] = asked.why_not("source:sra", "command:hisat2-build")
    assert row.port == ("format_1929",) and row.provider_count == 0
    gap = asked.missing("source:sra", "format_2573", k=2).plans
    assert {plan.given for plan in gap} <= {("format:hisat2_index",), ("format:hisat2_large_index",), ("format_1929",)}
    whole = asked.cheapest(["source:sra", "source:ensembl"], "format_2573").plans[0]
    assert set(whole.commands) == {"command:fasterq-dump", "command:hisat2-build", "command:hisat2"}
    anything = Questions(graph, rule="any").cheapest("source:sra", "format_2573").plans[0]
    assert anything.commands == ("command:fasterq-dump", "command:hisat2")
    graph.edges["format:hisat2_index", "command:hisat2", "input"].update(ports=[1])
    graph.edges["format_1930", "command:hisat2", "input"].update(ports=[0])
    graph.nodes["command:hisat2"]["optional_ports"] = [1]
    assert Questions(graph).cheapest("source:sra", "format_2573").plans[0].commands == anything.commands


def test_a_search_that_meets_its_limit_says_so(shipped: nx.MultiDiGraph) -> None:
    exact = Questions(shipped, limit=None).cheapest(["source:sra", "source:ensembl"], "format_3464")
    hurried = Questions(shipped, limit=1).cheapest(["source:sra", "source:ensembl"], "format_3464")
    assert exact.proved and hurried.plans and hurried.bound <= exact.plans[0].cost <= hurried.plans[0].cost
    assert not hurried.proved or hurried.plans[0].cost == exact.plans[0].cost


def test_costs_decide(shipped: nx.MultiDiGraph) -> None:
    cheap = Questions(shipped).cheapest("source:sra", "data_3134").plans[0]
    dear = Questions(shipped, costs=dict.fromkeys(cheap.commands[:1], 50.0)).cheapest("source:sra", "data_3134")
    assert cheap.commands[0] not in dear.plans[0].commands
    with pytest.raises(ValueError, match=r"costs: .* above 0, got 0\.0 for 'command:hisat2'"):
        Questions(shipped, costs={"command:hisat2": 0})


def test_errors_name_the_node(shipped: nx.MultiDiGraph) -> None:
    asked = Questions(shipped)
    with pytest.raises(PathError, match="'format_0'"):
        asked.cheapest("format_0", "data_3134")
    with pytest.raises(PathError, match="'tool:samtools'"):
        asked.cheapest("source:sra", "tool:samtools")
    with pytest.raises(ValueError, match="k must be 1"):
        asked.cheapest("source:sra", "data_3134", k=0)
    with pytest.raises(ValueError, match="rule must be one of"):
        Questions(shipped, rule="some")


def test_a_command_of_unstated_inputs_opens_no_way() -> None:
    graph = nx.MultiDiGraph()
    graph.add_nodes_from([("format:a", {"type": "format"}), ("format:b", {"type": "format"})])
    graph.add_node("command:x", type="command")
    graph.add_edge("command:x", "format:b", "output", relation="output")
    graph.add_edge("source:s", "format:a", "download_from", relation="download_from")
    graph.add_edge("format:b", "command:y", "input", relation="input")
    graph.nodes["command:y"]["type"] = "command"
    asked = Questions(graph)
    assert asked.index.unstated == {"command:x"}
    assert asked.runnable("source:s") == []
