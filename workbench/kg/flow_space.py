"""One question on a `FlowIndex` as the search sees it: what is there, what is wanted, what each port costs at least."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workbench.kg.flow_index import FlowIndex, Needs
from workbench.kg.int_rows import Ints


class FlowSpace:
    """A `plan_search.Space`. The goal is one more port, behind those of the index.

    supplies: cost of being given an item, float64 (items,), infinite where it is not for the giving; an item that is
    given is a step of its own, numbered behind the classes.
    """

    def __init__(self, index: FlowIndex, start: Ints, goal: Ints, *, supplies: np.ndarray | None = None):
        self.index, self.goal_items, self.supplies = index, goal, supplies
        item = np.full(len(index.items), np.inf) if supplies is None else supplies.copy()
        item[start] = 0
        self._outset = item
        self.needs: Needs = index.least(item)
        self.goal = len(index.ports)
        self._goal_least = float(self.needs.item[goal].min()) if len(goal) else math.inf
        self._goal_kinds = frozenset(goal.tolist())
        self._providers: dict[int, tuple[np.ndarray, Ints]] = {}
        self._cheapest: dict[int, float] = {}

    def accepted(self, port: int) -> Ints:
        """The items that meet a port."""
        return self.goal_items if port == self.goal else self.index.accepts[port]

    def ports(self, step: int) -> Sequence[int]:
        """See `Space`."""
        return self.index.ports_of(step) if step < len(self.index.members) else ()

    def cost(self, step: int) -> float:
        """See `Space`."""
        classes = len(self.index.members)
        return self.index.prices[step] if step < classes else float(self._supply()[step - classes])

    def least(self, port: int) -> float:
        """See `Space`."""
        return self._goal_least if port == self.goal else float(self.needs.port[port])

    def providers(self, port: int) -> tuple[np.ndarray, Ints]:
        """See `Space`."""
        if port not in self._providers:
            least, found = self._runnable(port)
            order = np.argsort(least, kind="stable")
            self._providers[port] = (least[order], found[order])
        return self._providers[port]

    def cheapest(self, port: int) -> float:
        """See `Space`."""
        if port not in self._cheapest:
            found = self._runnable(port)[1]
            costs = self.index.costs if self.supplies is None else np.concatenate([self.index.costs, self.supplies])
            self._cheapest[port] = float(costs[found].min(initial=math.inf))
        return self._cheapest[port]

    def _runnable(self, port: int) -> tuple[np.ndarray, Ints]:
        """The providers of a port in no order."""
        given = self.accepted(port)
        found = self.index.givers.gather(given) if port == self.goal else self.index.providers(port)
        least = self.needs.step[found]
        if self.supplies is not None:
            given = given[np.isfinite(self.supplies[given])]
            found = np.concatenate([found, given + len(self.index.members)])
            least = np.concatenate([least, self.supplies[given]])
        possible = np.isfinite(least)
        return least[possible], found[possible]

    def provides(self, step: int, port: int) -> bool:
        """See `Space`."""
        kinds = self._goal_kinds if port == self.goal else self.index.kinds_met(port)
        classes = len(self.index.members)
        return step - classes in kinds if step >= classes else not kinds.isdisjoint(self.index.given_by(step))

    def greedy(self) -> frozenset[int]:
        """A plan, if not the cheapest: every port is met by the provider that costs the least by itself."""
        single = self.index.least(self._outset, join=np.add)
        plan: set[int] = set()
        waiting = [self.goal]
        for port in waiting:  # grows while it is read
            if self.least(port) > 0:
                steps = self.providers(port)[1]
                step = int(steps[self._alone(single, steps).argmin()])
                waiting += [] if step in plan else self.ports(step)
                plan.add(step)
        return frozenset(plan)

    def _alone(self, single: Needs, steps: Ints) -> np.ndarray:
        costs = single.step if self.supplies is None else np.concatenate([single.step, self.supplies])
        return costs[steps]

    def _supply(self) -> np.ndarray:
        if self.supplies is None:
            raise IndexError("this question has no items that may be given")
        return self.supplies
