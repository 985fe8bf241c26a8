"""Graph edit distance against a search, ends of kept edges, and facts in another order."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import chain_case

from workbench.explain import without
from workbench.stats import case_edits, graph_edits, insertion_curve, reordered, sufficiency, with_ends

TYPES, RELATIONS = ("tool", "format"), ("input", "output")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, str], set[tuple[str, str, str]]]:
    """Up to 4 typed nodes, and at most one edge between two of them: what networkx can search."""
    nodes = {node: draw(st.sampled_from(TYPES)) for node in draw(st.sets(st.sampled_from("abcd")))}
    pairs = [(a, b) for a in nodes for b in nodes if a != b]
    chosen = draw(st.sets(st.sampled_from(pairs), max_size=4)) if pairs else set()
    return nodes, {(a, draw(st.sampled_from(RELATIONS)), b) for a, b in chosen}


def searched(one: tuple, other: tuple) -> float:
    """Networkx's exact search over all ways to match nodes; matching nodes of other ids is made too dear."""
    drawn = []
    for nodes, edges in (one, other):
        graph = nx.DiGraph()
        graph.add_nodes_from((node, {"id": node, "type": kind}) for node, kind in nodes.items())
        graph.add_edges_from((head, tail, {"relation": relation}) for head, relation, tail in edges)
        drawn.append(graph)
    return nx.graph_edit_distance(
        *drawn,
        node_subst_cost=lambda a, b: (a["type"] != b["type"]) if a["id"] == b["id"] else 1000,
        edge_match=lambda a, b: a == b,
    )


@settings(max_examples=40, deadline=None)
@given(graphs(), graphs())
def test_counted_edits_are_the_cheapest_there_are(one: tuple, other: tuple) -> None:
    assert graph_edits(one, other).distance == searched(one, other)
    assert graph_edits(one, other).distance == graph_edits(other, one).distance
    assert graph_edits(one, one).distance == 0
    assert 0 <= graph_edits(one, other).normalised <= 1


def test_every_kind_of_edit_is_counted_for_itself() -> None:
    before = ({"a": "tool", "b": "format", "c": "tool"}, [("a", "input", "b"), ("b", "output", "c")])
    after = ({"a": "tool", "b": "data", "d": "tool"}, [("a", "output", "b"), ("d", "input", "a")])
    found = graph_edits(before, after)
    assert found._asdict() == {
        "nodes_removed": 1, "nodes_added": 1, "nodes_retyped": 1,
        "edges_removed": 1, "edges_added": 1, "edges_retyped": 1, "size": 10,
    }  # fmt: skip
    assert found.distance == 6 and found.normalised == pytest.approx(0.6, abs=1e-6)


def test_parallel_edges_and_unlisted_ends_count() -> None:
    edges = [("a", "input", "b"), ("a", "output", "b"), ("a", "input", "b")]
    assert graph_edits(([], edges), ([], edges[:1])).distance == 2
    assert graph_edits(([], edges), ([], [("a", "is_a", "b")])).edges_retyped == 1
    assert graph_edits(([], []), ([], edges)) == (0, 2, 0, 0, 3, 0, 5)
    assert graph_edits(([], []), ([], [])).normalised == 0
    assert graph_edits(([], []), ([], edges)).normalised == 1


def test_edits_of_a_case_count_what_goes_with_a_node() -> None:
    case = chain_case()
    assert case_edits(case, without(case, [case.facts[0]])).distance == 1
    found = case_edits(case, without(case, ["command:count"]))
    assert (found.nodes_removed, found.edges_removed, found.distance) == (2, 2, 4)  # its one output shows nowhere else
    assert found.normalised == pytest.approx(4 / (10 + 9 + 8 + 7), abs=1e-6)


def test_ends_of_kept_edges_come_with_them() -> None:
    case = chain_case()
    n, nodes = len(case.elements), len(case.nodes)
    alone = np.zeros((len(case.facts), n), bool)
    alone[:, nodes:] = np.eye(len(case.facts), dtype=bool)
    assert not case.keep_facts(alone).any()
    closed = with_ends(case, alone)
    assert (case.keep_facts(closed) == np.eye(len(case.facts))).all() and (closed.sum(1) == 3).all()
    assert not alone[:, :nodes].any(), "the masks given are left as they were"

    def shown(keep: np.ndarray) -> np.ndarray:
        return case.keep_facts(keep).sum(1).astype(float)

    edges_first = np.argsort(np.arange(n) < nodes, kind="stable")
    assert insertion_curve(shown, edges_first)[len(case.facts)] == 0
    close = insertion_curve(shown, edges_first, close=lambda keep: with_ends(case, keep))
    assert close.tolist() == [*range(len(case.facts)), *[len(case.facts)] * (nodes + 1)]
    assert sufficiency(shown, edges_first, shares=[0.1], close=lambda keep: with_ends(case, keep)) == 9 - 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_a_reordered_case_are_brought_back_by_position(seed: int) -> None:
    case = chain_case()
    other, index = reordered(case, rng=np.random.default_rng(seed))
    assert [other.elements[i] for i in index] == list(case.elements)
    assert sorted(index) == list(range(len(case.elements)))


def test_reordering_tells_equal_facts_apart() -> None:
    case = chain_case()
    doubled = replace(case, facts=case.facts[:2] + case.facts[:2])
    _, index = reordered(doubled, rng=np.random.default_rng(0))
    assert sorted(index) == list(range(len(doubled.elements)))
