"""Importer `tables`: ports, provenance and repairs on a small table; counts and links of the real one."""

from __future__ import annotations

import pytest
from importing import DATA, SHARED, imported, ports

from workbench.hands.bench.kg import check
from workbench.kg import load_graph

REGISTRY = DATA / "registry"  # with all that is wrong in registries


def test_ports_provenance_and_identity() -> None:
    graph, _ = imported("tables", REGISTRY)
    sort = "command:nfcore:samtools/sort"
    assert graph.edges["format_2572", sort, "input"] == {
        "relation": "input",
        "provenance": [{"registry": "nf-core", "record": "nfcore:samtools/sort", "licence": "MIT"}],
        "ports": [0],
    }
    assert graph.edges["format:fai", sort, "input"]["ports"] == [1]
    assert graph.edges["format_1929", sort, "input"]["ports"] == [2]
    assert graph.has_edge("format:fai", "format_3475", "format_is_a")
    assert ports(graph, sort, "output").keys() == {"format_2572", "format_3462", "format:csi"}
    tool = graph.nodes["tool:samtools"]
    assert tool["name"] == "SAMtools" and tool["aliases"] == ["samtools"] and tool["packages"] == ["bioconda::samtools"]
    assert tool["homepage"] == "https://www.htslib.org" and tool["doi"] == ["10.1093/bioinformatics/btp352"]
    assert graph.has_edge("tool:samtools", "license:GPL-3.0", "licensed_under")
    assert graph.has_edge("tool:samtools", "topic_3168", "has_topic"), "found by its label"
    assert graph.has_edge("source:sra", "format_1930", "download_from")
    stated = "CC-BY-4.0 CC-BY-SA-4.0 LicenseRef-MIT-and-others LicenseRef-unknown MIT"
    assert graph.graph["licences"] == stated.split()


def test_every_defect_is_a_line_of_the_report() -> None:
    _, note = imported("tables", REGISTRY)
    told = {(line.file, line.place, line.rule, line.action) for line in note.lines}
    for line in (
        ("registry.jsonl", "line 3", "record is not an object", "dropped"),
        ("registry.jsonl", "line 4", "not JSON", "dropped"),
        ("registry.jsonl", "line 2", "id that an earlier record has, joined with it", "kept"),
        ("registry.jsonl", "line 1.topics[1]", "no such EDAM id; found by its label", "repaired"),
        ("components.jsonl", "line 1.inputs[0]", "compression given as a format or data type", "dropped"),
        ("components.jsonl", "line 1.inputs[2].data[0]", "format given where data is asked for", "repaired"),
        ("components.jsonl", "line 1.outputs[0].formats[0]", "no such EDAM id", "dropped"),
        ("components.jsonl", "line 1.operations[1]", "branch root, which says nothing", "dropped"),
        ("components.jsonl", "line 2.outputs[0]", "port is not an object", "dropped"),
        ("components.jsonl", "line 3", "command without an id or tool", "dropped"),
    ):
        assert line in told
    assert note.records == 10 and sum(note.actions.values()) == len(note.lines) == sum(note.counts.values())


@pytest.mark.skipif(not (SHARED / "samples").is_dir(), reason="no registry tables or workflows here")
def test_of_the_real_tables_links_of_workflows_are_accepted_more_often_than_others() -> None:
    graph, note = imported("tables", SHARED / "data")
    types = [kind for _, kind in graph.nodes(data="type")]
    assert types.count("command") == 7755 and types.count("tool") >= 4239 and types.count("source") == 487
    assert all(attributes["provenance"] for *_, attributes in graph.edges(data=True))
    assert all(graph.has_node(node) for node in ("format_2572", "data_0863"))
    told = ("no such EDAM id (dropped)", "obsolete EDAM id, replaced as EDAM says (repaired)")
    assert all(note.counts[one] for one in told)
    chains = imported("workflow", SHARED / "samples" / "galaxy_workflows")[0].graph["toolchains"]
    rates = check(graph, chains, seed=0, random_pairs=1500).rates
    assert rates["command", "real"].share >= 0.93 and rates["command", "random"].share <= 0.2
    assert rates["command", "reversed"].high < rates["command", "real"].low
    assert rates["tool", "random"].low > rates["command", "random"].high, "tools discriminate less"
    alone = check(load_graph().graph, chains, seed=0, random_pairs=10)
    assert len(alone.links) >= 5 and set(alone.unknown)
