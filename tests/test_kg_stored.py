"""The graph in Parquet tables and in a database: the same graph and answers, and no more read than asked for."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pyarrow.parquet as pq
import pytest
from flow_worlds import ITEMS, costs, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.kg import GraphError, PathError, build_graph, facts_table, load_graph, read_table
from workbench.kg.database import Database, create
from workbench.kg.database_questions import DatabaseQuestions
from workbench.kg.parquet import ParquetGraph, to_parquet
from workbench.kg.questions import Questions


@pytest.fixture(scope="module")
def shipped() -> nx.MultiDiGraph:
    return build_graph(read_table())


def same(one: nx.MultiDiGraph, other: nx.MultiDiGraph) -> bool:
    alike = dict(one.nodes(data=True)) == dict(other.nodes(data=True)) and one.graph == other.graph
    edges = [{(h, r, t): d for h, t, r, d in graph.edges(keys=True, data=True)} for graph in (one, other)]
    return alike and edges[0] == edges[1]


@pytest.mark.parametrize("name", ["biotoolkg", "mediakg"])
def test_parquet_gives_the_graph_back(name: str, tmp_path: Path) -> None:
    graph = load_graph(name).graph
    stored = ParquetGraph(to_parquet(graph, tmp_path))
    assert same(stored.graph(), graph)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    to_parquet(stored.graph(), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first


def test_parquet_reads_what_is_asked_for(shipped: nx.MultiDiGraph, tmp_path: Path) -> None:
    stored = ParquetGraph(to_parquet(shipped, tmp_path))
    assert {name for (name,) in stored.nodes(("id",), type="source")} == {
        node for node, kind in shipped.nodes(data="type") if kind == "source"
    }
    flow = list(stored.edges(relations=["output", "download_from"]))
    assert sorted(flow) == [fact for fact in facts_table(shipped) if fact[1] in ("output", "download_from")]
    part = stored.graph(relations=["output"])
    assert {key for *_, key in part.edges(keys=True)} == {"output"} and len(part) < len(shipped)
    groups = pq.ParquetFile(tmp_path / "edges.parquet")
    column = groups.schema_arrow.names.index("relation")
    bounds = [groups.metadata.row_group(i).column(column).statistics for i in range(groups.num_row_groups)]
    holding = [one for one in bounds if one.min <= "download_from" <= one.max]
    assert len(holding) < len(bounds), "row groups can be skipped by relation"


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nodes.parquet").write_bytes(b"nothing")
    with pytest.raises(GraphError, match=r"nodes\.parquet: not a table"):
        ParquetGraph(tmp_path)
    (tmp_path / "base").write_bytes(b"nothing at all, and longer than a header of sixteen bytes")
    with pytest.raises(GraphError, match="not a database of a graph"):
        Database(tmp_path / "base")
    with pytest.raises(GraphError, match="not a database of a graph"):
        Database(tmp_path / "missing")


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds(), st.sampled_from(ITEMS))
def test_the_database_answers_as_memory_does(tmp_path: Path, graph: nx.MultiDiGraph, target: str) -> None:
    base = Database(create(tmp_path / "base", graph, costs=costs(graph)))
    asked, stored = Questions(graph, costs=costs(graph), limit=None), DatabaseQuestions(base, limit=None)
    assert stored.reachable("source:s") == asked.reachable("source:s")
    assert stored.runnable("source:s") == asked.runnable("source:s")
    if target in asked.index.number:
        one, other = (which.cheapest("source:s", target, k=1000).plans for which in (asked, stored))
        assert {frozenset(p.commands): p.cost for p in one} == {frozenset(p.commands): p.cost for p in other}
        assert [p.cost for p in one] == [p.cost for p in other]
    plain = nx.Graph(graph.to_undirected())
    for node in ("source:s", target):
        near = set(nx.ego_graph(plain, node, radius=2))
        expected = [fact for fact in facts_table(graph) if {fact[0], fact[2]} <= near]
        assert base.neighbourhood(node, hops=2) == expected
    base.close()


def test_the_database_of_the_shipped_table(shipped: nx.MultiDiGraph, tmp_path: Path) -> None:
    """Streamed from Parquet; grouped inputs, subsumption and all."""
    base = Database(create(tmp_path / "base", ParquetGraph(to_parquet(shipped, tmp_path / "tables"))))
    asked, stored = Questions(shipped), DatabaseQuestions(base)
    there = ["source:sra", "source:ensembl"]
    assert stored.reachable(there) == asked.reachable(there)
    for target in ("data_3134", "format_3016", "format_3003"):
        one, other = asked.cheapest("source:sra", target, k=3), stored.cheapest("source:sra", target, k=3)
        assert [plan.cost for plan in one.plans] == [plan.cost for plan in other.plans]
    with pytest.raises(PathError, match="'source:nowhere'"):
        stored.reachable("source:nowhere")
    with pytest.raises(PathError, match="'format_0'"):
        stored.cheapest("source:sra", "format_0")
    base.close()
