"""A part of the graph: some tools with all that belongs to them.

A model with one token per name reads a limited number of names, and a walkthrough is easier on one field than on all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import networkx as nx

from workbench.kg.build import related
from workbench.kg.paths import PathError, showcase
from workbench.kg.rows import STANDINGS

OWNED = ("command_of", "input", "output", "input_data", "output_data", "performs", "has_topic", "licensed_under")


def tools_with_topic(graph: nx.MultiDiGraph, topics: Iterable[str]) -> list[str]:
    """The tools that have one of the topics (ids or names) or a topic below one, sorted.

    Raises `ValueError` for a topic that no tool of the graph has.

    Examples:
        >>> from workbench.kg import load_graph
        >>> tools = tools_with_topic(load_graph().graph, ["Metagenomics"])
        >>> bool(tools) and all(tool.startswith("tool:") for tool in tools)
        True
    """
    is_a = nx.DiGraph(related(graph, "topic_is_a"))
    by_name = {attributes["name"]: node for node, attributes in graph.nodes(data=True) if attributes["type"] == "topic"}
    tools: set[str] = set()
    for name in topics:
        topic = by_name.get(name, name)
        if topic not in graph or graph.nodes[topic]["type"] != "topic":
            raise ValueError(f"topic must be one of the graph's topics (id or name), got {name!r}")
        below = {topic} | (nx.ancestors(is_a, topic) if topic in is_a else set())  # is_a leads upwards
        tools.update(head for head, tail, key in graph.in_edges(below, keys=True) if key == "has_topic")
    return sorted(tools)


def focus(graph: nx.MultiDiGraph, tools: Iterable[str]) -> nx.MultiDiGraph:
    """The sub-graph of `tools` (node ids): their commands, what those read, write and do, and the sources of it.

    Terms keep everything above them. Order and attributes of nodes and edges are those of `graph`. Raises
    `ValueError` for a node that is no tool of the graph.

    Examples:
        >>> from workbench.kg import load_graph
        >>> graph = load_graph("mediakg").graph
        >>> tool = next(node for node, d in graph.nodes(data=True) if d["type"] == "tool")
        >>> [node == tool for node, d in focus(graph, [tool]).nodes(data=True) if d["type"] == "tool"]
        [True]
    """
    kept = set(tools)
    for tool in sorted(kept):
        if tool not in graph or graph.nodes[tool]["type"] != "tool":
            raise ValueError(f"tool must be one of the graph's tools, as 'tool:samtools', got {tool!r}")
    owners = kept | {command for command, tool in related(graph, "command_of") if tool in kept}
    kept.update(*(ends for ends in related(graph, *OWNED) if not owners.isdisjoint(ends)))
    read = {item for item, command in related(graph, "input") if command in owners}
    given = related(graph, "download_from")
    kept.update(source for source, item in given if item in read)
    # a port without its kinds of data would fit whatever has its format
    kept.update(item for source, item in given if source in kept and graph.nodes[item]["type"] == "data")
    kept.update(kind for item, kind in related(graph, "encodes") if item in kept)
    is_a = nx.DiGraph((head, tail) for head, tail, key in graph.edges(keys=True) if key.endswith("_is_a"))
    kept.update(*(nx.descendants(is_a, term) for term in kept & set(is_a)))
    part = nx.MultiDiGraph(**graph.graph)
    part.add_nodes_from((node, attributes) for node, attributes in graph.nodes(data=True) if node in kept)
    part.add_edges_from(edge for edge in graph.edges(keys=True, data=True) if edge[0] in kept and edge[1] in kept)
    return part


def field(graph: nx.MultiDiGraph, topics: Iterable[str]) -> nx.MultiDiGraph:
    """The part that a model is asked about: the tools of the topics and those of the showcase; all without a topic.

    Raises `ValueError` for a topic that no tool of the graph has.

    Examples:
        >>> from workbench.kg import load_graph
        >>> graph = load_graph().graph
        >>> len(field(graph, ["Metagenomics"])) < len(field(graph, []))
        True
    """
    if not (topics := list(topics)):
        return graph
    tools = set(tools_with_topic(graph, topics))
    try:
        shown = {node for chain in showcase(graph) for node in chain}
    except PathError:  # a graph of one's own may lack it
        shown = set()
    tools.update(tool for command, tool in related(graph, "command_of") if command in shown)
    return focus(graph, tools)


def standings(graph: nx.MultiDiGraph, *, at_most: int = 10) -> list[dict[str, str | int]]:
    """How many commands have which standing, in the topics of the most tools: a row a topic, `STANDINGS` as columns.

    Topics are taken as they stand at the tools, without those below. Empty where the graph states no standing.
    """
    standing = nx.get_node_attributes(graph, "standing")
    tool_of = dict(related(graph, "command_of"))
    topics: defaultdict[str, set[str]] = defaultdict(set)
    for tool, topic in related(graph, "has_topic"):
        topics[topic].add(tool)
    rows: list[dict[str, str | int]] = []
    for topic in sorted(topics, key=lambda one: (-len(topics[one]), one))[:at_most] if standing else ():
        counts = Counter(standing.get(command) for command, tool in tool_of.items() if tool in topics[topic])
        rows.append({"topic": graph.nodes[topic]["name"], "tools": len(topics[topic])})
        rows[-1] |= {one: counts[one] for one in STANDINGS}
    return rows
