"""Parts of a graph: a field's tools with all that belongs to them, what lies around a node, ways between two; search.

A model with one token per name reads a limited number of names, and a walkthrough is easier on one field than on all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from workbench.kg.build import Fact, facts_table, related
from workbench.kg.columns import OPTIONAL, STANDINGS
from workbench.kg.links import INTO, OUT, Links
from workbench.kg.paths import PathError, flow_graph, shortest_toolchains, showcase

OWNED = ("command_of", "input", "output", "input_data", "output_data", "performs", "has_topic", "licensed_under")


def tools_with_topic(graph: nx.MultiDiGraph, topics: Iterable[str]) -> list[str]:
    """The tools that have one of the topics (ids or names) or a topic below one, sorted.

    Raises `ValueError` for a topic that no tool of the graph has.

    Examples:
        >>> from workbench.kg import load_graph
        >>> tools = tools_with_topic(load_graph("mediakg").graph, ["film"])
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
        >>> graph = load_graph("mediakg").graph
        >>> len(field(graph, ["film"])) < len(field(graph, []))
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

    Examples:
        >>> from workbench.kg import load_graph
        >>> standings(load_graph("mediakg").graph)  # it states none
        []
    """
    standing = nx.get_node_attributes(graph, "standing")
    tool_of = dict(related(graph, "command_of"))
    topics: defaultdict[str, set[str]] = defaultdict(set)
    for tool, topic in related(graph, "has_topic"):
        topics[topic].add(tool)
    rows: list[dict[str, str | int]] = []
    for topic in sorted(topics, key=lambda one: (-len(topics[one]), one))[:at_most] if standing else ():
        counts = Counter(standing.get(command) for command, tool in tool_of.items() if tool in topics[topic])
        about = {"topic": graph.nodes[topic]["name"], "tools": len(topics[topic])}
        rows.append(about | {one: counts[one] for one in STANDINGS})
    return rows


NAMED = 8  # of a list in words
BY = ("flow", "facts")
"""How a way may go: along the data flow, in its direction; or over any facts, in both."""


class ExploreError(ValueError):
    """What was asked for is not in the graph: names it and what to do."""


@dataclass(frozen=True)
class Hits:
    """Nodes found, best first; `total` counts those that are left off too."""

    nodes: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class Part:
    """A part of a graph. steps: node -> steps from the centre or along the ways, in the order they were reached.

    facts: those between the nodes. total_nodes, total_facts: how many there would be without the limit on nodes.
    where: the part in words, as `within 2 steps of BAM`. ways: node paths, where it is made of some.
    """

    steps: dict[str, int]
    facts: tuple[Fact, ...]
    total_nodes: int
    total_facts: int
    where: str
    ways: tuple[tuple[str, ...], ...] = ()

    def told(self, graph: nx.MultiDiGraph) -> str:
        """How much is shown, of what there is."""
        nodes, facts = f"{len(self.steps):,} of {self.total_nodes:,} nodes", f"{len(self.facts):,}"
        whole = f"the graph has {graph.number_of_nodes():,} nodes and {graph.number_of_edges():,} facts"
        return f"showing {nodes} and {facts} of {self.total_facts:,} facts {self.where}; {whole}"


def search(graph: nx.MultiDiGraph, text: str, *, kinds: Collection[str] = (), limit: int = 50) -> Hits:
    """Nodes whose name or id holds every word of `text`, upper and lower case alike.

    The same name first, then names that begin with the text, then words that do; of equals those with more facts. An
    empty text finds every node. kinds: entity types looked at; none: all.
    """
    asked = " ".join(text.casefold().split())
    words, found = asked.split(), []
    for node, attributes in graph.nodes(data=True):
        if kinds and attributes["type"] not in kinds:
            continue
        name, key = str(attributes["name"]).casefold(), str(node).casefold()
        if all(word in name or word in key for word in words):
            order = 0 if asked in (name, key) else 1 if name.startswith(asked) else 2 if f" {asked}" in name else 3
            found.append((order, -graph.degree(node), name, str(node)))
    found.sort()
    return Hits(tuple(row[-1] for row in found[:limit]), len(found))


def around(
    graph: nx.MultiDiGraph,
    centre: str | None = None,
    *,
    hops: int = 1,
    kinds: Collection[str] = (),
    relations: Collection[str] = (),
    at_most: int = 300,
) -> Part:
    """What lies within `hops` facts of a node, taken in both directions; without a node, those with the most facts.

    kinds, relations: the entity types and relations that count, none: all; the centre always does. at_most: nodes, the
    nearest first, of equals those with more facts. ExploreError: no such node, or a number below 1.
    """
    if hops < 1 or at_most < 1:
        raise ExploreError(f"hops and at_most must be 1 or more, not {hops!r} and {at_most!r}")
    if centre is None:
        reached = {node: 0 for node in _filtered(graph, kinds)}
    else:
        seen = _filtered(graph, kinds, relations, known(graph, centre)).to_undirected(as_view=True)
        reached = nx.single_source_shortest_path_length(seen, centre, cutoff=hops)
    order = sorted(reached, key=lambda node: (reached[node], -graph.degree(node), node))
    shown = {node: reached[node] for node in order[:at_most]}
    near = f"within {hops} step{'s' * (hops > 1)} of {graph.nodes[centre]['name']}" if centre else "with the most facts"
    facts, total = (_facts(graph, nodes, relations) for nodes in (shown, reached))
    return Part(shown, facts, len(reached), len(total), near)


def ways(
    graph: nx.MultiDiGraph,
    start: str,
    end: str,
    *,
    by: str = "flow",
    kinds: Collection[str] = (),
    relations: Collection[str] = (),
    limit: int = 5,
) -> Part:
    """The shortest ways between two nodes, up to `limit`; see `BY`. Filters hold for `facts`, as in `around`.

    ExploreError: no such node, or no way. PathError: a node off the data flow.
    """
    if by not in BY:
        raise ExploreError(f"by must be one of {', '.join(BY)}, not {by!r}")
    names = [graph.nodes[known(graph, node)]["name"] for node in (start, end)]
    if by == "flow":
        flow = flow_graph(graph)
        found = shortest_toolchains(flow, start, end, limit=limit)
        more = len(found) == limit and len(shortest_toolchains(flow, start, end, limit=limit + 1)) > limit
    else:
        plain = nx.Graph(_filtered(graph, kinds, relations, start, end).edges())
        joined = start in plain and end in plain and nx.has_path(plain, start, end)
        found = [tuple(nx.shortest_path(plain, start, end))] if joined else []
        more = False
    if not found:
        raise ExploreError(f"no way from {names[0]!r} to {names[1]!r} by {by}; widen the filters, or try the other way")
    place = {node: i for one in found for i, node in enumerate(one)}
    used = {frozenset(pair) for one in found for pair in pairwise(one)}
    facts = tuple(fact for fact in _facts(graph, place, relations) if frozenset((fact[0], fact[2])) in used)
    count = f"{len(found)} of more ways" if more else f"{len(found)} way{'s' * (len(found) > 1)}"
    where = f"on {count} from {names[0]} to {names[1]}"
    return Part(place, facts, len(place), len(facts), where, tuple(found))


def commanded(graph: nx.MultiDiGraph, node: str) -> str:
    """What a command needs and gives, as a sentence; empty for any other node. An input port takes any of its items;
    how many others give or take one is told. ExploreError: no such node."""
    if graph.nodes[known(graph, node)]["type"] != "command":
        return ""
    near = graph.subgraph({node, *graph.predecessors(node), *graph.successors(node)})
    needs = [port.formats or port.kinds for port in Links(near).takes.get(node, ()) if port.need != OPTIONAL]
    gives = sorted({item for _, item, key in graph.out_edges(node, keys=True) if key in OUT})
    givers = [{a for a, _, key in graph.in_edges(items, keys=True) if key in OUT} - {node} for items in needs]
    takers = [{b for _, b, key in graph.out_edges(item, keys=True) if key in INTO} - {node} for item in gives]
    wanted = [f"{_named(graph, some)} (given by {len(by):,})" for some, by in zip(needs, givers, strict=True)]
    made = [f"{_named(graph, [one])} (taken by {len(by):,})" for one, by in zip(gives, takers, strict=True)]
    sides = (" and ".join(side) or "nothing" for side in (wanted, made))
    return "{} needs {}; it gives {}.".format(graph.nodes[node]["name"], *sides)


def _named(graph: nx.MultiDiGraph, nodes: Collection[str]) -> str:
    names = sorted(str(graph.nodes[node]["name"]) for node in nodes)
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return " or ".join([*names[:NAMED], *more])


def known(graph: nx.MultiDiGraph, node: str) -> str:
    """The node itself. ExploreError: the graph does not have it."""
    if node not in graph:
        raise ExploreError(f"node must be an id of the graph, not {str(node)[:80]!r}; search for its name")
    return node


def _filtered(
    graph: nx.MultiDiGraph, kinds: Collection[str], relations: Collection[str] = (), *always: str
) -> nx.MultiDiGraph:
    """A view of the nodes of some types, and of those that always count, and of the facts of some relations."""
    return nx.subgraph_view(
        graph,
        filter_node=lambda node: not kinds or node in always or graph.nodes[node]["type"] in kinds,
        filter_edge=lambda head, tail, relation: not relations or relation in relations,
    )


def _facts(graph: nx.MultiDiGraph, nodes: Collection[str], relations: Collection[str]) -> tuple[Fact, ...]:
    """The facts between some nodes, sorted."""
    return tuple(fact for fact in facts_table(graph.subgraph(nodes)) if not relations or fact[1] in relations)
