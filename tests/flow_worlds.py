"""Small random graphs of the data flow, and answers about them by trying every set of commands."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import networkx as nx
from hypothesis import strategies as st

ITEMS = [f"format:{letter}" for letter in "abcdef"]


@st.composite
def worlds(draw: st.DrawFn, most: int = 6) -> nx.MultiDiGraph:
    """Six formats with is_a links, one source, up to `most` commands of one to three ports; costs in halves."""
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(ITEMS, type="format")
    graph.add_node("source:s", type="source")
    graph.add_edge("source:s", "format:a", "download_from", relation="download_from")
    for low, high in draw(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=3)):
        if low < high:
            graph.add_edge(ITEMS[high], ITEMS[low], "format_is_a", relation="format_is_a")
    port = st.sets(st.sampled_from(ITEMS), min_size=1, max_size=2)
    for number in range(draw(st.integers(1, most))):
        command = f"command:{number}"
        graph.add_node(command, type="command", cost=draw(st.sampled_from([1.0, 1.0, 0.5, 2.5])))
        wanted: dict[str, list[int]] = {}
        for place, items in enumerate(draw(st.lists(port, min_size=1, max_size=3))):
            for item in items:
                wanted.setdefault(item, []).append(place)
        for item, places in wanted.items():
            graph.add_edge(item, command, "input", relation="input", ports=places)
        for item in draw(st.sets(st.sampled_from(ITEMS), min_size=1, max_size=2)):
            graph.add_edge(command, item, "output", relation="output")
    for node, kind in graph.nodes(data="type"):
        graph.nodes[node].setdefault("name", f"{kind} {node.split(':')[1]}")
    return graph


def costs(graph: nx.MultiDiGraph) -> dict[str, float]:
    return {node: cost for node, cost in graph.nodes(data="cost") if cost is not None}


def made(graph: nx.MultiDiGraph, commands: Iterable[str], there: Iterable[str]) -> tuple[set[str], set[str]]:
    """(items that count as there in the end, all more general ones included; commands that could be run)."""
    is_a = nx.DiGraph((h, t) for h, t, key in graph.edges(keys=True) if key == "format_is_a")

    def above(item: str) -> set[str]:
        return {item} | (nx.descendants(is_a, item) if item in is_a else set())

    has: set[str] = set().union(*(above(item) for item in there))
    done: set[str] = set()
    grows = True
    while grows:
        grows = False
        for command in set(commands) - done:
            ports: dict[int, set[str]] = {}
            for item, _, numbers in graph.in_edges(command, data="ports"):
                for number in numbers:
                    ports.setdefault(number, set()).add(item)
            if all(port & has for port in ports.values()):
                done.add(command)
                has = has.union(*(above(item) for item in graph.successors(command)))
                grows = True
    return has, done


def all_plans(graph: nx.MultiDiGraph, there: Iterable[str], target: str) -> dict[frozenset[str], float]:
    """Every set of commands that makes the target and of which none can be left out, with its cost."""
    commands = [node for node, kind in graph.nodes(data="type") if kind == "command"]
    found: dict[frozenset[str], float] = {}
    for count in range(len(commands) + 1):
        for some in map(frozenset, combinations(commands, count)):
            if target in made(graph, some, there)[0] and not any(plan <= some for plan in found):
                found[some] = sum(costs(graph)[command] for command in some)
    return found


def fewest_given(graph: nx.MultiDiGraph, there: Iterable[str], target: str, free: Iterable[str]) -> int | None:
    """How many of the `free` items must be supplied at least to make the target; None when all are not enough."""
    commands = [node for node, kind in graph.nodes(data="type") if kind == "command"]
    for count in range(len(list(free)) + 1):
        for given in combinations(free, count):
            if target in made(graph, commands, {*there, *given})[0]:
                return count
    return None
