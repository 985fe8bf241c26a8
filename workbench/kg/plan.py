"""Toolchains that lead from what is there to what is wanted: the cheapest first, each really another way.

A plan is a chain over main inputs, along which data keeps its kind and states (`workbench.kg.links`). What a command
needs beside (an index, a reference, a second main input) is named with it and is no step. The search is A* (Hart,
Nilsson and Raphael 1968) over what is in hand; its bound is the exact distance on a graph of commands in which a
command that carries data may be followed by all that read its formats, so it never overstates.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import networkx as nx
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from workbench.kg.links import Flow, Links, fits
from workbench.kg.paths import PathError
from workbench.kg.port import COMPANION, MAIN

COSTS = {"standard": 1.0, "common": 1.5, "special": 3.0, "outdated": 5.0, "": 1.5}
"""Of a command by its standing; "" where the graph does not say."""
SILENT = 0.25  # for each axis that an input names and the data says nothing about
GENERAL = 0.25  # where a format fits only as one below what is taken
BY_PRODUCT, LEAST_BY_PRODUCT = 0.3, 0.6  # for each output before the one used, and at most
JOINED = 0.75  # for each further main input that is not there
LIMIT = 600  # flows that a search takes up before it gives the best it has


@dataclass(frozen=True)
class Plan:
    """A chain. commands: in order. needs: per command what else it needs, formats of one port (any will do) each."""

    commands: tuple[str, ...]
    cost: float
    needs: tuple[tuple[frozenset[str], ...], ...]


@dataclass(frozen=True)
class Plans:
    """Plans, cheapest first. proved: none that is really different and not listed is cheaper than the last, and there
    are no more where fewer were asked for; else the search met its limit."""

    plans: tuple[Plan, ...]
    proved: bool


@dataclass(frozen=True)
class _Taken:
    """A port of a command that takes something, and at what cost beyond the command's own."""

    command: str
    port: Flow


class Planner:
    """Answers about one graph; everything that depends on the graph alone is made once.

    costs: command -> cost above 0, in place of `COSTS`.
    """

    def __init__(self, graph: nx.MultiDiGraph, *, costs: Mapping[str, float] | None = None):
        self.graph, self.links = graph, Links(graph)
        self.commands = sorted(n for n, kind in graph.nodes(data="type") if kind == "command")
        standing = nx.get_node_attributes(graph, "standing")
        self.cost = {c: COSTS.get(standing.get(c, ""), COSTS[""]) for c in self.commands} | dict(costs or {})
        self.tool_of = {c: t for c, t, key in graph.edges(keys=True) if key == "command_of"}
        self.number = {command: i for i, command in enumerate(self.commands)}
        self._takers: defaultdict[str, list[_Taken]] = defaultdict(list)
        for command in self.commands:
            for port in self.links.takes.get(command, ()):
                for item in (port.formats or port.kinds) if port.need == MAIN else ():
                    self._takers[item].append(_Taken(command, port))
        self._after: dict[Flow, list[tuple[float, str, Flow]]] = {}
        self._backwards = self._optimistic()

    def plans(self, start: str | Iterable[str], target: str, *, k: int = 1, limit: int = LIMIT) -> Plans:
        """The `k` cheapest plans that are really different; a plan of no command where the target is there.

        An answer is left out when the tools of an earlier one are all among its tools. start: ids of sources, formats
        or kinds of data. Raises `PathError` for a node off the data flow and `ValueError` for k below 1.
        """
        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k!r}")
        there, wanted = self._start(start), self._target(target)
        found: list[Plan] = []
        proved = True
        for plan in self._search(there, wanted, limit):
            if plan is None:
                proved = False
            elif not any(self._tools(other) <= self._tools(plan) for other in found):
                found.append(plan)
            if len(found) == k:
                break
        return Plans(tuple(found), proved)

    def reachable(self, start: str | Iterable[str]) -> list[str]:
        """The formats and kinds of data that can be made from `start`, what lies above them too, sorted."""
        waiting, seen = list(self._start(start)), set()
        made: set[str] = set()
        while waiting:
            flow = waiting.pop()
            if flow not in seen:
                seen.add(flow)
                after = [given for _, _, given in self.after(flow)]
                made.update(item for given in after for item in (*given.above_formats, *given.above_kinds))
                waiting += after
        return sorted(made)

    def lacking(self, target: str) -> list[tuple[str, frozenset[str]]]:
        """The commands that give the target, what is standard first, each with the formats of a main input."""
        wanted = self._target(target)
        givers = [c for c in self.commands if any(_is(flow, wanted) for flow in self.links.given(c))]
        mains = {c: next((p for p in self.links.takes.get(c, ()) if p.need == MAIN), None) for c in givers}
        rows = [(self.cost[c], c, port.formats or port.kinds) for c, port in mains.items() if port]
        return [(command, items) for _, command, items in sorted(rows, key=lambda row: row[:2])]

    def after(self, flow: Flow) -> list[tuple[float, str, Flow]]:
        """What can be made of a flow in one step: (cost, command, what is in hand then)."""
        if flow not in self._after:
            best: dict[tuple[str, Flow], float] = {}
            for taken in self._taking(flow):
                first = self.cost[taken.command] + _unlike(flow, taken.port)
                for out in self.links.gives.get(taken.command, ()):
                    given = self.links.carry(flow, out) if out.carries else out
                    cost = first + min(BY_PRODUCT * max(out.number, 0), LEAST_BY_PRODUCT)
                    key = taken.command, given
                    best[key] = min(cost, best.get(key, np.inf))
            self._after[flow] = [(cost, *key) for key, cost in best.items()]
        return self._after[flow]

    def needs(self, command: str, port: Flow | None, there: Iterable[Flow]) -> tuple[frozenset[str], ...]:
        """What a command needs beside the input that the chain comes in by, less what is there."""
        others = [p for p in self.links.takes.get(command, ()) if p != port and p.need in (MAIN, COMPANION)]
        return tuple(p.formats or p.kinds for p in others if not any(fits(flow, p) for flow in there))

    def _taking(self, flow: Flow) -> Iterator[_Taken]:
        """The main inputs that take a flow, each once."""
        items: Iterable[str] = flow.above_formats or flow.above_kinds
        if not flow.formats:  # somebody has a kind of data, in whatever format
            items = self._takers.keys()
        seen: set[tuple[str, int]] = set()
        for item in sorted(items):
            for taken in self._takers.get(item, ()):
                key = taken.command, taken.port.number
                if key not in seen and fits(flow, taken.port):
                    seen.add(key)
                    yield taken

    def _optimistic(self) -> csr_array:
        """Commands by commands, row after column: the cost of the row's command where it may follow the column's."""
        heads, tails, costs = [], [], []
        for head in self.commands:
            followers: set[str] = set()
            main = next((port for port in self.links.takes.get(head, ()) if port.need == MAIN), None)
            for flow in self.links.gives.get(head, ()):
                for item in flow.above_formats or flow.above_kinds:
                    for one in self._takers.get(item, ()):
                        if one.command not in followers and self._may_follow(flow, main, one.port):
                            followers.add(one.command)
            heads += [self.number[head]] * len(followers)
            tails += [self.number[tail] for tail in followers]
            costs += [self.cost[tail] for tail in followers]
        size = len(self.commands)
        return csr_array((costs, (tails, heads)), shape=(size, size))

    def _may_follow(self, out: Flow, main: Flow | None, into: Flow) -> bool:
        """Whether what a port gives may fit another for some data that went in."""
        if not out.carries or main is None:
            return fits(out, into)
        if (
            main.kinds
            and into.kinds
            and main.above_kinds.isdisjoint(into.kinds)
            and main.kinds.isdisjoint(into.above_kinds)
        ):
            return False
        wanted = dict(into.states)
        return all(axis not in wanted or some & wanted[axis] for axis, some in out.states)

    def _bounds(self, wanted: tuple[frozenset[str], bool]) -> np.ndarray:
        """Per command the least cost still to be paid after it, (commands,) float64; infinite where none leads on."""
        ends = [
            self.number[c] for c in self.commands if any(self._may_be(f, wanted) for f in self.links.gives.get(c, ()))
        ]
        if not ends:
            return np.full(len(self.commands), np.inf)
        return dijkstra(self._backwards, indices=ends, min_only=True)

    def _may_be(self, flow: Flow, wanted: tuple[frozenset[str], bool]) -> bool:
        return _is(flow, wanted) or (flow.carries and not wanted[1])

    def _search(self, there: list[Flow], wanted: tuple[frozenset[str], bool], limit: int) -> Iterator[Plan | None]:
        """Plans, cheapest first; None when the limit ends the search."""
        if any(_is(flow, wanted) for flow in there):
            yield Plan((), 0.0, ())
            return
        bounds, order, taken = self._bounds(wanted), count(), 0
        heap: list[tuple[float, int, float, Flow, tuple[str, ...]]] = [
            (0.0, next(order), 0.0, flow, ()) for flow in there
        ]
        visits: defaultdict[Flow, int] = defaultdict(int)
        while heap:
            _, _, spent, flow, commands = heapq.heappop(heap)
            if commands and _is(flow, wanted):
                yield self._spelled(commands, spent, there)
                continue
            visits[flow] += 1
            if visits[flow] > VISITS:
                continue
            taken += 1
            if taken > limit:
                yield None
                return
            for cost, command, given in self.after(flow):
                left = 0.0 if _is(given, wanted) else float(bounds[self.number[command]])
                if np.isfinite(left) and command not in commands:
                    cost += spent + self._joined(command, flow, there)
                    heapq.heappush(heap, (cost + left, next(order), cost, given, (*commands, command)))

    def _joined(self, command: str, flow: Flow, there: list[Flow]) -> float:
        mains = [port for port in self.links.takes.get(command, ()) if port.need == MAIN and not fits(flow, port)]
        return JOINED * sum(not any(fits(one, port) for one in there) for port in mains)

    def _spelled(self, commands: tuple[str, ...], cost: float, there: list[Flow]) -> Plan:
        flows, needs = list(there), []
        for command in commands:
            mains = [p for p in self.links.takes.get(command, ()) if p.need == MAIN]
            port = next((p for p in mains if any(fits(flow, p) for flow in flows)), None)
            needs.append(self.needs(command, port, there))
            flows = [given for flow in flows for _, name, given in self.after(flow) if name == command]
        return Plan(commands, cost, tuple(needs))

    def _tools(self, plan: Plan) -> frozenset[str]:
        return frozenset(self.tool_of.get(command, command) for command in plan.commands)

    def _start(self, nodes: str | Iterable[str]) -> list[Flow]:
        flows: list[Flow] = []
        for node in [nodes] if isinstance(nodes, str) else nodes:
            kind = self.graph.nodes[node]["type"] if node in self.graph else ""
            if kind == "source":
                flows += self.links.gives.get(node, [])
            elif kind in ("format", "data"):
                flows.append(self.links.flow([node], []) if kind == "format" else self.links.flow([], [node]))
            else:
                raise PathError(f"start must be a source, format or kind of data of the graph, got {node!r}")
        return flows

    def _target(self, node: str) -> tuple[frozenset[str], bool]:
        """The node, and whether it is a kind of data."""
        kind = self.graph.nodes[node]["type"] if node in self.graph else ""
        if kind not in ("format", "data"):
            raise PathError(f"target must be a format or kind of data of the graph, got {node!r}")
        return frozenset([node]), kind == "data"


VISITS = 4  # times a search goes on from the same flow: as many ways to it are told apart


def _is(flow: Flow, wanted: tuple[frozenset[str], bool]) -> bool:
    return not wanted[0].isdisjoint(flow.above_kinds if wanted[1] else flow.above_formats)


def _unlike(flow: Flow, port: Flow) -> float:
    """The cost of a fit that is not plain: states that are not told, a format that is only like the one taken."""
    told = {axis for axis, _ in flow.states}
    silent = sum(axis not in told for axis, _ in port.states)
    general = bool(flow.formats and port.formats) and flow.formats.isdisjoint(port.formats)
    return SILENT * silent + GENERAL * general
