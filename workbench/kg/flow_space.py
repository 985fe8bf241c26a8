"""One question on a `FlowIndex` as the search sees it: what is there, what is wanted, what each port costs at least."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workbench.kg.flow_index import FlowIndex, Ints, Needs


class FlowSpace:
    """A `plan_search.Space`. The goal is one more port, behind those of the index.

    supplies: cost of being given an item, float64 (items,), infinite where it is not for the giving; an item that is
    given is a step of its own, numbered behind the classes.
    """

    def __init__(self, index: FlowIndex, start: Ints, goal: Ints, *, supplies: np.ndarray | None = None):
        self.index, self.goal_items, self.supplies = index, goal, supplies
        item = np.full(len(index.items), np.inf) if supplies is None else supplies.copy()
        item[start] = 0
        self.needs: Needs = index.least(item)
        self.goal = len(index.ports)
        self._goal_least = float(self.needs.item[goal].min()) if len(goal) else math.inf
        self._providers: dict[int, list[tuple[float, int]]] = {}
        self._giving: dict[int, frozenset[int]] = {}

    def accepted(self, port: int) -> Ints:
        """The items that meet a port."""
        return self.goal_items if port == self.goal else self.index.accepts[port]

    def ports(self, step: int) -> Sequence[int]:
        """See `Space`."""
        return self.index.needs[step].tolist() if step < len(self.index.members) else ()

    def cost(self, step: int) -> float:
        """See `Space`."""
        classes = len(self.index.members)
        return float(self.index.costs[step] if step < classes else self._supply()[step - classes])

    def least(self, port: int) -> float:
        """See `Space`."""
        return self._goal_least if port == self.goal else float(self.needs.port[port])

    def providers(self, port: int) -> list[tuple[float, int]]:
        """See `Space`."""
        if port not in self._providers:
            found = self.index.givers.gather(self.accepted(port))
            least = self.needs.step[found]
            given = self.accepted(port)
            if self.supplies is not None:
                given = given[np.isfinite(self.supplies[given])]
                found = np.concatenate([found, given + len(self.index.members)])
                least = np.concatenate([least, self.supplies[given]])
            found, least = found[np.isfinite(least)], least[np.isfinite(least)]
            order = np.lexsort((found, least))
            self._providers[port] = list(zip(least[order].tolist(), found[order].tolist(), strict=True))
            self._giving[port] = frozenset(found.tolist())
        return self._providers[port]

    def cheapest(self, port: int) -> float:
        """See `Space`."""
        return min((self.cost(step) for _, step in self.providers(port)), default=math.inf)

    def provides(self, step: int, port: int) -> bool:
        """See `Space`."""
        self.providers(port)
        return step in self._giving[port]

    def greedy(self) -> frozenset[int]:
        """A plan, if not the cheapest: every port is met by the provider that can be run for the least."""
        plan: set[int] = set()
        waiting = [self.goal]
        for port in waiting:  # grows while it is read
            if self.least(port) > 0:
                step = self.providers(port)[0][1]
                waiting += [] if step in plan else self.ports(step)
                plan.add(step)
        return frozenset(plan)

    def _supply(self) -> np.ndarray:
        if self.supplies is None:
            raise IndexError("this question has no items that may be given")
        return self.supplies
