"""Merging graphs: who is who, what becomes of facts, ports and conflicts, and the licence of the whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kg_tables import write_ports, write_table

from workbench.kg import build_graph, check_graph, facts_table, read_table
from workbench.kg.identity import homepage_key, identify, sub_command
from workbench.kg.importers import FactItem, Item, Node, Provenance, assemble
from workbench.kg.links import Links
from workbench.kg.merge import merge
from workbench.kg.naming import data_licence
from workbench.kg.plan import Planner

HERE = Provenance("here", "record 1", "CC-BY-4.0")
THERE = Provenance("there", "record 2", "CC-BY-SA-4.0")


def registry(source: Provenance, *tools: dict[str, Any]) -> nx.MultiDiGraph:
    """A graph of tools; `commands`: name -> (ports, outputs)."""
    items: list[Item] = []
    for tool in tools:
        rest = {k: v for k, v in tool.items() if k not in ("id", "name", "commands")}
        items.append(Node(f"tool:{tool['id']}", "tool", tool.get("name", tool["id"]), rest))
        for name, (ports, outputs) in tool.get("commands", {}).items():
            node = f"command:{source.registry}:{name}"
            items += [Node(node, "command", name), FactItem(node, "command_of", f"tool:{tool['id']}", source)]
            items += [FactItem(f, "input", node, source, i) for i, port in enumerate(ports) for f in port]
            items += [FactItem(node, "output", f, source) for f in outputs]
    return assemble(items)


def made(left: dict[str, Any], right: dict[str, Any], *, at_least: float = 0.5) -> tuple[bool, str, float]:
    found = identify([registry(HERE, left), registry(THERE, right)], at_least=at_least)
    [match] = [*found.made, *found.doubtful]
    return bool(found.made), match.rule, match.confidence


def test_tools_are_known_by_id_homepage_package_and_name() -> None:
    one = {"id": "a", "name": "One", "biotools_id": "x", "homepage": "https://www.One.org/index.html"}
    assert made(one, {"id": "b", "name": "Other", "biotools_id": "X"}) == (True, "bio.tools id", 1.0)
    assert made(one, {"id": "b", "name": "Other", "homepage": "http://one.org"}) == (True, "homepage", 0.9)
    assert made(one, {"id": "b", "name": "o n e"}) == (True, "name", 0.75)
    both = {"id": "b", "name": "one", "homepage": "http://one.org/"}
    assert made(one, both) == (True, "homepage and name", 0.98)
    packed = {"id": "a", "packages": ["bioconda::p"]}
    assert made(packed, {"id": "b", "download": "bioconda::p"}) == (True, "package", 0.9)
    assert made(one, {"id": "b", "name": "One"}, at_least=0.8) == (False, "name", 0.75)


def test_what_speaks_against_a_match_makes_it_doubtful() -> None:
    one = {"id": "a", "name": "One", "biotools_id": "x", "homepage": "https://one.org", "doi": ["10.1/1"]}
    assert made(one, {"id": "b", "name": "One", "biotools_id": "y"})[::2] == (False, 0.3)
    other = {"id": "b", "name": "One", "homepage": "https://two.org", "doi": ["10.1/2"]}
    assert made(one, other) == (False, "name", 0.4)


def test_a_homepage_of_a_suite_identifies_none_of_its_tools() -> None:
    page = {"homepage": "https://suite.org"}
    found = identify([registry(HERE, {"id": "a", **page}), registry(THERE, {"id": "b", **page}, {"id": "c", **page})])
    assert not found.made and {match.confidence for match in found.doubtful} == {0.3}


def test_two_tools_of_one_graph_stay_two() -> None:
    left = registry(HERE, {"id": "a", "biotools_id": "x", "packages": ["c::p"]})
    right = registry(THERE, {"id": "b", "biotools_id": "x"}, {"id": "c", "packages": ["c::p"]})
    merged = merge({"left": left, "right": right})
    assert sorted(n for n in merged.graph if n.startswith("tool:")) == ["tool:a", "tool:c"]
    assert [match.note for match in merged.identity.doubtful] == ["two tools of one graph would be one"]


def test_commands_join_by_tool_and_sub_command_and_facts_keep_where_they_are_from() -> None:
    left = registry(HERE, {"id": "t", "commands": {"t sort": ([["format_2572"], ["format_1929"]], ["format_2572"])}})
    right = registry(
        THERE, {"id": "t", "commands": {"t_sort": ([["format_2573", "format_2572"]], ["format_2572", "format_3016"])}}
    )
    merged = merge({"left": left, "right": right})
    command = "command:here:t sort"
    assert [n for n in merged.graph if n.startswith("command:")] == [command]
    edges = {tail: [one["registry"] for one in how] for _, tail, how in merged.graph.out_edges(command, "provenance")}
    assert edges["format_2572"] == ["here", "there"] and edges["format_3016"] == ["there"]
    ports = {item: numbers for item, _, numbers in merged.graph.in_edges(command, "ports")}
    assert ports == {"format_2572": [0], "format_2573": [0], "format_1929": [1]}
    assert merged.graph.nodes[command]["optional_ports"] == [1], "one of the two does without"
    [conflict] = [one for one in merged.conflicts if one.what == "inputs"]
    assert dict(conflict.said) == {
        "left command:here:t sort": "format_1929; format_2572",
        "right command:there:t_sort": "format_2572|format_2573",
    }
    assert Planner(merged.graph).plans("format_2573", "format_3016").plans[0].commands == (command,)


def test_conflicts_are_kept_and_shown() -> None:
    left = registry(HERE, {"id": "t", "license": "MIT", "homepage": "https://a.org"})
    right = registry(THERE, {"id": "t", "license": "GPL-3.0-only", "homepage": "http://www.b.org"})
    merged = merge({"left": left, "right": right})
    assert {(one.what, one.said) for one in merged.conflicts} == {
        ("license", (("left", "MIT"), ("right", "GPL-3.0-only"))),
        ("homepage", (("left", "https://a.org"), ("right", "http://www.b.org"))),
    }
    tool = merged.graph.nodes["tool:t"]
    assert tool["license"] == "MIT" and tool["also"]["license"] == ["GPL-3.0-only"]


def test_an_id_of_two_types_stays_two_nodes() -> None:
    left, right = registry(HERE, {"id": "t"}), registry(THERE)
    right.add_node("tool:t", type="source", name="a source")
    right.add_edge("tool:t", "format_2572", "download_from", relation="download_from", provenance=[THERE._asdict()])
    right.add_node("format_2572", type="format", name="BAM")
    merged = merge({"left": left, "right": right})
    assert merged.graph.nodes["tool:t (source)"]["type"] == "source"
    assert merged.graph.has_edge("tool:t (source)", "format_2572", "download_from")
    assert [one.what for one in merged.conflicts] == ["type"]


def test_the_licence_of_the_whole_is_told() -> None:
    left = registry(HERE, {"id": "a", "commands": {"x": ([["format_2572"]], ["format_2573"])}})
    merged = merge({"left": left, "right": registry(THERE, {"id": "b", "commands": {"y": ([["format_1929"]], [])}})})
    assert merged.licence.note.startswith("CC-BY-SA-4.0: share alike")
    assert set(merged.licence.facts) == {"CC-BY-4.0", "CC-BY-SA-4.0"} == set(merged.graph.graph["licences"])
    assert data_licence(nx.MultiDiGraph()).note == "no facts"
    for _, _, attributes in left.edges(data=True):
        attributes["provenance"] = [{"registry": "r", "record": "1", "licence": "CC-BY-NC-ND-4.0"}]
    strict = data_licence(left)
    assert "may not be passed on" in strict.asks[0][0] and "no commercial use" in strict.asks[1][0]


@pytest.mark.parametrize("write", [write_table, write_ports])
def test_a_merge_with_itself_changes_nothing(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    graph = build_graph(read_table(write(tmp_path)))
    merged = merge({"one": graph, "two": graph})
    assert facts_table(merged.graph) == facts_table(graph) and not merged.conflicts and not merged.identity.doubtful
    one, two = Planner(graph), Planner(merged.graph)
    for target in ("data_3134", "format_2306"):
        there = ["source:sra", "source:ensembl"]
        assert one.plans(there, target, k=3) == two.plans(there, target, k=3)
    rows = list(merged.rows())
    assert len(rows) == sum(n.startswith(("tool:", "command:")) for n in graph) and all(row["made"] for row in rows)
    assert merged.graph.graph.get("states") == graph.graph.get("states")
    one, two = Links(graph), Links(merged.graph)
    assert one.gives == two.gives and one.takes == two.takes


@settings(max_examples=25)
@given(st.data())
def test_no_fact_and_no_record_is_lost(data: st.DataObject) -> None:
    formats = st.sampled_from(["format_2572", "format_2573", "format_1929", "format_1930"])
    ports = st.lists(st.lists(formats, min_size=1, max_size=2, unique=True), max_size=3)
    command = st.tuples(ports, st.lists(formats, max_size=2, unique=True))
    tool = st.fixed_dictionaries(
        {"id": st.sampled_from("abc"), "name": st.sampled_from("xyz"), "biotools_id": st.sampled_from(["", "p", "q"])},
        optional={"commands": st.dictionaries(st.sampled_from(["u", "v w"]), command, max_size=2)},
    )
    tools = st.lists(tool, max_size=3, unique_by=lambda one: one["id"])
    parts = {"left": registry(HERE, *data.draw(tools)), "right": registry(THERE, *data.draw(tools))}
    merged = merge(parts)
    check_graph(merged.graph)
    stands = merged.identity.stands_for
    for number, graph in enumerate(parts.values()):
        for head, tail, relation, how in graph.edges(keys=True, data="provenance"):
            ends = [stands.get((number, end), (number, end))[1] for end in (head, tail)]
            kept = merged.graph.edges[ends[0], ends[1], relation]["provenance"]
            assert all(one in kept for one in how)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("HTTPS://www.Host.org/a//b/index.html#top", "host.org/a/b"),
        ("https://github.com/Me/Repo.git", "github.com/me/repo"),
        ("github.com", ""),
        ("https://[broken", ""),
        (None, ""),
    ],
)
def test_homepages_are_compared_without_what_does_not_matter(address: str | None, key: str) -> None:
    assert homepage_key(address) == key


def test_sub_commands() -> None:
    assert sub_command("samtools_sort", ["SAMtools"]) == sub_command("samtools sort", ["x", "samtools"]) == ("sort",)
    assert sub_command("Trim Galore!", ["trim_galore"]) == () and sub_command("hisat2-build", ["hisat2"]) == ("build",)
    assert sub_command("bamtools sort", ["samtools"]) == ("bamtools", "sort")
