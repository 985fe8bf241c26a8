"""The least that is still to be paid for a target: exact distances on the flows without their states.

There every step of a plan is possible, at its cost or less. Found for all flows at once, backwards from the target, in
rounds over arrays (Bellman 1958): from what is given to the steps of a command, to the keys of its inputs, to flows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from workbench.kg.flows import SILENT, Flows, looks

HAIR = 1e-9  # for each command to come, so that of equal bounds the shorter rest goes first
TARGETS = 256  # of which it is kept what is left


class Left(NamedTuple):
    """What is left to be paid, float64, infinite where none leads. flows: by number, of those known from the start and
    without states. commands: by number, once one has taken its input and gives what it does not carry."""

    flows: np.ndarray
    commands: np.ndarray

    def after(self, bare: np.ndarray) -> np.ndarray:
        """Of flows without states, by number; 0 for those not known from the start."""
        return np.append(self.flows, 0.0)[np.minimum(bare, len(self.flows))]


class Bound:
    """What is left from any flow to any target."""

    def __init__(self, flows: Flows):
        self.flows = flows
        self._ends: defaultdict[str, list[int]] = defaultdict(list)
        carried = np.array(self._walk(), dtype=np.float64).reshape(-1, 3).T
        self._size = len(flows.flows)
        self._late = np.maximum(flows.late, HAIR)
        self._to, self._carrying = carried[1].astype(np.int64), carried[2]
        looking, self._key, self._fit = self._rows()
        standing = [np.zeros((2, 0), dtype=np.int64)]
        for number, inputs in enumerate(flows.takers.values()):
            commands = np.unique(flows.command[inputs])
            standing.append(np.stack([np.full(len(commands), number), commands]))
        keys, self._command = np.concatenate(standing, axis=1)
        self._by_flow = _Least(np.concatenate([looking, carried[0].astype(np.int64)]), self._size)
        self._by_key = _Least(keys, len(flows.takers))
        self._by_command = _Least(np.repeat(np.arange(len(flows.counts)), flows.counts), len(flows.counts))
        self.left = lru_cache(TARGETS)(self._left)

    def _walk(self) -> list[tuple[int, int, float]]:
        """Notes where every flow ends that a graph gives; (from, to, cost) for what is carried on of one."""
        flows, carried = self.flows, dict[int, list[tuple[int, int, float]]]()
        given = [out for outs in flows.links.gives.values() for out in outs if not out.carries]
        waiting = [flows.bare[flows.number(out)] for out in given]
        for number in waiting:  # grows while it is read
            if number not in carried:
                for item in flows.flows[number].above_formats | flows.flows[number].above_kinds:
                    self._ends[item].append(number)
                carried[number] = list(self._carried(number)) if any(flows.carrying) else []
                waiting += [end for _, end, _ in carried[number]]
        return [edge for edges in carried.values() for edge in edges]

    def _carried(self, number: int) -> Iterator[tuple[int, int, float]]:
        taken = self.flows.taking(number)
        for place, cost, _, end in zip(*taken.carried, strict=True):
            silent = SILENT * len(self.flows.ports[taken.inputs[place]].states)  # what a flow with states may tell
            yield number, int(end), float(cost - silent)

    def _rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flow, key and cost of the fit, for the keys under which something stands."""
        ids = {key: number for number, key in enumerate(self.flows.takers)}
        ends = sorted({number for some in self._ends.values() for number in some})
        rows = [(n, ids[key], cost) for n in ends for key, cost in looks(self.flows.flows[n]) if key in ids]
        looking, keys, costs = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        return looking.astype(np.int64), keys.astype(np.int64), costs

    def _left(self, target: str) -> Left | None:
        """None: nothing gives the target."""
        if target not in self._ends:
            return None
        left = np.full(self._size, np.inf)
        left[self._ends[target]] = 0.0
        while True:
            commands = self._by_command(self._late + left[self.flows.given])
            keys = self._by_key(self.flows.cost[self._command] + commands[self._command])
            before = self._by_flow(np.concatenate([self._fit + keys[self._key], self._carrying + left[self._to]]))
            before = np.minimum(left, before)
            if np.array_equal(before, left):
                return Left(left, commands)
            left = before


class _Least:
    """The least of the values of each group; infinite for one without."""

    def __init__(self, groups: np.ndarray, size: int):
        self._order, self._size = np.argsort(groups, kind="stable"), size
        self._groups, self._starts = np.unique(groups[self._order], return_index=True)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        least = np.full(self._size, np.inf)
        if len(self._groups):
            least[self._groups] = np.minimum.reduceat(values[self._order], self._starts)
        return least
