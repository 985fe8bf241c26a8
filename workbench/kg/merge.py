"""Several graphs as one: what is the same becomes one node, facts keep where they are from, conflicts stay visible.

The ports of a command that several graphs state become one list, matched by what goes through them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from scipy.optimize import linear_sum_assignment

from workbench.kg.build import ENTITY_TYPES
from workbench.kg.columns import COMPANION, OPTIONAL
from workbench.kg.identity import Identity, Place, homepage_key, identify
from workbench.kg.importers import FactItem, Item, Node, Provenance, Report, Toolchain, assemble
from workbench.kg.importers.items import UNKNOWN
from workbench.kg.links import INTO, OUT, Flow, Links
from workbench.kg.naming import DataLicence, data_licence, family
from workbench.kg.table import digest

OF_PORTS = {  # what a node says of its ports by number, per side
    "input": ("optional_ports", "companion_ports", "input_states", "side_ports"),
    "output": ("carrying_ports", "output_states"),
}


class Conflict(NamedTuple):
    """A node on which the graphs differ: what each says, as (graph or registry, value)."""

    node: str
    what: str
    said: tuple[tuple[str, str], ...]


class Joined(NamedTuple):
    """The ports of one side of a command that several graphs state. numbers: (graph, item) -> those it belongs to;
    about: what the node says of them."""

    numbers: Mapping[tuple[int, str], set[int]]
    about: Mapping[str, Any]


def joined_ports(
    parts: Sequence[nx.MultiDiGraph], names: Sequence[str], ids: Mapping[Place, str]
) -> tuple[dict[tuple[str, str], Joined], list[Conflict]]:
    """By the side and the id of a command; and where the graphs differ in what it needs."""
    said: defaultdict[tuple[str, str], list[tuple[Place, list[Flow]]]] = defaultdict(list)
    for number, graph in enumerate(parts):
        links = Links(graph)
        for side, ports in (("input", links.takes), ("output", links.gives)):
            for node, flows in ports.items():
                if (number, node) in ids and all(flow.stated for flow in flows):
                    said[side, ids[number, node]].append(((number, node), flows))
    joined, conflicts = {}, []
    for (side, command), stated in said.items():
        if len(stated) > 1:
            joined[side, command] = _joined(stated, ids, side)
            told = [(f"{names[place[0]]} {place[1]}", _needed(place, flows, ids)) for place, flows in stated]
            if side == "input" and len({text for _, text in told}) > 1:
                conflicts.append(Conflict(command, "inputs", tuple(told)))
    return joined, conflicts


def _needed(place: Place, flows: Sequence[Flow], ids: Mapping[Place, str]) -> str:
    """What a command cannot do without, in words."""
    ports = (_items_of(place, flow, ids) for flow in flows if flow.need != OPTIONAL)
    return "; ".join(sorted("|".join(sorted(port)) for port in ports))


def _items_of(place: Place, flow: Flow, ids: Mapping[Place, str]) -> frozenset[str]:
    return frozenset(ids.get((place[0], item), item) for item in flow.formats or flow.kinds)


def _joined(stated: Sequence[tuple[Place, list[Flow]]], ids: Mapping[Place, str], side: str) -> Joined:
    ports: list[set[str]] = []
    voices: list[list[Flow]] = []
    numbers: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
    for place, flows in stated:
        own = [_items_of(place, flow, ids) for flow in flows]
        for flow, items, number in zip(flows, own, _matched(ports, own), strict=True):
            if number == len(ports):
                ports.append(set())
                voices.append([])
            ports[number] |= items
            voices[number].append(flow)
            for item in flow.formats | flow.kinds:
                numbers[place[0], item].add(number)
    return Joined(numbers, _about(voices, len(stated), side))


def _about(voices: Sequence[Sequence[Flow]], graphs: int, side: str) -> dict[str, Any]:
    """What a node says of joined ports: a companion where all say so, left out where one does without."""
    optional = [n for n, some in enumerate(voices) if len(some) < graphs or any(f.need == OPTIONAL for f in some)]
    optional = optional if len(optional) < len(voices) else []
    companions = [n for n, some in enumerate(voices) if {f.need for f in some} == {COMPANION} and n not in optional]
    states = {
        str(n): sorted({state for flow in some for _, states in flow.states for state in states})
        for n, some in enumerate(voices)
        if any(flow.states for flow in some)
    }
    carrying = [n for n, some in enumerate(voices) if any(flow.carries for flow in some)]
    values = (optional, companions, states, []) if side == "input" else (carrying, states)
    return {name: value for name, value in zip(OF_PORTS[side], values, strict=True) if value}


def _matched(ports: list[set[str]], own: list[frozenset[str]]) -> list[int]:
    """For each of a graph's own ports the place among `ports` that it shares most with, each place once; new places
    behind them for those that share nothing."""
    places = [-1] * len(own)
    if ports:
        shared = np.array([[len(port & there) / len(port | there) for there in ports] for port in own])
        for row, column in zip(*linear_sum_assignment(-shared), strict=True):
            places[row] = int(column) if shared[row, column] > 0 else -1
    following = iter(range(len(ports), len(ports) + len(own)))
    return [place if place >= 0 else next(following) for place in places]


SINGLE: dict[str, Callable[[str], str]] = {  # what a thing has one of, and the form in which that is compared
    "license": family,
    "homepage": homepage_key,
    "biotools_id": str.casefold,
}
MATCH_COLUMNS = ("made", "left", "of", "right", "and", "rule", "confidence", "note")


@dataclass(frozen=True)
class Merged:
    """The merged graph, who is who in it, on what its parts differ, and under which licence it may be used."""

    graph: nx.MultiDiGraph
    names: tuple[str, ...]
    identity: Identity
    conflicts: tuple[Conflict, ...]
    licence: DataLicence
    report: Report

    def rows(self) -> Iterator[dict[str, Any]]:
        """The matches as a table: those made first, then the doubtful ones."""
        for made, matches in ((True, self.identity.made), (False, self.identity.doubtful)):
            for match in matches:
                (g, left), (h, right), *how = match
                cells = (made, left, self.names[g], right, self.names[h], *how)
                yield dict(zip(MATCH_COLUMNS, cells, strict=True))


def merge(graphs: Mapping[str, nx.MultiDiGraph], *, at_least: float = 0.5) -> Merged:
    """Merges graphs, given by name; where they differ the first one's word stands first. at_least: see `identify`.

    Provenance lists are united; a fact that states none is given the graph's name. Ports of one command that two
    graphs state are matched by what they take; one that only some of them name becomes optional. Raises `ValueError`
    for a graph with entity types or relations of its own.
    """
    names, parts = tuple(graphs), tuple(graphs.values())
    for graph_name, graph in graphs.items():
        if own := sorted({kind for _, kind in graph.nodes(data="type")} - set(ENTITY_TYPES)):
            raise ValueError(
                f"{graph_name} has types of its own ({', '.join(own)}) and cannot be merged; leave them out"
            )
    identity = identify(parts, at_least=at_least)
    ids = {place: stands[1] for place, stands in identity.stands_for.items()}
    ids |= _apart(parts, ids)
    ports, port_conflicts = joined_ports(parts, names, ids)
    note = Report()
    items = [item for number in range(len(parts)) for item in _items(parts, names, number, ids, ports)]
    merged = assemble(items, note=note, name="merged")
    if axes := {state: axis for part in reversed(parts) for state, axis in part.graph.get("states", {}).items()}:
        merged.graph["states"] = axes
    conflicts = sorted([*_value_conflicts(parts, names, ids), *port_conflicts, *_direction_conflicts(merged)])
    return Merged(merged, names, identity, tuple(conflicts), data_licence(merged), note)


def _items(
    parts: Sequence[nx.MultiDiGraph],
    names: Sequence[str],
    number: int,
    ids: Mapping[Place, str],
    ports: Mapping[tuple[str, str], Joined],
) -> Iterator[Item]:
    graph, default = parts[number], _licence_of(parts[number])
    for node, attributes in graph.nodes(data=True):
        own = ids.get((number, node), node)
        rest = {k: v for k, v in attributes.items() if k not in ("type", "name", "also")}
        for side, names_of in OF_PORTS.items():
            if (side, own) in ports:
                rest = {k: v for k, v in rest.items() if k not in names_of} | dict(ports[side, own].about)
        yield Node(own, attributes["type"], attributes["name"], rest)
    for head, tail, relation, attributes in graph.edges(keys=True, data=True):
        ends = ids.get((number, head), head), ids.get((number, tail), tail)
        sources = [Provenance(**one) for one in attributes.get("provenance", ())]
        stated = attributes.get("ports") or [None]
        side, command, item = ("input", ends[1], head) if relation in INTO else ("output", ends[0], tail)
        if (side, command) in ports and relation in (*INTO, *OUT[:2]):
            stated = sorted(ports[side, command].numbers.get((number, item), ())) or [None]
        for source in sources or [Provenance(names[number], head, default)]:
            yield from (FactItem(ends[0], relation, ends[1], source, port) for port in stated)
    for chain in graph.graph.get("toolchains", ()):
        commands = tuple(ids.get((number, c), c) for c in chain["commands"])
        links = tuple((ids.get((number, a), a), ids.get((number, b), b)) for a, b in chain["links"])
        source = Provenance(chain["registry"], chain["record"], chain["licence"])
        yield Toolchain(chain["id"], chain["name"], links, commands, source)


def _apart(parts: Sequence[nx.MultiDiGraph], ids: Mapping[Place, str]) -> dict[Place, str]:
    """New ids where one id is a node of another type in an earlier graph: both stay."""
    types: dict[str, str] = {}
    found = {}
    for number, graph in enumerate(parts):
        for node, kind in graph.nodes(data="type"):
            own = ids.get((number, node), node)
            if types.setdefault(own, kind) != kind:
                found[number, node] = f"{own} ({kind})"
    return found


def _value_conflicts(
    parts: Sequence[nx.MultiDiGraph], names: Sequence[str], ids: Mapping[Place, str]
) -> Iterator[Conflict]:
    said: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    types: defaultdict[str, set[str]] = defaultdict(set)
    for number, graph in enumerate(parts):
        for node, attributes in graph.nodes(data=True):
            own = ids.get((number, node), node)
            types[node].add(attributes["type"])
            for what in SINGLE:
                if attributes.get(what):
                    said[own, what].append((names[number], str(attributes[what])))
    for (node, what), told in said.items():
        if len({SINGLE[what](value) for _, value in told}) > 1:
            yield Conflict(node, what, tuple(told))
    for node, kinds in types.items():
        if len(kinds) > 1:
            where = [(names[i], g.nodes[node]["type"]) for i, g in enumerate(parts) if node in g]
            yield Conflict(node, "type", tuple(where))


def _direction_conflicts(graph: nx.MultiDiGraph) -> Iterator[Conflict]:
    """Formats that one registry has a command read only and another has it write only."""
    for head, tail, relation, attributes in graph.edges(keys=True, data=True):
        back = "output" if relation == "input" else "output_data"
        if relation in INTO and graph.has_edge(tail, head, back):
            reads = {one["registry"] for one in attributes["provenance"]}
            writes = {one["registry"] for one in graph.edges[tail, head, back]["provenance"]}
            if not reads & writes:
                told = [(registry, f"reads {head}") for registry in sorted(reads)]
                told += [(registry, f"writes {head}") for registry in sorted(writes)]
                yield Conflict(tail, "direction", tuple(told))


def _licence_of(graph: nx.MultiDiGraph) -> str:
    if graph.graph.get("table_digest") == digest():
        return "MIT"  # the table that ships with this package
    known = graph.graph.get("licences") or [UNKNOWN]
    return str(known[0]) if len(known) == 1 else UNKNOWN
