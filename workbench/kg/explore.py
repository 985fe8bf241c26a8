"""Finding one's way in a graph: search by name, what lies around a node, ways between two, what a command needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from workbench.kg.links import INTO, OUT, Links
from workbench.kg.paths import flow_graph, shortest_toolchains
from workbench.kg.port import OPTIONAL

Triple = tuple[str, str, str]  # head, relation, tail
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
    facts: tuple[Triple, ...]
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
        found = shortest_toolchains(flow_graph(graph), start, end, limit=limit)
    else:
        plain = nx.Graph(_filtered(graph, kinds, relations, start, end).edges())
        joined = start in plain and end in plain and nx.has_path(plain, start, end)
        found = [tuple(nx.shortest_path(plain, start, end))] if joined else []
    if not found:
        raise ExploreError(f"no way from {names[0]!r} to {names[1]!r} by {by}; widen the filters, or try the other way")
    place = {node: i for one in found for i, node in enumerate(one)}
    used = {frozenset(pair) for one in found for pair in pairwise(one)}
    facts = tuple(fact for fact in _facts(graph, place, relations) if frozenset((fact[0], fact[2])) in used)
    where = f"on {len(found)} way{'s' * (len(found) > 1)} from {names[0]} to {names[1]}"
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


def _facts(graph: nx.MultiDiGraph, nodes: Collection[str], relations: Collection[str]) -> tuple[Triple, ...]:
    """The facts between some nodes, sorted."""
    edges = graph.subgraph(nodes).edges(keys=True)
    return tuple(sorted((head, key, tail) for head, tail, key in edges if not relations or key in relations))
