"""Contexts of questions: grounded, within the budget, never larger than need be."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_worlds import FORMATS, worlds

from workbench.bench.grounding import Context, Grounding
from workbench.kg import PathError, build_graph, flow_graph, read_table
from workbench.kg.build import Fact


@pytest.fixture(scope="module")
def shipped() -> nx.MultiDiGraph:
    return build_graph(read_table())


def shown(graph: nx.MultiDiGraph, facts: tuple[Fact, ...]) -> nx.MultiDiGraph:
    """The graph that holds these facts alone."""
    part = nx.MultiDiGraph()
    for head, key, tail in facts:
        part.add_node(head, **graph.nodes[head])
        part.add_node(tail, **graph.nodes[tail])
        part.add_edge(head, tail, key, **graph.edges[head, tail, key])
    return part


def chains_by_format(context: Context, target: str) -> list[list[str]]:
    """The commands of every way through the facts, those of fewest commands first."""
    steps = nx.DiGraph((head, tail) for head, _, tail in context.facts)
    ways = nx.all_simple_paths(steps, "source:s", target) if target in steps else ()
    return sorted(([node for node in way if node.startswith("command:")] for way in ways), key=len)


@settings(deadline=None, max_examples=120)
@given(worlds(), st.sampled_from(FORMATS), st.integers(1, 2))
def test_the_cover_alone_answers_the_question(graph: nx.MultiDiGraph, target: str, count: int) -> None:
    grounding = Grounding(graph)
    context = grounding.cover("source:s", target, budget=10_000, chains=count)
    plans = grounding.planner.plans("source:s", target, k=10).plans
    assert bool(context.facts) == any(len(plan.path) > 1 for plan in plans) and context.tokens == 3 * len(context.facts)
    if context.grounded and context.facts:
        commands = {node for node in shown(graph, context.facts) if node.startswith("command:")}
        covered = [plan for plan in plans if commands.issuperset(plan.commands)]
        fewest = min(len(plan.commands) for plan in covered)
        assert len(chains_by_format(context, target)[0]) == fewest, "no shorter way, even by formats alone"
        one = grounding.cover("source:s", target, budget=10_000)
        small = grounding.cover("source:s", target, budget=one.tokens - 1)
        assert not small.grounded and small.tokens < one.tokens


def add(graph: nx.MultiDiGraph, name: str, takes: tuple[str, ...], gives: tuple[str, ...]) -> None:
    """A command of a tool of its own, with one port on each side."""
    command = f"command:{name}"
    for item in takes:
        graph.add_edge(item, command, "input_data" if item.startswith("data") else "input", ports=[0])
    for item in gives:
        graph.add_edge(command, item, "output_data" if item.startswith("data") else "output", ports=[0])
    graph.add_edge(command, f"tool:{name}", "command_of")
    for node in graph:
        graph.nodes[node].update(type=node.split(":")[0], name=node, companion_ports=[])


def test_a_chain_that_its_own_facts_shorten_gives_way_to_another_or_is_not_grounded() -> None:
    """What a makes of the source's data has the format that b takes, as the data itself has."""
    graph = nx.MultiDiGraph()
    for item in ("format:x", "data:raw"):
        graph.add_edge("source:s", item, "download_from", ports=[0])
    add(graph, "a", ("format:x", "data:raw"), ("format:x", "data:cooked"))
    add(graph, "b", ("format:x", "data:cooked"), ("format:y", "data:eaten"))
    context = Grounding(graph).cover("source:s", "format:y", budget=100)
    assert {fact[0] for fact in context.facts} >= {"command:a", "command:b"} and not context.grounded
    add(graph, "c", ("data:raw", "format:x"), ("format:z",))
    add(graph, "d", ("format:z",), ("format:y",))
    context = Grounding(graph).cover("source:s", "format:y", budget=100)
    assert context.grounded and {"command:c", "command:d"} == {f[0] for f in context.facts if f[0][:8] == "command:"}


def test_a_path_question_shows_its_path_and_nothing_else(shipped: nx.MultiDiGraph) -> None:
    grounding = Grounding(shipped)
    context = grounding.cover("source:sra", "data_3134", budget=300)
    steps = nx.DiGraph((head, tail) for head, _, tail in context.facts)
    path = nx.shortest_path(steps, "source:sra", "data_3134")
    assert len(context.facts) == len(path) - 1
    assert all(shipped.has_edge(head, tail, key) for head, key, tail in context.facts)
    more = grounding.cover("source:sra", "data_3134", budget=300, chains=4)
    assert set(context.facts) < set(more.facts) and more.tokens <= 300


def test_the_neighbourhood_is_nearest_first_and_keeps_the_budget(shipped: nx.MultiDiGraph) -> None:
    grounding, flow = Grounding(shipped), flow_graph(shipped).to_undirected()
    one = grounding.near("source:sra", "data_3134", hops=1, budget=10_000)
    around = set(flow["source:sra"]) | set(flow["data_3134"]) | {"source:sra", "data_3134"}
    assert {end for head, _, tail in one.facts for end in (head, tail)} <= around
    two = grounding.near("source:sra", "data_3134", hops=2, budget=10_000)
    assert set(one.facts) < set(two.facts) and two.facts[: len(one.facts)] == one.facts
    cut = grounding.near("source:sra", "data_3134", hops=2, budget=32)
    assert cut.facts == two.facts[:10] and cut.tokens == 30
    with pytest.raises(PathError, match="'tool:samtools'"):
        grounding.near("tool:samtools", "data_3134", hops=1, budget=100)


def test_what_a_fact_costs_decides(shipped: nx.MultiDiGraph) -> None:
    cheap = Grounding(shipped).cover("source:sra", "format_3016", budget=300)
    used = {end for fact in cheap.facts for end in fact if end.startswith("command:")}
    dear = Grounding(shipped, tokens=lambda fact: 90 if used & set(fact) else 3)
    other = dear.cover("source:sra", "format_3016", budget=300)
    assert other.grounded and not used & {end for fact in other.facts for end in fact}
