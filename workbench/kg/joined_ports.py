"""The ports of a command that several graphs state, as one list: matched by what goes through them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from scipy.optimize import linear_sum_assignment

from workbench.kg.identity import Place
from workbench.kg.links import Flow, Links
from workbench.kg.port import COMPANION, OPTIONAL

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
            told = [(f"{names[g]} {node}", _spelled(_needed((g, node), flows, ids))) for (g, node), flows in stated]
            if side == "input" and len({text for _, text in told}) > 1:
                conflicts.append(Conflict(command, "inputs", tuple(told)))
    return joined, conflicts


def _needed(place: Place, flows: Sequence[Flow], ids: Mapping[Place, str]) -> list[frozenset[str]]:
    return [_items_of(place, flow, ids) for flow in flows if flow.need != OPTIONAL]


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


def _spelled(ports: Sequence[frozenset[str]]) -> str:
    return "; ".join(sorted("|".join(sorted(port)) for port in ports))
