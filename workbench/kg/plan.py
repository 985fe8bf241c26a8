"""Toolchains that lead from what is there to what is wanted: the cheapest first, each really another way.

A plan is a chain over main inputs, along which data keeps its kind and states (`workbench.kg.links`). What a command
needs beside (an index, a reference, a second main input) is named with it and is no step. The search is that of
`workbench.kg.chains`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush

import networkx as nx

from workbench.kg.build import related
from workbench.kg.chains import Chain, Chains, is_a
from workbench.kg.columns import COMPANION, MAIN
from workbench.kg.flows import Flows
from workbench.kg.links import Flow, Links, fits
from workbench.kg.paths import PathError

COSTS = {"standard": 1.0, "common": 1.5, "special": 3.0, "outdated": 5.0, "": 1.5}
"""Of a command by its standing; "" where the graph does not say."""
LIMIT = 160  # flows that a search takes up before it gives the best it has
RETRIEVAL = "operation_2422"  # EDAM: Data retrieval


@dataclass(frozen=True)
class Plan:
    """A chain. commands: in order. needs: per command what else it needs, formats of one port (any will do) each.

    path: node ids from the start to the target; an is_a step where a more general term is taken than was given.
    """

    commands: tuple[str, ...]
    cost: float
    needs: tuple[tuple[frozenset[str], ...], ...]
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plans:
    """Plans, cheapest first. proved: none that is really different and not listed is cheaper than the last, and there
    are no more where fewer were asked for; else the search met its limit."""

    plans: tuple[Plan, ...]
    proved: bool


class Planner:
    """Answers about one graph; everything that depends on the graph alone is made once."""

    def __init__(self, graph: nx.MultiDiGraph):
        self.graph, self.links = graph, Links(graph)
        self.commands = sorted(n for n, kind in graph.nodes(data="type") if kind == "command")
        self._tool_of = dict(related(graph, "command_of"))
        self.cost = self._costs()
        self.flows = Flows(self.links, self.commands, self.cost)
        fetching = self._fetching()
        tools = [frozenset() if c in fetching else frozenset([self._tool_of.get(c, c)]) for c in self.commands]
        self.chains = Chains(self.flows, tools)

    def plans(self, start: str | Iterable[str | Flow], target: str, *, k: int = 1) -> Plans:
        """The `k` cheapest plans that are really different; a plan of no command where the target is there.

        An answer is left out when the tools of an earlier one are all among its tools; those that fetch data do not
        count. So is one that costs more than `WORTH` times the first. start: ids of sources, formats or kinds of data,
        or flows (`Links.flow`).
        Raises `PathError` for a node off the data flow and `ValueError` for k below 1.
        """
        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k!r}")
        there = self._start(start)
        self._typed(target, ("format", "data"), "target")
        found: list[Plan] = []
        for cost, chain in self.chains.search([flow for _, flow in there], target, limit=LIMIT):
            if chain is None:
                return Plans(tuple(found), False)
            found.append(self._spelled(chain, cost, there, target))
            if len(found) == k:
                break
        return Plans(tuple(found), True)

    def reachable(self, start: str | Iterable[str | Flow]) -> list[str]:
        """The formats and kinds of data that can be made from `start`, what lies above them too, sorted."""
        begun = {self.flows.number(flow) for _, flow in self._start(start)}
        # by the number of axes named: a flow that names fewer, and those alike, fits wherever the other does
        waiting = sorted((len(self.flows.flows[number].states), number) for number in begun)
        known: defaultdict[Flow, list[set[tuple[str, frozenset[str]]]]] = defaultdict(list)
        made: set[str] = set()
        while waiting:
            flow = self.flows.flows[number := heappop(waiting)[1]]
            told, before = set(flow.states), known[replace(flow, states=())]
            if any(states <= told for states in before):
                continue
            before.append(told)
            for one in self.flows.after(number):
                after = self.flows.flows[one]
                made |= after.above_formats | after.above_kinds
                if one not in begun:
                    begun.add(one)
                    heappush(waiting, (len(after.states), one))
        return sorted(made)

    def lacking(self, target: str) -> list[tuple[str, frozenset[str]]]:
        """The commands that give the target, what is standard first, each with the formats of a main input."""
        self._typed(target, ("format", "data"), "target")
        givers = [c for c in self.commands if any(is_a(flow, target) for flow in self.links.given(c))]
        mains = {c: next((p for p in self.links.takes.get(c, ()) if p.need == MAIN), None) for c in givers}
        rows = [(self.cost[c], c, port.formats or port.kinds) for c, port in mains.items() if port]
        return [(command, items) for _, command, items in sorted(rows, key=lambda row: row[:2])]

    def _spelled(self, chain: Chain, cost: float, there: list[tuple[str, Flow]], target: str) -> Plan:
        flows = [self.flows.flows[number] for number in chain.flows]
        start = next(node for node, flow in there if self.flows.number(flow) == chain.flows[0])
        path, needs, names = [start], [], tuple(self.commands[number] for number in chain.commands)
        for command, flow in zip(names, flows, strict=False):
            ports = self.links.takes[command]
            port = next(port for port in ports if port.need == MAIN and fits(flow, port))
            path += [*_passed(flow, port.formats or port.kinds), command]
            others = [p for p in ports if p != port and p.need in (MAIN, COMPANION)]
            needs.append(tuple(p.formats or p.kinds for p in others if not any(fits(one, p) for _, one in there)))
        path += _passed(flows[-1], frozenset([target]))
        return Plan(names, cost, tuple(needs), tuple(one for n, one in enumerate(path) if path[n - 1] != one or not n))

    def _costs(self) -> dict[str, float]:
        """By the standing of commands; where none is stated, by how many speak for one: published toolchains that use
        it and registries beyond the first that list its tool. It is standard when many do, special when none does."""
        standing = nx.get_node_attributes(self.graph, "standing")
        voices = Counter(c for chain in self.graph.graph.get("toolchains", ()) for c in set(chain["commands"]))
        for command, tool in self._tool_of.items():
            voices[command] += max(0, len(self.graph.nodes[tool].get("listed", ())) - 1)
        rare, told = COSTS["special"] - COSTS["standard"], any(voices.values())
        voiced = {c: COSTS["standard"] + rare / (1 + voices[c]) if told else COSTS[""] for c in self.commands}
        return {c: COSTS[standing[c]] if standing.get(c) in COSTS else voiced[c] for c in self.commands}

    def _fetching(self) -> set[str]:
        """Commands of tools that retrieve data, and those that read only formats which such commands alone give."""
        kinds = nx.DiGraph((above, below) for below, above in related(self.graph, "operation_is_a"))
        retrieval = {RETRIEVAL, *(nx.descendants(kinds, RETRIEVAL) if RETRIEVAL in kinds else ())}
        tools = {self._tool_of.get(c, c) for c, operation in related(self.graph, "performs") if operation in retrieval}
        fetching = {c for c in self.commands if self._tool_of.get(c, c) in tools}
        given: defaultdict[str, set[bool]] = defaultdict(set)
        for command in self.commands:
            for flow in self.links.gives.get(command, ()):
                for format in flow.formats:
                    given[format].add(command in fetching)
        archive = {format for format, by in given.items() if by == {True}}
        taken = {
            c: {f for p in self.links.takes.get(c, ()) if p.need == MAIN for f in p.formats} for c in self.commands
        }
        return fetching | {c for c, formats in taken.items() if formats and formats <= archive}

    def _start(self, nodes: str | Iterable[str | Flow]) -> list[tuple[str, Flow]]:
        flows: list[tuple[str, Flow]] = []
        for node in [nodes] if isinstance(nodes, str) else nodes:
            if isinstance(node, Flow):
                flows.append((min(node.formats or node.kinds), node))
                continue
            kind = self._typed(node, ("source", "format", "data"), "start")
            if kind == "source":
                flows += [(node, flow) for flow in self.links.gives.get(node, ())]
            else:
                flows.append((node, self.links.flow([node], []) if kind == "format" else self.links.flow([], [node])))
        return flows

    def _typed(self, node: str, types: tuple[str, ...], what: str) -> str:
        kind = str(self.graph.nodes[node]["type"]) if node in self.graph else ""
        if kind not in types:
            rule = " or ".join((", ".join(types[:-1]), types[-1])).replace("data", "kind of data")
            raise PathError(f"{what} must be a {rule} of the graph, got {node!r}")
        return kind


def _passed(flow: Flow, wanted: frozenset[str]) -> list[str]:
    """What goes over of a flow: the one that is wanted by name, else one given and what is wanted above it."""
    for given, above in ((flow.formats, flow.above_formats), (flow.kinds, flow.above_kinds)):
        if given & wanted:
            return [min(given & wanted)]
        if above & wanted:
            return [min(given), min(above & wanted)]
    return [min(flow.formats or flow.kinds)]
