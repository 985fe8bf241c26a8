"""A part of the graph: the tools of some topics with all that belongs to them."""

from __future__ import annotations

import networkx as nx
import pytest

from workbench import kg
from workbench.models.reader import POOL


def test_topics_take_in_what_is_below_them(small: nx.MultiDiGraph) -> None:
    assert kg.tools_with_topic(small, ["RNA-Seq"]) == kg.tools_with_topic(small, ["topic_3170"]) == ["tool:hisat2"]
    assert kg.tools_with_topic(small, ["Sequencing"]) == ["tool:hisat2", "tool:samtools", "tool:sra-tools"]
    with pytest.raises(ValueError, match="'Cooking'"):
        kg.tools_with_topic(small, ["Cooking"])


def test_a_part_keeps_what_belongs_to_its_tools(small: nx.MultiDiGraph) -> None:
    part = kg.focus(small, ["tool:hisat2", "tool:sra-tools"])
    kg.check_graph(part)
    commands = {node for node in part if node.startswith("command:")}
    assert commands == {"command:fasterq-dump", "command:hisat2", "command:hisat2-build"}
    assert {"source:sra", "source:ensembl", "license:GPL-3.0-or-later", "format_1915"} <= set(part)
    assert "license:MIT" not in part and "format_2306" not in part  # delivered by Ensembl, read by none of the tools
    whole = kg.focus(small, [node for node in small if node.startswith("tool:")])
    assert set(small) - set(whole) == {"format:hisat2_large_index"}  # read and written by none
    with pytest.raises(ValueError, match="'tool:none'"):
        kg.focus(small, ["tool:none"])


def test_the_shipped_graph_has_a_part_with_the_showcase_for_small_readers() -> None:
    graph = kg.build_graph(kg.read_table())
    part = kg.field(graph, ["Gene transcripts", "Mapping", "Sequence assembly"])
    assert len(kg.showcase(part)) == len(kg.showcase(graph)) == 2
    assert len(kg.dead_ends(kg.flow_graph(part))) < 3, "what nobody in the field makes leaves few commands unreached"
    assert 300 < len(kg.flow_graph(part)) < POOL < len(kg.flow_graph(kg.field(graph, [])))
    assert list(part) == [node for node in graph if node in part]
