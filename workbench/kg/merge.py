"""Several graphs as one: what is the same becomes one node, facts keep where they are from, conflicts stay visible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from workbench.kg.build import ENTITY_TYPES
from workbench.kg.identity import Identity, Place, homepage_key, identify
from workbench.kg.importers import FactItem, Item, Node, Provenance, Report, Toolchain, assemble
from workbench.kg.importers.items import UNKNOWN
from workbench.kg.joined_ports import OF_PORTS, Conflict, Joined, joined_ports
from workbench.kg.licence import DataLicence, data_licence, family
from workbench.kg.table import digest

SINGLE: dict[str, Callable[[str], str]] = {  # what a thing has one of, and the form in which that is compared
    "license": family,
    "homepage": homepage_key,
    "biotools_id": str.casefold,
}
MATCH_COLUMNS = ("made", "left", "of", "right", "and", "rule", "confidence", "note")
_INPUTS, _OUTPUTS = ("input", "input_data"), ("output", "output_data")


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
    ports, port_conflicts = joined_ports(parts, names, ids)
    note = Report()
    items = [item for number in range(len(parts)) for item in _items(parts, names, number, ids, ports)]
    merged = assemble(items, note=note, name=name)
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
        side, command, item = ("input", ends[1], head) if relation in _INPUTS else ("output", ends[0], tail)
        if (side, command) in ports and relation in (*_INPUTS, *_OUTPUTS):
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
