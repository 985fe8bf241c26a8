"""The search for chains of commands: A* (Hart, Nilsson and Raphael 1968) over what is in hand.

A chain to a flow is given up when a cheaper one with no other tools has led there: whatever follows, the answer would
be no other way.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from workbench.kg.bound import Bound, Left
from workbench.kg.flows import Flows, Taken
from workbench.kg.links import Flow

JOINED = 0.75  # for each further main input that is not there
WORTH = 2.0  # an answer is listed when it costs no more than so many times the first
VISITS = 3  # ways to one flow that a search goes on from
NEAR = 64  # inputs whose steps are put in order at first
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
