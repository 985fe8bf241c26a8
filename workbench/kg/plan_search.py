"""The cheapest sets of commands that lead from what is there to what is wanted: an exact best-first search.

A **plan** is a set of commands that can be put in an order in which every port of each is met by what was there or by
what an earlier one gives; its cost is the sum of theirs, each counted once, and none can be left out. Finding the
cheapest is NP-hard (Ausiello, D'Atri and Sacca 1986, on directed hypergraphs), so the search works backwards from the
target (A*, Hart, Nilsson and Raphael 1968) under a bound on what is still to be paid, and it may be given a limit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import numpy as np


class Space(Protocol):
    """What the search asks of a graph; ports and steps are numbers."""

    def ports(self, step: int) -> Sequence[int]:
        """The ports that a step needs."""

    def cost(self, step: int) -> float:
        """The cost of a step, above 0."""

    def least(self, port: int) -> float:
        """A lower bound on the cost of meeting a port; 0 exactly where it is met at the outset."""

    def providers(self, port: int) -> tuple[np.ndarray, np.ndarray]:
        """(least costs of having run them, steps) of the steps that meet a port and can be run, cheapest first."""

    def cheapest(self, port: int) -> float:
        """The cost of the cheapest of its providers; infinite where there is none."""

    def provides(self, step: int, port: int) -> bool:
        """Does the step give what meets the port?"""


@dataclass(frozen=True)
class State:
    """A plan in the making. after: per chosen step, the bits of the chosen steps that must come later.

    open: (port, bits of the chosen steps that wait for it). fed: (port, the place of the step that meets it).
    """

    chosen: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    open: tuple[tuple[int, int], ...] = ()
    fed: tuple[tuple[int, int], ...] = ()
    cost: float = 0.0

    def later(self, waiting: int) -> int:
        """Bits of the waiting steps and of all that come after them: none of these can help those that wait."""
        for place, bits in enumerate(self.after):
            if waiting >> place & 1:
                waiting |= bits
        return waiting


@dataclass
class Search:
    """Plans for one goal port, cheapest first. limit: states that may be taken up; `proved` turns false beyond it."""

    space: Space
    goal: int
    limit: int | None = None
    proved: bool = True
    taken: int = 0
    bound: float = 0.0  # no plan that is still to come is cheaper

    def plans(self) -> Iterator[tuple[float, frozenset[int]]]:
        """(cost, steps) of every plan, cheapest first; each set once."""
        first = State() if self.space.least(self.goal) == 0 else State(open=((self.goal, 0),))
        order, found = count(), set()
        heap = [(self._rest(first), 0.0, next(order), first, 0)]
        while heap:
            total, _, _, state, at = heapq.heappop(heap)
            self.bound = total
            if total == float("inf"):
                return
            if not state.open:
                plan = frozenset(state.chosen)
                if plan not in found and self.trimmed(plan) == plan:
                    found.add(plan)
                    yield state.cost, plan
                continue
            if self.limit is not None and self.taken >= self.limit:
                self.proved = False
                return
            self.taken += 1
            port, waiting = max(state.open, key=lambda one: (self.space.least(one[0]), -one[0]))
            if at == 0:
                for child in self._reused(state, port, waiting):
                    heapq.heappush(heap, self._entry(child, total, next(order)))
            least, options = self.space.providers(port)
            while at < len(options) and options[at] in state.chosen:
                at += 1
            if at < len(options):
                child = self._added(state, port, waiting, int(options[at]))
                heapq.heappush(heap, self._entry(child, total, next(order)))
                if at + 1 < len(options):
                    dearer = state.cost + float(least[at + 1]) - self._helpful(state, waiting)
                    heapq.heappush(heap, (max(total, dearer), self._rest(state), next(order), state, at + 1))

    def _entry(self, state: State, floor: float, order: int) -> tuple[float, float, int, State, int]:
        rest = self._rest(state)
        return max(floor, state.cost + rest), rest, order, state, 0

    def _reused(self, state: State, port: int, waiting: int) -> Iterator[State]:
        """The states in which a step that was chosen already meets the port."""
        later = state.later(waiting)
        for place, step in enumerate(state.chosen):
            if not later >> place & 1 and self.space.provides(step, port):
                after = tuple(
                    bits | later if here == place or bits >> place & 1 else bits
                    for here, bits in enumerate(state.after)
                )
                left = tuple(one for one in state.open if one[0] != port)
                # those who wait for a port that the step needs now come after it, and later still
                yield replace(state, after=after, open=left, fed=(*state.fed, (port, place)))

    def _added(self, state: State, port: int, waiting: int, step: int) -> State:
        """The state in which a new step meets the port. Its own ports are open unless they are met."""
        place = len(state.chosen)
        after = [*state.after, state.later(waiting)]
        left = {number: bits for number, bits in state.open if number != port}
        fed = (*state.fed, (port, place))
        for need in self.space.ports(step):
            giver = next((where for number, where in fed if number == need), None)
            if giver is not None:
                if after[place] >> giver & 1 or giver == place:
                    return State(cost=float("inf"), open=((port, 0),))  # each would wait for the other
                ahead = after[place] | 1 << place
                after = [b | ahead if w == giver or b >> giver & 1 else b for w, b in enumerate(after)]
            elif self.space.least(need) > 0:
                left[need] = left.get(need, 0) | 1 << place
        chosen = (*state.chosen, step)
        return State(chosen, tuple(after), tuple(left.items()), fed, state.cost + self.space.cost(step))

    def _helpful(self, state: State, waiting: int) -> float:
        """Cost of the chosen steps that may yet help those that wait: a plan has paid them already."""
        later = state.later(waiting)
        return sum(self.space.cost(step) for place, step in enumerate(state.chosen) if not later >> place & 1)

    def _rest(self, state: State) -> float:
        """A lower bound on what is still to be paid."""
        if state.cost == float("inf"):
            return state.cost
        return max((self._left(state, *one) for one in state.open), default=0.0)

    def _left(self, state: State, port: int, waiting: int) -> float:
        bound = self.space.least(port) - self._helpful(state, waiting)
        later = state.later(waiting)
        for place, step in enumerate(state.chosen):
            if not later >> place & 1 and self.space.provides(step, port):
                return max(0.0, bound)
        return max(bound, self.space.cheapest(port))

    def trimmed(self, plan: frozenset[int]) -> frozenset[int]:
        """The plan without steps that can be left out, the dearest first."""
        for step in sorted(plan, key=lambda one: (-self.space.cost(one), one)):
            if self._reaches(plan - {step}):
                plan -= {step}
        return plan

    def _reaches(self, plan: frozenset[int]) -> bool:
        done: set[int] = set()

        def met(port: int) -> bool:
            return self.space.least(port) == 0 or any(self.space.provides(step, port) for step in done)

        while not met(self.goal):
            ready = {step for step in plan - done if all(map(met, self.space.ports(step)))}
            if not ready:
                return False
            done |= ready
        return True
