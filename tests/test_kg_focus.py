"""A part of the graph: the tools of some topics with all that belongs to them."""

from __future__ import annotations

import networkx as nx
import pytest

from workbench.kg import (
    build_graph,
    check_graph,
    dead_ends,
    field,
    flow_graph,
    focus,
    read_table,
    showcase,
    tools_with_topic,
)
from workbench.models.reader import POOL


def test_topics_take_in_what_is_below_them(small: nx.MultiDiGraph) -> None:
    assert tools_with_topic(small, ["RNA-Seq"]) == tools_with_topic(small, ["topic_3170"]) == ["tool:hisat2"]
    assert tools_with_topic(small, ["Sequencing"]) == ["tool:hisat2", "tool:samtools", "tool:sra-tools"]
    with pytest.raises(ValueError, match="'Cooking'"):
        tools_with_topic(small, ["Cooking"])


def test_a_part_keeps_what_belongs_to_its_tools(small: nx.MultiDiGraph) -> None:
    part = focus(small, ["tool:hisat2", "tool:sra-tools"])
    check_graph(part)
    commands = {node for node in part if node.startswith("command:")}
    assert commands == {"command:fasterq-dump", "command:hisat2", "command:hisat2-build"}
    assert {"source:sra", "source:ensembl", "license:GPL-3.0-or-later", "format_1915"} <= set(part)
    assert "license:MIT" not in part and "format_2306" not in part  # delivered by Ensembl, read by none of the tools
    whole = focus(small, [node for node in small if node.startswith("tool:")])
    assert set(small) - set(whole) == {"format:hisat2_large_index"}  # read and written by none
    with pytest.raises(ValueError, match="'tool:none'"):
        focus(small, ["tool:none"])


def test_the_shipped_graph_has_a_part_with_the_showcase_for_small_readers() -> None:
    graph = build_graph(read_table())
    part = field(graph, ["Gene transcripts", "Mapping", "Sequence assembly"])
    assert len(showcase(part)) == len(showcase(graph)) == 2
    assert len(dead_ends(flow_graph(part))) < 3, "what nobody in the field makes leaves few commands unreached"
    assert 300 < len(flow_graph(part)) < POOL < len(flow_graph(field(graph, [])))
    assert list(part) == [node for node in graph if node in part]
