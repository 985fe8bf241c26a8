"""What commands need and give: the data flow as hyper-edges, all inputs together on one side, the outputs on the other.

A command needs **all** of its input ports; a port is met by **any** of its alternatives. Registries state ports, as the
edge attribute `ports`; a plain table does not, and there a rule says which formats stand for one another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

Port = frozenset[str]  # formats or kinds of data, any of which will do

RULES = ("declared", "any", "all")
_INPUTS = {"input": "format", "input_data": "data"}
_OUTPUTS = ("output", "output_data")


@dataclass(frozen=True)
class Step:
    """A command as a hyper-edge: every port of `needs` must be met, everything in `gives` is there afterwards."""

    command: str
    needs: tuple[Port, ...]
    gives: tuple[str, ...]


def steps(graph: nx.MultiDiGraph, *, rule: str = "declared") -> list[Step]:
    """The commands of the graph as hyper-edges, sorted.

    rule: `declared` takes the ports that the edges state (attribute `ports`, numbers) without the `optional_ports` of
    the command's node; where a command states none, formats that hold a common kind of data (`encodes`) are one port.
    `any` asks for one input of all, as a path does; `all` for each. A command's kinds of data count as ports only
    where it names no format. Raises `ValueError` for another rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
    taken: defaultdict[str, list[tuple[str, str, Mapping[str, Any]]]] = defaultdict(list)
    given: defaultdict[str, set[str]] = defaultdict(set)
    holds: defaultdict[str, set[str]] = defaultdict(set)
    for head, tail, relation, attributes in graph.edges(keys=True, data=True):
        if relation in _INPUTS:
            taken[tail].append((head, relation, attributes))
        elif relation in _OUTPUTS:
            given[head].add(tail)
        elif relation == "encodes":
            holds[head].add(tail)
    commands = sorted(node for node, kind in graph.nodes(data="type") if kind == "command")
    optional = {node: frozenset(numbers) for node, numbers in graph.nodes(data="optional_ports") if numbers}
    none: frozenset[int] = frozenset()
    return [
        Step(node, needs_of(taken[node], rule, holds, optional.get(node, none)), tuple(sorted(given[node])))
        for node in commands
    ]


def needs_of(
    inputs: Sequence[tuple[str, str, Mapping[str, Any]]],
    rule: str,
    holds: Mapping[str, set[str]],
    optional: frozenset[int],
) -> tuple[Port, ...]:
    """The ports of one command. inputs: (item, relation, the edge's attributes). holds: format -> kinds of data."""
    stated = [(item, relation, how) for item, relation, how in inputs if how.get("ports")]
    if rule == "declared" and stated:
        return _ordered(_declared(stated, optional))
    formats = {item for item, relation, _ in inputs if relation == "input"}
    items = formats or {item for item, _, _ in inputs}
    if rule == "any":
        return (frozenset(items),) if items else ()
    return _ordered(_alike(formats, holds) if rule == "declared" and formats else [{item} for item in items])


def _declared(inputs: Sequence[tuple[str, str, Mapping[str, Any]]], optional: frozenset[int]) -> Iterable[set[str]]:
    """One set a port: its formats, or its kinds of data where it names no format; optional ports are left out."""
    ports: defaultdict[int, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for item, relation, how in inputs:
        for number in set(how["ports"]) - optional:
            ports[number][relation].add(item)
    return [port["input"] or port["input_data"] for port in ports.values()]


def _alike(formats: set[str], holds: Mapping[str, set[str]]) -> Iterable[set[str]]:
    """Formats that hold a common kind of data, directly or by way of a third format, are alternatives."""
    same = nx.Graph()
    same.add_nodes_from(formats)
    same.add_edges_from((item, ("data", kind)) for item in formats for kind in holds.get(item, ()))
    return [group & formats for group in nx.connected_components(same)]


def _ordered(ports: Iterable[Iterable[str]]) -> tuple[Port, ...]:
    return tuple(sorted({frozenset(port) for port in ports}, key=sorted))
