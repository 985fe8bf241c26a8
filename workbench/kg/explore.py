"""Finding one's way in a graph: search by name, what lies around a node, ways between two, what a command needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from workbench.kg.links import Links
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
    allowed = _allowed(graph, kinds, () if centre is None else (known(graph, centre),))
    if centre is None:
        reached = {node: 0 for node in graph if allowed(node)}
    else:
        reached = {centre: 0}
        edge = [centre]
        for hop in range(1, hops + 1):
            edge = [n for node in edge for n in _beside(graph, node, relations) if allowed(n) and n not in reached]
            edge = list(dict.fromkeys(edge))
            reached |= dict.fromkeys(edge, hop)
    order = sorted(reached, key=lambda node: (reached[node], -graph.degree(node), node))
    shown = {node: reached[node] for node in order[:at_most]}
    near = "with the most facts" if centre is None else _within(graph, centre, hops)
    facts, total = _facts_among(graph, shown, relations), sum(1 for _ in _between(graph, reached, relations))
    return Part(shown, facts, len(reached), total, near)


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
        allowed = _allowed(graph, kinds, (start, end))
        plain = nx.Graph((a, b) for a, b in _pairs(graph, relations) if allowed(a) and allowed(b))
        joined = start in plain and end in plain and nx.has_path(plain, start, end)
        found = [tuple(nx.shortest_path(plain, start, end))] if joined else []
    if not found:
        raise ExploreError(f"no way from {names[0]!r} to {names[1]!r} by {by}; widen the filters, or try the other way")
    place = {node: i for one in found for i, node in enumerate(one)}
    used = {frozenset(pair) for one in found for pair in pairwise(one)}
    facts = tuple(t for t in _facts_among(graph, place, relations) if frozenset((t[0], t[2])) in used)
    return Part(
        place,
        facts,
        len(place),
        len(facts),
        f"on {len(found)} way{'s' * (len(found) > 1)} from {names[0]} to {names[1]}",
        tuple(found),
    )


@dataclass(frozen=True)
class Need:
    """What one input port of a command takes (any of `items`), and the commands and sources that give such a thing."""

    items: frozenset[str]
    givers: tuple[str, ...]


def needs(graph: nx.MultiDiGraph, command: str) -> tuple[Need, ...]:
    """Every input port of a command that has to be met; one where its ports are not known. ExploreError: it is no
    command of the graph."""
    near = graph.subgraph({_command(graph, command), *graph.predecessors(command), *graph.successors(command)})
    wanted = [port.formats or port.kinds for port in Links(near).takes.get(command, ()) if port.need != OPTIONAL]
    return tuple(Need(items, _with(graph, items, out=False, command=command)) for items in wanted)


def gives(graph: nx.MultiDiGraph, command: str) -> dict[str, tuple[str, ...]]:
    """What a command gives -> the commands that take it. ExploreError: it is no command of the graph."""
    facts = graph.out_edges(_command(graph, command), keys=True)
    items = sorted({item for _, item, key in facts if key in ("output", "output_data")})
    return {item: _with(graph, {item}, out=True, command=command) for item in items}


def commanded(graph: nx.MultiDiGraph, node: str) -> str:
    """What a command needs and gives, as a sentence; empty for any other node."""
    if graph.nodes[known(graph, node)]["type"] != "command":
        return ""
    wanted = [f"{_named(graph, n.items, ' or ')} (given by {len(n.givers):,})" for n in needs(graph, node)]
    made = [f"{_named(graph, {item}, '')} (taken by {len(users):,})" for item, users in gives(graph, node).items()]
    sides = (" and ".join(side) or "nothing" for side in (wanted, made))
    return "{} needs {}; it gives {}.".format(graph.nodes[node]["name"], *sides)


def _named(graph: nx.MultiDiGraph, nodes: Collection[str], joint: str) -> str:
    names = sorted(str(graph.nodes[node]["name"]) for node in nodes)
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return joint.join([*names[:NAMED], *more])


def known(graph: nx.MultiDiGraph, node: str) -> str:
    """The node itself. ExploreError: the graph does not have it."""
    if node not in graph:
        raise ExploreError(f"node must be an id of the graph, not {str(node)[:80]!r}; search for its name")
    return node


def _command(graph: nx.MultiDiGraph, node: str) -> str:
    if graph.nodes[known(graph, node)]["type"] != "command":
        raise ExploreError(f"{node!r} is no command; only commands need and give")
    return node


def _with(graph: nx.MultiDiGraph, items: Collection[str], *, out: bool, command: str) -> tuple[str, ...]:
    """Who takes (`out`) or gives one of the items, besides the command itself."""
    edges = graph.out_edges if out else graph.in_edges
    wanted = ("input", "input_data") if out else ("output", "output_data", "download_from")
    found = {b if out else a for a, b, key in edges(sorted(items), keys=True) if key in wanted}
    return tuple(sorted(found - {command}))


def _allowed(graph: nx.MultiDiGraph, kinds: Collection[str], always: Collection[str]) -> Callable[[str], bool]:
    return lambda node: not kinds or node in always or graph.nodes[node]["type"] in kinds


def _beside(graph: nx.MultiDiGraph, node: str, relations: Collection[str]) -> Iterator[str]:
    """The other ends of a node's facts."""
    for head, tail, relation in (*graph.out_edges(node, keys=True), *graph.in_edges(node, keys=True)):
        if not relations or relation in relations:
            yield tail if head == node else head


def _pairs(graph: nx.MultiDiGraph, relations: Collection[str]) -> Iterator[tuple[str, str]]:
    return ((a, b) for a, b, relation in graph.edges(keys=True) if not relations or relation in relations)


def _between(graph: nx.MultiDiGraph, nodes: Collection[str], relations: Collection[str]) -> Iterator[Triple]:
    for head, tail, relation in graph.out_edges(nodes, keys=True):
        if tail in nodes and (not relations or relation in relations):
            yield head, relation, tail


def _facts_among(graph: nx.MultiDiGraph, nodes: Collection[str], relations: Collection[str]) -> tuple[Triple, ...]:
    return tuple(sorted(_between(graph, nodes, relations)))


def _within(graph: nx.MultiDiGraph, centre: str, hops: int) -> str:
    return f"within {hops} step{'s' * (hops > 1)} of {graph.nodes[centre]['name']}"
