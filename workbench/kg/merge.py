"""Several graphs as one: what is the same becomes one node, facts keep where they are from, conflicts stay visible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from scipy.optimize import linear_sum_assignment

from workbench.kg.build import ENTITY_TYPES
from workbench.kg.data_licence import DataLicence, data_licence
from workbench.kg.identity import Identity, Place, homepage_key, identify
from workbench.kg.importers import FactItem, Item, Node, Provenance, Report, Toolchain, assemble
from workbench.kg.importers.licences import UNKNOWN
from workbench.kg.licence import family
from workbench.kg.ports import steps
from workbench.kg.table import digest

SINGLE: dict[str, Callable[[str], str]] = {  # what a thing has one of, and the form in which that is compared
    "license": family,
    "homepage": homepage_key,
    "biotools_id": str.casefold,
}
MATCH_COLUMNS = ("made", "left", "of", "right", "and", "rule", "confidence", "note")
_INPUTS = ("input", "input_data")


class Conflict(NamedTuple):
    """A node on which the graphs differ: what each says, as (graph or registry, value)."""

    node: str
    what: str
    said: tuple[tuple[str, str], ...]


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
                (g, left), (h, right) = match.left, match.right
                yield {
                    "made": made, "left": left, "of": self.names[g], "right": right, "and": self.names[h],
                    "rule": match.rule, "confidence": match.confidence, "note": match.note,
                }  # fmt: skip


def merge(graphs: Mapping[str, nx.MultiDiGraph], *, at_least: float = 0.5, name: str = "merged") -> Merged:
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
    ports, port_conflicts = _ports(parts, names, ids)
    note = Report()
    items = [item for number in range(len(parts)) for item in _items(parts, names, number, ids, ports)]
    merged = assemble(items, note=note, name=name)
    conflicts = sorted([*_value_conflicts(parts, names, ids), *port_conflicts, *_direction_conflicts(merged)])
    return Merged(merged, names, identity, tuple(conflicts), data_licence(merged), note)


def _items(
    parts: Sequence[nx.MultiDiGraph],
    names: Sequence[str],
    number: int,
    ids: Mapping[Place, str],
    ports: Mapping[str, _Joined],
) -> Iterator[Item]:
    graph, default = parts[number], _licence_of(parts[number])
    for node, attributes in graph.nodes(data=True):
        own = ids.get((number, node), node)
        rest = {k: v for k, v in attributes.items() if k not in ("type", "name", "also", "optional_ports")}
        if own in ports:
            rest["optional_ports"] = list(ports[own].optional)
        yield Node(own, attributes["type"], attributes["name"], rest)
    for head, tail, relation, attributes in graph.edges(keys=True, data=True):
        ends = ids.get((number, head), head), ids.get((number, tail), tail)
        sources = [Provenance(**one) for one in attributes.get("provenance", ())]
        stated = attributes.get("ports") or [None]
        if relation in _INPUTS and ends[1] in ports:
            stated = sorted(ports[ends[1]].numbers[number, tail, head]) or [None]
        for source in sources or [Provenance(names[number], head, default)]:
            yield from (FactItem(ends[0], relation, ends[1], source, port) for port in stated)
    for chain in graph.graph.get("toolchains", ()):
        commands = tuple(ids.get((number, c), c) for c in chain["commands"])
        links = tuple((ids.get((number, a), a), ids.get((number, b), b)) for a, b in chain["links"])
        source = Provenance(chain["registry"], chain["record"], chain["licence"])
        yield Toolchain(chain["id"], chain["name"], links, commands, source)


@dataclass
class _Joined:
    """The ports of a command that several graphs state: (graph, its own id there, item) -> numbers; optional ones."""

    numbers: defaultdict[tuple[int, str, str], set[int]]
    optional: tuple[int, ...] = ()


def _ports(
    parts: Sequence[nx.MultiDiGraph], names: Sequence[str], ids: Mapping[Place, str]
) -> tuple[dict[str, _Joined], list[Conflict]]:
    said: defaultdict[str, list[tuple[Place, list[frozenset[str]]]]] = defaultdict(list)
    for number, graph in enumerate(parts):
        for step in steps(graph):
            place = (number, step.command)
            if place in ids and step.needs:
                own = [frozenset(ids.get((number, item), item) for item in port) for port in step.needs]
                said[ids[place]].append((place, own))
    joined, conflicts = {}, []
    for command, stated in said.items():
        if len(stated) > 1:
            joined[command] = _joined(parts, stated, ids)
            if len({_spelled(own) for _, own in stated}) > 1:
                told = [(f"{names[g]} {node}", _spelled(own)) for (g, node), own in stated]
                conflicts.append(Conflict(command, "inputs", tuple(told)))
    return joined, conflicts


def _joined(
    parts: Sequence[nx.MultiDiGraph], stated: list[tuple[Place, list[frozenset[str]]]], ids: Mapping[Place, str]
) -> _Joined:
    ports: list[set[str]] = []
    voices: list[int] = []
    numbers: defaultdict[tuple[int, str, str], set[int]] = defaultdict(set)
    for (graph, command), own in stated:
        places = _matched(ports, own)
        for port, place in zip(own, places, strict=True):
            if place == len(ports):
                ports.append(set())
                voices.append(0)
            ports[place] |= port
            voices[place] += 1
            for item, _, key in parts[graph].in_edges(command, keys=True):
                if key in _INPUTS and ids.get((graph, item), item) in port:
                    numbers[graph, command, item].add(place)
    optional = tuple(place for place, count in enumerate(voices) if count < len(stated))
    return _Joined(numbers, optional if len(optional) < len(ports) else ())


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
        if relation in _INPUTS and graph.has_edge(tail, head, back):
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


def _spelled(ports: Sequence[frozenset[str]]) -> str:
    return "; ".join(sorted("|".join(sorted(port)) for port in ports))
