"""The search for chains of commands: A* (Hart, Nilsson and Raphael 1968) over what is in hand.

A chain to a flow is given up when a cheaper one with no other tools has led there: whatever follows, the answer would
be no other way. What is still to be paid is never less than the exact distance on the flows without their states,
where every step is possible at its cost or less: found for all flows at once, backwards from the target (Dijkstra
1959), from what is given to the commands that give it, to the keys of their inputs, to the flows that find these.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from workbench.kg.flows import SILENT, Flows, Taken, looks
from workbench.kg.links import Flow

JOINED = 0.75  # for each further main input that is not there
WORTH = 2.0  # an answer is listed when it costs no more than so many times the first
VISITS = 3  # ways to one flow that a search goes on from
NEAR = 64  # inputs whose steps are put in order at first
HAIR = 1e-9  # for each command to come, so that of equal bounds the shorter rest goes first
TARGETS = 256  # of which it is kept what is left
SLACK = 1e-6  # of sums in another order


@dataclass(frozen=True)
class Chain:
    """A way so far: flows in hand, by number, one more than commands. tools: those that tell it from other ways."""

    flows: tuple[int, ...]
    commands: tuple[int, ...] = ()
    tools: frozenset[str] = frozenset()


_Step = tuple[float, float, Chain]  # the bound on a whole chain, what is spent, the chain so far


class Chains:
    """The chains of a graph. tools: per command those that tell it from other ways; none where it only fetches."""

    def __init__(self, flows: Flows, tools: Sequence[frozenset[str]]):
        self.flows, self.tools = flows, tools
        self.bound = Bound(flows)

    def search(self, there: Sequence[Flow], target: str, *, limit: int) -> Iterator[tuple[float, Chain | None]]:
        """(cost, chain), cheapest first, each really another way; None when the limit ends the search.

        there: what is in hand. limit: flows that are taken up.
        """
        left, taken, order, most = self.bound.left(target), 0, count(), np.inf
        asked = _There(self.flows, map(self.flows.number, there))
        heap: list[tuple[float, int, float, Chain, Iterator[_Step]]] = []
        for flow in there:
            chain = Chain((self.flows.number(flow),))
            if left is not None or is_a(flow, target):
                heapq.heappush(heap, (0.0, next(order), 0.0, chain, iter(())))
        here: defaultdict[int, list[frozenset[str]]] = defaultdict(list)
        answers: list[frozenset[str]] = []
        while heap and heap[0][0] <= most:
            _, _, spent, chain, beside = heapq.heappop(heap)
            self._push(heap, order, beside)
            before = here[chain.flows[-1]]
            if len(before) == VISITS or any(tools <= chain.tools for tools in (*answers, *before)):
                continue
            before.append(chain.tools)
            if is_a(self.flows.flows[chain.flows[-1]], target):
                answers.append(chain.tools)
                most = min(most, WORTH * spent)
                yield spent, chain
                continue
            taken += 1
            if taken > limit:
                yield np.inf, None
                return
            if left is not None:
                self._push(heap, order, self._following(chain, spent, asked, left))

    def _push(self, heap: list, order: Iterator[int], steps: Iterator[_Step]) -> None:
        """The next of some steps, and the others behind it."""
        for least, spent, chain in steps:
            heapq.heappush(heap, (least, next(order), spent, chain, steps))
            return

    def _following(self, chain: Chain, spent: float, there: _There, left: Left) -> Iterator[_Step]:
        """The chains that are one command longer: by their cost with the bound on the rest, which comes first."""
        flows, number = self.flows, chain.flows[-1]
        taken = flows.taking(number)
        joined = JOINED * there.lacking(taken)
        least = spent + taken.costs + joined + left.commands[taken.commands]
        low, near = -np.inf, np.partition(least, NEAR)[NEAR] if len(least) > NEAR else np.inf
        for high in (near, np.inf) if np.isfinite(near) else (near,):  # most chains need no more than the nearest
            steps, lasting = flows.steps(taken, np.flatnonzero(least <= high + SLACK))
            costs = spent + steps.costs + joined[steps.by]
            bounds = costs + left.after(steps.bare)
            some = np.flatnonzero((low < bounds) & (bounds <= high) & np.isfinite(bounds))
            for i in some[np.argsort(bounds[some], kind="stable")].tolist():
                flow = int(steps.flows[i])
                flow = flows.last(number, flow) if i < lasting else flow
                if flow not in chain.flows:
                    yield float(bounds[i]), float(costs[i]), self._longer(chain, int(taken.commands[steps.by[i]]), flow)
            low = high

    def _longer(self, chain: Chain, command: int, flow: int) -> Chain:
        return Chain((*chain.flows, flow), (*chain.commands, command), chain.tools | self.tools[command])


class _There:
    """What is in hand, as the other main inputs of commands ask for it. flows: their numbers."""

    def __init__(self, flows: Flows, there: Iterable[int]):
        self._flows = flows
        self._met = np.zeros(len(flows.ports), dtype=bool)
        for number in there:
            self._met[flows.taking(number).inputs] = True
        self._covered = self._count(flows.command[self._met])

    def lacking(self, taken: Taken) -> np.ndarray:
        """Per input that takes a flow, how many main inputs of its command neither that nor what is in hand meets."""
        covered = self._covered + self._count(taken.commands[~self._met[taken.inputs]])
        return (self._flows.mains - covered)[taken.commands]

    def _count(self, commands: np.ndarray) -> np.ndarray:
        return np.bincount(commands, minlength=len(self._flows.mains))


def is_a(flow: Flow, target: str) -> bool:
    """Whether a flow is, or lies below, a format or kind of data."""
    return target in flow.above_formats or target in flow.above_kinds


class Left(NamedTuple):
    """What is left to be paid, float64, infinite where none leads. flows: by number, of those known from the start and
    without states. commands: by number, once one has taken its input and gives what it does not carry."""

    flows: np.ndarray
    commands: np.ndarray

    def after(self, bare: np.ndarray) -> np.ndarray:
        """Of flows without states, by number; 0 for those not known from the start."""
        return np.append(self.flows, 0.0)[np.minimum(bare, len(self.flows))]


class Bound:
    """What is left from any flow to any target: distances over flows, keys of inputs and commands."""

    def __init__(self, flows: Flows):
        self.flows = flows
        self._ends: defaultdict[str, list[int]] = defaultdict(list)
        carried = self._walk()
        self._size = len(flows.flows)
        keys = {key: self._size + number for number, key in enumerate(flows.takers)}
        self._commands = self._size + len(keys)  # where their places begin
        ends = sorted({number for some in self._ends.values() for number in some})
        looking = [(n, keys[key], cost) for n in ends for key, cost in looks(flows.flows[n]) if key in keys]
        taking = [(keys[key], c, flows.cost[c]) for key, some in flows.takers.items() for c in set(flows.command[some])]
        heads, tails, costs = np.array([*carried, *looking, *taking], dtype=np.float64).reshape(-1, 3).T
        tails[len(carried) + len(looking) :] += self._commands
        giving = self._commands + np.repeat(np.arange(len(flows.counts)), flows.counts)
        self._back = _least(
            np.concatenate([tails, flows.given]).astype(np.int64),
            np.concatenate([heads, giving]).astype(np.int64),
            np.concatenate([costs, np.maximum(flows.late, HAIR)]),
            size=self._commands + len(flows.counts),
        )
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
            yield number, int(end), max(0.0, float(cost - silent))

    def _left(self, target: str) -> Left | None:
        """None: nothing gives the target."""
        if target not in self._ends:
            return None
        left = dijkstra(self._back, indices=self._ends[target], min_only=True)
        return Left(left[: self._size], left[self._commands :])


def _least(heads: np.ndarray, tails: np.ndarray, costs: np.ndarray, *, size: int) -> csr_array:
    """The matrix (size, size) of the cheapest edge between every two places; what costs nothing is stored too."""
    order = np.argsort(costs, kind="stable")
    edges, first = np.unique((heads * size + tails)[order], return_index=True)
    return csr_array((costs[order][first], np.divmod(edges, size)), shape=(size, size))
