"""What can be made of what, one command at a time, and the least that is still to be paid: the ground of a plan.

A flow (`workbench.kg.links.Flow`) is numbered once, however many ports give it. The bound on what is still to be paid
is the exact distance on the flows without their states: there every step of a plan is possible, at its cost or less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from workbench.kg.links import LASTING, TABLES, Flow, Links, fits, lasting
from workbench.kg.port import MAIN

SILENT = 0.25  # for each axis that an input names and the data says nothing about
GENERAL = 0.25  # where a format fits only as one below what is taken
BY_PRODUCT, LEAST_BY_PRODUCT = 0.3, 0.6  # for each output before the one used, and at most
NONE = np.zeros((0, 3))
UNSTATED = "?"  # in place of its kinds where a command states no ports
ANY = ""  # in place of a format or a kind of data that a port does not state


@dataclass(frozen=True)
class Steps:
    """What may follow a flow, one entry a way: costs (ways,) float64; commands, flows and the same flows without
    states (ways,) int64, as numbers; of the last, their places in `Flows.left`."""

    costs: np.ndarray
    commands: np.ndarray
    flows: np.ndarray
    bare: np.ndarray


class Flows:
    """The flows of a graph and the steps between them; made where they are asked for, and then kept.

    commands: ids, in the order of their numbers. cost: command -> its cost.
    """

    def __init__(self, links: Links, commands: Sequence[str], cost: Mapping[str, float]):
        self.links, self.commands, self.cost = links, commands, cost
        self.flows: list[Flow] = []
        self._numbers: dict[Flow, int] = {}
        self._bare: list[int] = []
        self._ports: list[tuple[int, Flow]] = []
        self._takers: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._made: list[tuple[np.ndarray, list[tuple[int, float, Flow]]]] = []
        self._steps: dict[int, Steps] = {}
        self._plain: set[int] = set()
        self._taking: dict[int, list[int]] = {}
        self._outs = [[(self.number(out), _late(out), out) for out in links.gives.get(c, ())] for c in commands]
        for place, command in enumerate(commands):
            for port in links.takes.get(command, ()):
                if port.need == MAIN:
                    self._note(place, port)
        self._carried: dict[tuple[int, int], int] = {}
        self._lasting: dict[tuple[int, int], int] = {}
        self._ends: defaultdict[str, list[int]] = defaultdict(list)
        self._place: dict[int, int] = {}
        self._backwards = self._bound_graph()

    def number(self, flow: Flow) -> int:
        """The number of a flow, whatever port gives it."""
        plain = replace(flow, number=0 if flow.stated else -1, need=MAIN)
        if plain not in self._numbers:
            number = self._numbers[plain] = len(self.flows)
            self.flows.append(plain)
            self._bare.append(number)
            if plain.states:
                self._bare[number] = self.number(replace(plain, states=()))
        return self._numbers[plain]

    def after(self, number: int) -> Steps:
        """What can be made of a flow in one step; a command that takes it by several inputs stands there for each."""
        if number not in self._steps:
            ports = self.taking(number)
            flow = self.flows[number]
            first = np.array([self._first(into, flow, silent=SILENT) for into in ports])
            made = [self._made[into] for into in ports]
            rows = np.concatenate([NONE, *(fixed for fixed, _ in made)])
            costs = np.repeat(first, [len(fixed) for fixed, _ in made]) + rows[:, 2]
            more = [
                (self._ports[into][0], self._carry(number, out, given), cost + late)
                for into, cost, (_, carrying) in zip(ports, first.tolist(), made, strict=True)
                for out, late, given in carrying
            ]
            carried = np.array(more, dtype=np.float64).reshape(-1, 3)
            ends = np.concatenate([rows[:, :2], carried[:, :2]]).astype(np.int64)
            if any(axis in LASTING for axis, _ in flow.states):
                ends[: len(rows), 1] = [self._last(number, out) for out in ends[: len(rows), 1].tolist()]
            bare = np.array([self._place_of(flow) for flow in ends[:, 1].tolist()], dtype=np.int64)
            self._steps[number] = Steps(np.concatenate([costs, carried[:, 2]]), ends[:, 0], ends[:, 1], bare)
        return self._steps[number]

    def taking(self, number: int) -> list[int]:
        """The places of the main inputs that take a flow."""
        if number not in self._taking:
            flow = self.flows[number]
            found: set[int] = set()
            for format in (*flow.above_formats, ANY) if flow.formats else tuple(self._takers):
                for kind in self._kinds(flow, format):
                    found.update(self._takers[format].get(kind, ()))
            plain = bool(flow.kinds) and flow.stated  # then the look-up has judged all but the states
            self._taking[number] = [
                into for into in sorted(found) if (plain and into in self._plain) or fits(flow, self._ports[into][1])
            ]
        return self._taking[number]

    def _kinds(self, flow: Flow, format: str) -> Iterable[str]:
        """Under which kinds inputs stand that may take a flow in a format; one of tables links by its kind alone."""
        if not flow.stated or not (flow.kinds or format in TABLES):
            return tuple(self._takers.get(format, ()))
        return (*flow.above_kinds, UNSTATED, *([ANY] if format not in TABLES or not flow.kinds else []))

    def _first(self, into: int, flow: Flow, *, silent: float = 0.0) -> float:
        """The cost of a command that takes a flow by a main input: its own, and that of a fit which is not plain:
        states that are not told, a format that is only below the one taken."""
        command, port = self._ports[into]
        general = GENERAL * bool(flow.formats and port.formats and flow.formats.isdisjoint(port.formats))
        untold = len(dict(port.states).keys() - dict(flow.states).keys()) if silent and port.states else 0
        return self.cost[self.commands[command]] + general + silent * untold

    def left(self, target: str) -> np.ndarray | None:
        """Per flow without states the least cost of a chain from it to what is, or lies below, the target; infinite
        where none leads there. (flows known from the start + 1,) float64; None: nothing gives the target."""
        ends = self._ends.get(target)
        if not ends:
            return None
        return np.append(dijkstra(self._backwards, indices=ends, min_only=True)[: len(self._place)], 0.0)

    def _place_of(self, number: int) -> int:
        """Where a flow without its states stands in `left`; the last place, of no cost, for one not known there."""
        return self._place.get(self._bare[number], len(self._place))

    def _note(self, command: int, port: Flow) -> None:
        for format in port.formats or (ANY,):
            for kind in (port.kinds or (ANY,)) if port.stated else (UNSTATED,):
                self._takers[format][kind].append(len(self._ports))
        if port.stated and port.kinds and not port.states:
            self._plain.add(len(self._ports))
        self._ports.append((command, port))
        outs = self._outs[command]
        fixed = [(command, out, late) for out, late, flow in outs if not flow.carries]
        carrying = [out for out in outs if out[2].carries]
        self._made.append((np.array(fixed, dtype=np.float64).reshape(-1, 3), carrying))

    def _carry(self, number: int, out: int, flow: Flow) -> int:
        if (number, out) not in self._carried:
            self._carried[number, out] = self.number(replace(self.links.carry(self.flows[number], flow), carries=False))
        return self._carried[number, out]

    def _last(self, number: int, out: int) -> int:
        """The number of what is made of a flow: that of the output, with what lasts of the flow's states."""
        if (number, out) not in self._lasting:
            self._lasting[number, out] = self.number(lasting(self.flows[number], self.flows[out]))
        return self._lasting[number, out]

    def _bound_graph(self) -> csr_array:
        """Flows without states, then main inputs; a row after a column that leads to it, at the least cost."""
        waiting = [
            self._bare[self.number(out)] for outs in self.links.gives.values() for out in outs if not out.carries
        ]
        edges: dict[tuple[int, int], float] = {}
        for number in waiting:  # grows while it is read
            if number in self._place:
                continue
            here = self._place[number] = len(self._place)
            for item in self.flows[number].above_formats | self.flows[number].above_kinds:
                self._ends[item].append(here)
            for into in self.taking(number):
                command = self._ports[into][0]
                cost = edges[here, -1 - into] = self._first(into, self.flows[number])
                for out, late, flow in self._outs[command]:
                    if flow.carries:
                        bare = self._bare[self._carry(number, out, flow)]
                        edges[here, -1 - len(self._ports) - bare] = cost + late
                        waiting.append(bare)
        return self._matrix(edges)

    def _matrix(self, edges: Mapping[tuple[int, int], float]) -> csr_array:
        size, inputs = len(self._place), len(self._ports)
        rows = [size - 1 - end if end >= -inputs else self._place[-1 - inputs - end] for _, end in edges]
        columns, costs = [here for here, _ in edges], list(edges.values())
        for into, (command, _) in enumerate(self._ports):
            for out, late, flow in self._outs[command]:
                if not flow.carries:
                    rows.append(self._place[self._bare[out]])
                    columns.append(size + into)
                    costs.append(max(late, LEAST))
        found: dict[tuple[int, int], float] = {}
        for *key, cost in zip(rows, columns, costs, strict=True):
            found[key[0], key[1]] = min(cost, found.get((key[0], key[1]), np.inf))
        ends = np.array(list(found), dtype=np.int64).reshape(-1, 2).T
        return csr_array((list(found.values()), tuple(ends)), shape=(size + inputs, size + inputs))


LEAST = 1e-9  # of an edge of the bound: one of cost 0 is none to a sparse matrix


def _late(out: Flow) -> float:
    return min(BY_PRODUCT * max(out.number, 0), LEAST_BY_PRODUCT)
