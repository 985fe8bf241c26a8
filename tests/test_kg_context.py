"""Contexts of questions: grounded, within the budget, never larger than need be."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_worlds import FORMATS, worlds

from workbench.kg import PathError, build_graph, flow_graph, read_table
from workbench.kg.build import Fact
from workbench.kg.context import Grounding
from workbench.kg.plan import Planner


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


@settings(deadline=None, max_examples=120)
@given(worlds(), st.sampled_from(FORMATS))
def test_the_cover_alone_answers_the_question(graph: nx.MultiDiGraph, target: str) -> None:
    grounding = Grounding(graph)
    context = grounding.cover("source:s", target, budget=10_000)
    plans = grounding.planner.plans("source:s", target).plans
    assert context.grounded == bool(plans) and context.tokens == 3 * len(context.facts)
    if plans:
        part = shown(graph, context.facts)
        assert {node for node in part if node.startswith("command:")} == set(plans[0].commands)
        alone = Planner(part).plans("source:s", target).plans  # perhaps with fewer of these commands
        assert alone and set(alone[0].commands) <= set(plans[0].commands)
        small = grounding.cover("source:s", target, budget=context.tokens - 1)
        assert not small.grounded and small.tokens < context.tokens


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
