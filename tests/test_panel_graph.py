"""The graph explorer, driven by setting values, and what it asks of the graph, against plain searches."""

import json

import networkx as nx
import pytest
from figure_checks import TAGGED as HOSTILE
from figure_checks import plain, tags
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from workbench.hands.panel.graph import GraphPanel
from workbench.kg.explore import ExploreError, around, commanded, search, ways
from workbench.kg.paths import PathError


def graph(bad: str = "") -> nx.MultiDiGraph:
    made = nx.MultiDiGraph()
    nodes = {
        "source:s": ("source", "Archive"), "format_1": ("format", "FASTQ"), "format_2": ("format", "SAM"),
        "format_3": ("format", "BAM"), "data_1": ("data", "alignment"), "command:align": ("command", "align"),
        "command:sort": ("command", "sort alignment"), "tool:a": ("tool", "Aligner"), "topic_1": ("topic", "Mapping"),
    }  # fmt: skip
    for node, (kind, name) in nodes.items():
        made.add_node(node, type=kind, name=bad + name)
    for fact in (
        ("source:s", "format_1", "download_from"), ("format_1", "command:align", "input"),
        ("command:align", "format_2", "output"), ("format_2", "command:sort", "input"),
        ("format_3", "command:sort", "input"), ("command:sort", "format_3", "output"),
        ("format_2", "data_1", "encodes"), ("format_3", "data_1", "encodes"),
        ("command:align", "tool:a", "command_of"), ("tool:a", "topic_1", "has_topic"),
    ):  # fmt: skip
        made.add_edge(*fact[:2], key=fact[2])
    return made


def test_the_same_name_comes_first_then_names_that_begin_so() -> None:
    assert search(graph(), "ALIGN").nodes == ("command:align", "tool:a", "data_1", "command:sort")
    assert search(graph(), "align", kinds=["command"]).nodes == ("command:align", "command:sort")
    assert search(graph(), "alignment sort").nodes == ("command:sort",), "every word, in any order"
    assert search(graph(), "", limit=2).total == 9 and search(graph(), "nothing such").total == 0


@given(st.integers(0, 999), st.integers(1, 3), st.integers(1, 12))
def test_around_is_what_a_plain_search_in_breadth_finds(seed: int, hops: int, at_most: int) -> None:
    plain = nx.gnm_random_graph(14, 18, seed=seed, directed=True)
    made = nx.MultiDiGraph()
    made.add_nodes_from((str(n), {"type": "ab"[n % 2], "name": str(n)}) for n in plain)
    made.add_edges_from((str(a), str(b), "xyz"[(a + b) % 3]) for a, b in plain.edges)
    part = around(made, "0", hops=hops, at_most=at_most)
    near = nx.single_source_shortest_path_length(made.to_undirected(), "0", cutoff=hops)
    assert part.total_nodes == len(near) and len(part.steps) == min(at_most, len(near))
    assert all(near[node] == at for node, at in part.steps.items())
    assert max(part.steps.values()) <= min(
        at for n, at in near.items() if n not in part.steps or at == max(near.values())
    )
    assert part.total_facts == made.subgraph(near).number_of_edges()
    assert len(part.facts) == made.subgraph(part.steps).number_of_edges()
    some = around(made, "0", hops=hops, kinds=["a"], relations=["x", "y"], at_most=99)
    left = nx.Graph((a, b) for a, b, key in made.edges(keys=True) if key in "xy")
    left = left.subgraph(n for n in left if made.nodes[n]["type"] == "a") if "0" in left else nx.Graph([("0", "0")])
    assert some.steps == nx.single_source_shortest_path_length(left, "0", cutoff=hops)


def test_ways_go_along_the_data_or_over_any_facts() -> None:
    flow = ways(graph(), "source:s", "format_3")
    assert flow.ways == (("source:s", "format_1", "command:align", "format_2", "command:sort", "format_3"),)
    assert len(flow.facts) == 6, "both directions between sort and BAM"
    assert ways(graph(), "topic_1", "source:s", by="facts").ways[0][0] == "topic_1"
    refused("node must be", ways, graph(), "source:s", "tool:a", error=PathError)
    for how in ({"relations": ["input"]}, {"kinds": ["topic"]}):
        refused("no way", ways, graph(), "topic_1", "source:s", by="facts", error=ExploreError, **how)
    refused("nowhere", ways, graph(), "source:s", "nowhere", error=ExploreError)


def test_a_command_needs_any_format_of_a_port_and_gives_what_others_take() -> None:
    aligned = "align needs FASTQ (given by 1); it gives SAM (taken by 1)."
    either = "sort alignment needs BAM or SAM (given by 1); it gives BAM (taken by 0)."
    assert commanded(graph(), "command:align") == aligned
    assert commanded(graph(), "command:sort") == either, "any format of a port will do; a command is not its own giver"
    assert commanded(graph(), "format_1") == ""
    refused("search for its name", commanded, graph(), "nowhere", error=ExploreError)


def test_the_panel_says_how_much_it_shows() -> None:
    one = GraphPanel(graph(), at_most=4)
    assert one.sentences().startswith("Showing 4 of 9 nodes and")
    assert len(one.view.graph.part.drawing["spots"]) == 4
    one.view.at_most.value = 100
    assert "showing 9 of 9 nodes and 10 of 10 facts" in plain(one.view.shown.value)


def test_typing_lists_and_choosing_or_clicking_goes_there() -> None:
    one = GraphPanel(graph())
    one.view.search.value = "align"
    assert [node for _, node in one.view.hits.options] == ["command:align", "tool:a", "data_1", "command:sort"]
    assert one.view.hits.description == "4 found" and one.node is None
    one.view.hits.value = "command:align"
    assert one.node == "command:align" and "align needs FASTQ" in plain(one.view.about.value)
    assert set(one.part.steps) == {"command:align", "format_1", "format_2", "tool:a"}
    key = next(s["key"] for s in one.view.graph.part.drawing["spots"] if s["label"] == "Aligner")
    one.view.graph.part.heard({"toggle": key})
    assert one.node == "tool:a"
    one.view.whole.click()
    assert one.node is None


def test_filters_and_steps_change_what_is_shown() -> None:
    one = GraphPanel(graph(), "format_2")
    one.view.kinds.value = ("command", "format")
    assert set(one.part.steps) == {"format_2", "command:align", "command:sort"}
    one.view.hops.value = 2
    assert set(one.part.steps) == {"format_2", "command:align", "command:sort", "format_1", "format_3"}
    one.filter(relations=["output"])
    assert set(one.part.steps) == {"format_2", "command:align"}
    refused("node must be", one.go, "nowhere", error=ExploreError)


def test_ways_beside_each_other_stand_apart() -> None:
    made = graph()
    made.add_node("command:other", type="command", name="other aligner")
    made.add_edge("format_1", "command:other", key="input")
    made.add_edge("command:other", "format_2", key="output")
    one = GraphPanel(made)
    assert len(one.ways("source:s", "format_3").ways) == 2
    spots = one.view.graph.part.drawing["spots"]
    assert len({(spot["x"], spot["row"]) for spot in spots}) == len(spots) == 7
    assert " on 2 ways from " in one.sentences()
    assert ways(made, "source:s", "format_3", limit=2).where.startswith("on 2 ways from ")
    assert ways(made, "source:s", "format_3", limit=1).where.startswith("on 1 of more ways from ")


def test_ways_by_name_and_an_error_is_shown() -> None:
    one = GraphPanel(graph())
    one.view.start.value, one.view.end.value = "archive", "BAM"
    one.view.find.click()
    assert one.between == ("source:s", "format_3") and one.title == "Ways from Archive to BAM"
    one.view.end.value = "Mapping"
    one.view.find.click()
    assert "node must be" in one.view.status.value and one.between == ("source:s", "format_3")
    one.view.by.value = "facts"
    one.view.find.click()
    assert one.between == ("source:s", "topic_1") and one.view.status.value == ""


def test_state_is_json_and_brings_everything_back(tmp_path) -> None:
    one, other = GraphPanel(graph()), GraphPanel(graph())
    one.search("a")
    one.filter(kinds=["command", "format", "source"])
    one.go("format_2", hops=2)
    other.state = json.loads(json.dumps(one.state))
    assert other.state == one.state and other.part == one.part
    one.ways("source:s", "format_3")
    written = one.export(tmp_path / "ways")
    assert [path.suffix for path in written] == [".png", ".svg", ".csv", ".json"]
    other.state = json.loads(written[3].read_text())
    assert other.part == one.part
    with pytest.raises(ExploreError, match="wrong"):
        one.state = {"wrong": 1}


def test_hostile_names_are_text_and_the_still_face_is_a_picture() -> None:
    one = GraphPanel(graph(HOSTILE), "command:sort")
    one.view.export.click()
    for shown in (one.view.shown, one.view.about, one.view.status):
        assert tags(shown.value) <= {"p", "dfn"} and "<img" not in shown.value
    assert tags(one.view.facts.value) == {"p", "table", "tr", "td"} and "&lt;img" in one.view.facts.value
    bundle = one._repr_mimebundle_()
    assert bundle["image/png"] and "application/vnd.jupyter.widget-view+json" in bundle
    formula = GraphPanel(graph("=1+"), "format_1").exports()[".csv"].decode()
    assert "'=1+FASTQ" in formula


def test_nodes_with_the_same_facts_are_drawn_as_one_and_a_click_shows_each() -> None:
    made = graph()
    for i in range(6):
        made.add_node(f"command:use{i}", type="command", name=f"use {i}")
        made.add_edge("format_1", f"command:use{i}", key="input")
    made.add_edge("source:s", "command:align", key="download_from")
    one = GraphPanel(made, "format_1")
    (bundle,) = one.seen.bundles
    assert set(one.seen.bundles[bundle][1]) == {f"command:use{i}" for i in range(6)}, "align has another fact"
    drawn = one.view.graph.part.drawing["spots"]
    key = next(spot["key"] for spot in drawn if spot["label"] == "6 × command")
    assert len(drawn) == 4 and len(one.part.steps) == 9 and "showing 9 of 9 nodes" in plain(one.view.shown.value)
    one.view.graph.part.heard({"toggle": key})
    assert one.node == "format_1" and not one.seen.bundles and len(one.view.graph.part.drawing["spots"]) == 9
    other = GraphPanel(made)
    other.state = json.loads(json.dumps(one.state))
    assert other.seen == one.seen
    one.view.at_most.value = 2
    assert len(one.view.graph.part.drawing["spots"]) == 2
    one.view.at_most.value = 60
    one.go("format_1")
    assert one.seen.bundles, "somewhere else, they are one again"
