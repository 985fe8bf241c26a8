"""The graph: its schema, what ships with the package, its files and figures; the part of some topics."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused

from workbench import kg
from workbench.kg.edam import ROOTS
from workbench.models.reader import POOL


@pytest.fixture(scope="module")
def shipped() -> nx.MultiDiGraph:
    """The graph of the table in the package."""
    return kg.load_graph("biotoolkg").graph


def test_the_shipped_graph_is_as_large_as_promised(shipped: nx.MultiDiGraph) -> None:
    counts = kg.summary(shipped)
    assert counts["tools"] >= 450 and counts["commands"] >= 1200 and counts["sources"] >= 20
    assert counts["entity_types"] == len(kg.ENTITY_TYPES) == 8
    assert counts["relation_types"] == len(kg.RELATIONS) == 14
    assert sum(kg.relation_counts(shipped).values()) == counts["facts"] == len(kg.facts_table(shipped))


def test_terms_are_closed_up_to_the_roots(shipped: nx.MultiDiGraph) -> None:
    edges = [(head, tail) for head, tail, key in shipped.edges(keys=True) if key.endswith("_is_a")]
    is_a = nx.DiGraph(edges)
    for node, kind in shipped.nodes(data="type"):
        if kind in ROOTS and node != ROOTS[kind]:
            assert ROOTS[kind] in nx.descendants(is_a, node)


def test_every_command_is_complete_and_reached_from_a_source(shipped: nx.MultiDiGraph) -> None:
    assert kg.dead_ends(kg.flow_graph(shipped)) == []
    for node, kind in shipped.nodes(data="type"):
        if kind == "command":
            into = {key for *_, key in shipped.in_edges(node, keys=True)}
            out = {key for *_, key in shipped.out_edges(node, keys=True)}
            assert "input" in into and {"output", "performs", "command_of"} <= out, node
            carried = set(shipped.nodes[node].get("carrying_ports", ()))  # these deliver the kind that was read
            made = shipped.out_edges(node, keys=True, data="ports")
            ports = {port for *_, key, at in made if key == "output" for port in at}
            assert "output_data" in out or ports == carried, node
        elif kind == "tool":
            assert shipped.nodes[node]["homepage"].startswith("http") and shipped.nodes[node]["download"]


def test_files_are_equal_and_read_back_equal(small: nx.MultiDiGraph, tmp_path: Path) -> None:
    again = kg.build_graph(kg.read_table(tmp_path / "table"))
    first, second = kg.to_json(small, tmp_path / "new" / "a.json"), kg.to_json(again, tmp_path / "b.json")
    assert first.read_bytes() == second.read_bytes()
    back = kg.from_json(first)
    assert back.graph == small.graph
    assert list(back.nodes(data=True)) == list(small.nodes(data=True))
    assert list(back.edges(keys=True, data=True)) == list(small.edges(keys=True, data=True))
    assert [path.name for path in first.parent.iterdir()] == ["a.json"]  # no temporary file is left
    assert nx.utils.graphs_equal(nx.node_link_graph(json.loads(first.read_text()), edges="edges"), small)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.text()), max_size=6))
def test_any_names_survive_the_file(rows: list[tuple[str, str, str]]) -> None:
    graph = nx.MultiDiGraph()
    for head, tail, note in rows:
        graph.add_node(f"command:{head}", type="command", name=head.strip() or "blank", note=note)
        graph.add_node(f"format:{tail}", type="format", name=tail.strip() or "blank")
        graph.add_edge(f"command:{head}", f"format:{tail}", "output", relation="output")
    with tempfile.TemporaryDirectory() as folder:
        back = kg.from_json(kg.to_json(graph, Path(folder) / "graph.json"))
    assert nx.utils.graphs_equal(back, graph)


BROKEN_FILES = (
    "",
    "[]",
    "{}",
    "\xff",
    "[" * 100_000,
    '{"graph":{},"nodes":[{"id":1}],"edges":[]}',
    '{"graph":{},"nodes":[{}],"edges":[]}',
    '{"graph":{},"nodes":[],"edges":[{"source":"a","target":"b","key":"input"}]}',
    '{"graph":{},"nodes":[{"id":"a","type":"tool","name":"a"},{"id":"a"}],"edges":[]}',
)


@pytest.mark.parametrize("content", BROKEN_FILES, ids=range(len(BROKEN_FILES)))
def test_a_broken_file_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_bytes(content.encode("latin-1"))
    refused(r"graph\.json: not a node-link JSON graph", kg.from_json, path, error=kg.GraphError)
    with pytest.raises(FileNotFoundError):
        kg.from_json(tmp_path / "none.json")


def test_check_graph_names_what_breaks_the_schema(small: nx.MultiDiGraph) -> None:
    def broken(change) -> str:
        graph = small.copy()
        change(graph)
        with pytest.raises(kg.GraphError) as caught:
            kg.check_graph(graph)
        return str(caught.value)

    kg.check_graph(small)
    assert "type must be one of" in broken(lambda g: g.add_node("x", type="person", name="x"))
    assert "name must be" in broken(lambda g: g.add_node("x", type="tool", name=" "))
    assert "'x'" in broken(lambda g: g.add_edge("x", "tool:hisat2", "command_of", relation="command_of"))
    assert "relation must be one of" in broken(lambda g: g.add_edge("tool:hisat2", "tool:samtools", "likes"))
    assert "must equal the key" in broken(lambda g: g.add_edge("tool:hisat2", "license:MIT", "licensed_under"))
    wrong = ("tool:hisat2", "command:hisat2", "command_of")
    assert "head must be a command" in broken(lambda g: g.add_edge(*wrong, relation="command_of"))
    cycle = ("format_1915", "format_2572", "format_is_a")
    assert "no cycle" in broken(lambda g: g.add_edge(*cycle, relation="format_is_a"))


def test_degree_statistics_cover_every_type(small: nx.MultiDiGraph) -> None:
    rows = {row["type"]: row for row in kg.degree_statistics(small)}
    assert list(rows) == list(kg.ENTITY_TYPES)
    assert sum(row["nodes"] for row in rows.values()) == small.number_of_nodes()
    total = sum(row["nodes"] * row["out_mean"] for row in rows.values())
    assert total == pytest.approx(small.number_of_edges())
    assert rows["tool"]["hub"] == "SAMtools" and rows["tool"]["in_max"] == 2


def test_the_graph_is_imported_without_importers_and_without_torch() -> None:
    code = "import sys; from workbench import kg; print([m for m in sys.modules if 'importers' in m or m == 'torch'])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_topics_take_in_what_is_below_them(small: nx.MultiDiGraph) -> None:
    assert kg.tools_with_topic(small, ["RNA-Seq"]) == kg.tools_with_topic(small, ["topic_3170"]) == ["tool:hisat2"]
    assert kg.tools_with_topic(small, ["Sequencing"]) == ["tool:hisat2", "tool:samtools", "tool:sra-tools"]
    refused("'Cooking'", kg.tools_with_topic, small, ["Cooking"])


def test_a_part_keeps_what_belongs_to_its_tools(small: nx.MultiDiGraph) -> None:
    part = kg.focus(small, ["tool:hisat2", "tool:sra-tools"])
    kg.check_graph(part)
    commands = {node for node in part if node.startswith("command:")}
    assert commands == {"command:fasterq-dump", "command:hisat2", "command:hisat2-build"}
    assert {"source:sra", "source:ensembl", "license:GPL-3.0-or-later", "format_1915"} <= set(part)
    assert "license:MIT" not in part and "format_2306" not in part  # delivered by Ensembl, read by none of the tools
    whole = kg.focus(small, [node for node in small if node.startswith("tool:")])
    assert set(small) - set(whole) == {"format:hisat2_large_index"}  # read and written by none
    refused("'tool:none'", kg.focus, small, ["tool:none"])


def test_the_shipped_graph_has_a_part_with_the_showcase_for_small_readers(shipped: nx.MultiDiGraph) -> None:
    part = kg.field(shipped, ["Gene transcripts", "Mapping", "Sequence assembly"])
    assert len(kg.showcase(part)) == len(kg.showcase(shipped)) == 2
    assert len(kg.dead_ends(kg.flow_graph(part))) < 3, "what nobody in the field makes leaves few commands unreached"
    assert 300 < len(kg.flow_graph(part)) < POOL < len(kg.flow_graph(kg.field(shipped, [])))
    assert list(part) == [node for node in shipped if node in part]
