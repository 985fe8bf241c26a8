"""What can be made of what, one command at a time: the ground of a plan.

A flow (`workbench.kg.links.Flow`) is numbered once, however many ports give it. Main inputs are numbered too and stand
under keys, pairs of a format and a kind of data, by which a flow finds those that take it without a test of each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from workbench.kg.columns import MAIN
from workbench.kg.links import LASTING, TABLES, Flow, Links, fits, lasting

SILENT = 0.25  # for each axis that an input names and the data says nothing about
GENERAL = 0.25  # where a format fits only as one below what is taken
VAGUE = 1.5  # where nothing but a format of tables says that it fits
BY_PRODUCT, LEAST_BY_PRODUCT = 0.3, 0.6  # for each output before the one used, and at most
KEPT = 4096  # flows of which it is kept what takes them
ANY, NONE, SOME, UNSTATED = "*", "", "+", "?"  # in keys: whatever it is; not stated; stated, not this; no ports known

Key = tuple[str, str]  # a format and a kind of data, or a word of the line above


class Steps(NamedTuple):
    """What may follow a flow, a row each, (rows,). by: the place among the inputs that take it; costs: float64, with
    the command's; flows: what is given, by number; bare: the same without states."""

    by: np.ndarray
    costs: np.ndarray
    flows: np.ndarray
    bare: np.ndarray


class Taken(NamedTuple):
    """What takes a flow. inputs: numbers (inputs,) int64, ascending; commands: theirs; costs: of the command and of a
    fit that is not plain, float64. carried: the steps by which the flow is carried on. lasts: whether what is made of
    it by others is still of what it was of."""

    inputs: np.ndarray
    commands: np.ndarray
    costs: np.ndarray
    carried: Steps
    lasts: bool


class Flows:
    """The flows of a graph and what takes them; made where they are asked for.

    commands: ids, in the order of their numbers. cost: command -> its cost. Columns: command, of a main input; begins,
    counts: of a command, its stretch of steps that carry nothing; of such a step ends, given, late: the flow, the flow
    without states, and what it costs that it is a by-product.
    """

    def __init__(self, links: Links, commands: Sequence[str], cost: Mapping[str, float]):
        self.links = links
        self.flows: list[Flow] = []
        self.bare: list[int] = []  # per flow, the number of the one without states
        self._numbers: dict[tuple[object, ...], int] = {}
        self._after: dict[tuple[int, int], int] = {}
        self.cost = np.array([cost[c] for c in commands])
        mains = [[port for port in links.takes.get(c, ()) if port.need == MAIN] for c in commands]
        self.ports = [port for ports in mains for port in ports]
        self.mains = np.array([len(ports) for ports in mains], dtype=np.int64)
        self.command = np.repeat(np.arange(len(commands)), self.mains)
        self._fill_steps([links.gives.get(c, []) for c in commands])
        self._fill_keys()
        self.taking = lru_cache(KEPT)(self._taking)

    def _fill_steps(self, given: Sequence[Sequence[Flow]]) -> None:
        fixed = [[out for out in outs if not out.carries] for outs in given]
        self.carrying = [[(_late(out), self.number(out)) for out in outs if out.carries] for outs in given]
        self._carries = np.array([bool(outs) for outs in self.carrying], dtype=bool)
        self.counts = np.array([len(outs) for outs in fixed], dtype=np.int64)
        self.begins = np.cumsum(self.counts) - self.counts
        self.ends = np.array([self.number(out) for outs in fixed for out in outs], dtype=np.int64)
        self.given = np.array([self.bare[number] for number in self.ends.tolist()], dtype=np.int64)
        self.late = np.array([_late(out) for outs in fixed for out in outs])

    def _fill_keys(self) -> None:
        takers: defaultdict[Key, list[int]] = defaultdict(list)
        for number, port in enumerate(self.ports):
            for key in _stands(port):
                takers[key].append(number)
        self.takers = {key: np.array(inputs) for key, inputs in takers.items()}
        self._stateful = np.array([bool(port.states) for port in self.ports], dtype=bool)

    def number(self, flow: Flow) -> int:
        """The number of a flow, whatever port gives it."""
        plain = (flow.formats, flow.kinds, flow.states, flow.stated, flow.carries)
        if plain not in self._numbers:
            number = self._numbers[plain] = len(self.flows)
            self.flows.append(replace(flow, number=0 if flow.stated else -1, need=MAIN))
            self.bare.append(number)
            if flow.states:
                self.bare[number] = self.number(replace(flow, states=()))
        return self._numbers[plain]

    def _taking(self, number: int) -> Taken:
        flow = self.flows[number]
        fit = np.full(len(self.ports), np.inf)
        for key, cost in looks(flow):
            if key in self.takers:
                fit[self.takers[key]] = np.minimum(fit[self.takers[key]], cost)
        inputs = np.flatnonzero(np.isfinite(fit))
        costs = self.cost[self.command[inputs]] + fit[inputs]
        told, fitting = {axis for axis, _ in flow.states}, np.ones(len(inputs), dtype=bool)
        for place in np.flatnonzero(self._stateful[inputs]).tolist():
            port = self.ports[inputs[place]]
            fitting[place] = fits(flow, port)
            costs[place] += SILENT * sum(axis not in told for axis, _ in port.states)
        inputs, costs = inputs[fitting], costs[fitting]
        commands = self.command[inputs]
        lasts = any(axis in LASTING for axis in told)
        return Taken(inputs, commands, costs, self._carried(number, commands, costs), lasts)

    def _carried(self, number: int, commands: np.ndarray, costs: np.ndarray) -> Steps:
        rows = [
            (place, costs[place] + late, self._made(number, out, self._carry))
            for place in np.flatnonzero(self._carries[commands]).tolist()
            for late, out in self.carrying[commands[place]]
        ]
        by, costs, flows = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        bare = [self.bare[flow] for *_, flow in rows]
        return Steps(by.astype(np.int64), costs, flows.astype(np.int64), np.array(bare, dtype=np.int64))

    def last(self, number: int, out: int) -> int:
        """The number of what is made of a flow and not carried: the output's, with what lasts of the flow's states."""
        return self._made(number, out, lasting)

    def _made(self, number: int, out: int, make: Callable[[Flow, Flow], Flow]) -> int:
        if (number, out) not in self._after:
            self._after[number, out] = self.number(make(self.flows[number], self.flows[out]))
        return self._after[number, out]

    def _carry(self, flow: Flow, out: Flow) -> Flow:
        return replace(self.links.carry(flow, out), carries=False)

    def steps(self, taken: Taken, chosen: np.ndarray) -> tuple[Steps, int]:
        """What may follow by some of the inputs, given by their places, and all that is carried. Of as many of the
        first rows as the number says, `last` tells what is really given."""
        commands = taken.commands[chosen]
        counts = self.counts[commands]
        rows = np.repeat(self.begins[commands] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        by = np.repeat(chosen, counts)
        fixed = Steps(by, taken.costs[by] + self.late[rows], self.ends[rows], self.given[rows])
        steps = Steps(*map(np.concatenate, zip(fixed, taken.carried, strict=True))) if len(taken.carried.by) else fixed
        return steps, len(rows) if taken.lasts else 0

    def after(self, number: int) -> set[int]:
        """The numbers of all that can be made of a flow in one step."""
        taken = self.taking(number)
        steps, lasting = self.steps(taken, np.arange(len(taken.inputs)))
        ends = steps.flows.tolist()
        return {self.last(number, end) for end in set(ends[:lasting])} | set(ends[lasting:])


def looks(flow: Flow) -> Iterator[tuple[Key, float]]:
    """The keys under which stands what takes a flow, but for its states; with each what such a fit costs."""
    for format in flow.above_formats:
        general = 0.0 if format in flow.formats else GENERAL
        vague = general + (VAGUE if format in TABLES else 0.0)
        yield from (((format, kind), general) for kind in flow.above_kinds)
        if flow.kinds and not flow.stated:
            yield (format, UNSTATED), vague
        if not flow.kinds:
            yield (format, NONE), vague
        if format not in TABLES:  # a link by the format alone, as one side states no kind of data
            yield (format, NONE if flow.kinds else SOME), general
    yield from (((NONE if flow.formats else ANY, kind), 0.0) for kind in flow.above_kinds)


def _stands(port: Flow) -> Iterator[Key]:
    """The keys of an input: it takes, but for states, the flows that look under one of them (`links.fits`)."""
    for format in port.formats:
        yield from ((format, kind) for kind in port.kinds or (NONE,))
        if port.kinds:
            yield format, SOME
            if not port.stated:
                yield format, UNSTATED
    for kind in port.kinds:
        yield ANY, kind
        if not port.formats:
            yield NONE, kind


def _late(out: Flow) -> float:
    return min(BY_PRODUCT * max(out.number, 0), LEAST_BY_PRODUCT)
