"""Toolchains: the data flow, shortest chains, and the showcase."""

from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kg_tables import edited, write_table
from refusals import refused

from workbench import kg

CHAIN = ("command:fasterq-dump", "command:hisat2", "command:samtools sort", "command:stringtie", "command:gffcompare")


def test_the_flow_holds_data_edges_only(small: nx.MultiDiGraph) -> None:
    flow = kg.flow_graph(small)
    assert {relation for *_, relation in flow.edges(data="relation")} == set(kg.FLOW_RELATIONS)
    assert {kind for _, kind in flow.nodes(data="type")} == {"source", "format", "command", "data"}
    assert not flow.has_edge("source:sra", "data_2044")  # delivered without a tool
    for head, tail, relation in flow.edges(data="relation"):
        assert small.has_edge(head, tail, relation)


def test_the_showcase_of_the_shipped_table_works() -> None:
    graph = kg.load_graph().graph
    chains, flow = kg.showcase(graph), kg.flow_graph(graph)
    assert {kg.commands_of(path)[3] for path in chains} == {"command:scallop", "command:stringtie"}
    for path in chains:
        assert (path[0], path[-1]) == ("source:sra", "data_3134")
        assert [name for name in kg.commands_of(path) if name in CHAIN] == [n for n in CHAIN if n in path]
        assert len(path) == len(set(path)) == 12
        assert all(flow.has_edge(*step) for step in pairwise(path))


def test_a_table_with_one_assembler_has_one_showcase(small: nx.MultiDiGraph) -> None:
    assert [kg.commands_of(path) for path in kg.showcase(small)] == [CHAIN]


def test_an_incomplete_showcase_tells_the_first_gap(tmp_path: Path) -> None:
    bad = edited("commands.tsv", 5, "inputs", "format_2572")  # samtools sort no longer takes SAM
    graph = kg.build_graph(kg.read_table(write_table(tmp_path, commands=bad)))
    with pytest.raises(kg.PathError, match=r"gives SAM, Sequence alignment\) to command:samtools sort \(takes BAM\)"):
        kg.showcase(graph)
    graph.remove_node("command:hisat2")
    refused(r"incomplete.*'command:hisat2'", kg.showcase, graph, error=kg.PathError)


def test_shortest_toolchains(small: nx.MultiDiGraph) -> None:
    flow = kg.flow_graph(small)
    two = kg.shortest_toolchains(flow, "source:sra", "data_1276")
    assert [kg.commands_of(path)[2] for path in two] == ["command:samtools sort", "command:samtools view"]
    assert kg.shortest_toolchains(flow, "source:sra", "data_1276", limit=1) == two[:1]
    assert kg.shortest_toolchains(flow, "data_1276", "source:sra") == []
    refused("'source:nowhere'", kg.shortest_toolchains, flow, "source:nowhere", "data_1276", error=kg.PathError)
    refused("'tool:hisat2'", kg.chain_through, flow, ["source:sra", "tool:hisat2"], error=kg.PathError)


def test_reachable_targets_and_dead_ends(small: nx.MultiDiGraph) -> None:
    flow = kg.flow_graph(small)
    targets = kg.reachable_targets(flow)
    assert "data_3134" in targets["source:sra"] and "format_3698" not in targets["source:sra"]
    assert "format_2573" in targets["source:ensembl"]  # through the index alone: inputs are alternatives on a path
    assert kg.dead_ends(flow) == []
    flow.remove_edge("source:sra", "format_3698")
    assert kg.dead_ends(flow) == ["command:fasterq-dump"]


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_chains_are_paths_of_the_shortest_length(pairs: set[tuple[int, int]]) -> None:
    flow = nx.DiGraph([("source:s", "format:0")])
    flow.add_nodes_from(f"format:{n}" for n in range(10))
    for index, (taken, given_) in enumerate(sorted(pairs)):
        nx.add_path(flow, [f"format:{taken}", f"command:{index}", f"format:{given_}"])
    for target in range(1, 10):
        chains = kg.shortest_toolchains(flow, "source:s", f"format:{target}", limit=5)
        assert bool(chains) == nx.has_path(flow, "source:s", f"format:{target}")
        for path in chains:
            assert nx.is_path(flow, path) and len(path) == nx.shortest_path_length(flow, path[0], path[-1]) + 1
            assert len(kg.commands_of(path)) == (len(path) - 2) // 2
            stops = [path[0], *kg.commands_of(path), path[-1]]
            assert kg.commands_of(kg.chain_through(flow, stops)) == kg.commands_of(path)
