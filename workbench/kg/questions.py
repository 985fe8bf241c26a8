"""Questions on the graph: what can be made, by which commands, what is missing, and why something cannot be made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import networkx as nx
import numpy as np

from workbench.kg.flow_index import FlowIndex
from workbench.kg.flow_space import FlowSpace
from workbench.kg.plan_search import Search

LIMIT = 200  # states a search takes up on a question: some 20 ms


@dataclass(frozen=True)
class Plan:
    """Commands in an order in which they can be run; `given` are items that somebody has to supply first."""

    commands: tuple[str, ...]
    cost: float
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plans:
    """Plans, cheapest first. proved: there are no cheaper ones, and no others if fewer than were asked for. Otherwise
    the search met its limit, and what is known is that no plan that is not listed costs less than `bound`."""

    plans: tuple[Plan, ...]
    proved: bool
    bound: float


@dataclass(frozen=True)
class Blocked:
    """A command that would help but lacks an input. port: what it would take; providers: commands that give such a
    thing but cannot be run themselves, (how many, the first few)."""

    command: str
    port: tuple[str, ...]
    providers: tuple[str, ...]
    provider_count: int


class Questions:
    """Answers from one index; everything that depends on the graph alone is made once.

    costs, rule: see `FlowIndex.of`. limit: states a search takes up before it gives the best it has, None for none.
    """

    def __init__(
        self,
        graph: nx.MultiDiGraph | FlowIndex,
        *,
        costs: Mapping[str, float] | None = None,
        rule: str = "declared",
        limit: int | None = LIMIT,
    ):
        self.index = graph if isinstance(graph, FlowIndex) else FlowIndex.of(graph, costs=costs, rule=rule)
        self.limit = limit

    def reachable(self, start: str | Iterable[str]) -> list[str]:
        """The formats and kinds of data that can be made from `start` (ids, of sources too), sorted.

        A general term counts when something below it can be made; what is there at the outset does not count.
        """
        cost = self.index.least(self._there(start)).item
        best = self.index.kinds.reduce(np.minimum, cost, empty=np.inf)
        return [self.index.items[i] for i in np.flatnonzero(np.isfinite(best) & (best > 0))]

    def runnable(self, start: str | Iterable[str]) -> list[str]:
        """The commands that can be run, at once or later, sorted."""
        cost = self.index.least(self._there(start)).step
        return sorted(name for c in np.flatnonzero(np.isfinite(cost)) for name in self.index.members[c])

    def cheapest(self, start: str | Iterable[str], target: str, *, k: int = 1) -> Plans:
        """The `k` cheapest plans that make `target` from `start`; none where it cannot be made.

        Raises `PathError` for a node off the data flow and `ValueError` for k below 1.
        """
        space = FlowSpace(self.index, self.index.start(start), self.index.goal(target))
        return self._plans(space, k)

    def missing(self, start: str | Iterable[str], target: str, *, k: int = 1) -> Plans:
        """The `k` cheapest ways to make `target` when things may be supplied that are not there: as few as possible
        first, then commands of little cost. `Plan.given` is what is missing: a source of it, or one command that
        makes it from what can be made, would close the gap. What counts as the target itself is not for the giving.
        """
        dear = 1.0 + float(self.index.costs.sum())
        supplies = np.full(len(self.index.items), np.inf)
        supplies[self.index.accepts.flat] = dear
        goal = self.index.goal(target)
        supplies[goal] = np.inf
        return self._plans(FlowSpace(self.index, self.index.start(start), goal, supplies=supplies), k)

    def why_not(self, start: str | Iterable[str], target: str, *, most: int = 20, shown: int = 5) -> list[Blocked]:
        """Why `target` (a format, kind of data or command) cannot be had: from it backwards, each command that would
        lead there with an input that cannot be had. Empty where it can, and where no command gives it at all.

        most: rows. shown: providers named in each.
        """
        index, cost = self.index, self.index.least(self._there(start))
        if target in index.class_of:
            waiting, blocked = [index.class_of[target]], not np.isfinite(cost.step[index.class_of[target]])
        else:
            goal = index.goal(target)
            waiting, blocked = index.givers.gather(goal).tolist(), not np.isfinite(cost.item[goal]).any()
        rows: list[Blocked] = []
        seen = set(waiting)
        for step in waiting if blocked else ():  # grows while it is read
            for port in index.needs[step][~np.isfinite(cost.port[index.needs[step]])]:
                givers = index.givers.gather(index.accepts[port]).tolist()
                rows += self._blocked(step, int(port), givers, shown)
                waiting += [giver for giver in givers if giver not in seen]
                seen.update(givers)
            if len(rows) >= most:
                break
        return rows[:most]

    def _blocked(self, step: int, port: int, givers: list[int], shown: int) -> list[Blocked]:
        names = sorted(name for giver in givers for name in self.index.members[giver])
        takes = tuple(sorted(self.index.ports[port]))
        return [Blocked(name, takes, tuple(names[:shown]), len(names)) for name in self.index.members[step]]

    def in_order(self, commands: Iterable[str], start: str | Iterable[str]) -> tuple[str, ...]:
        """The commands in an order in which they can be run; see `in_order`."""
        steps = {name: self.index.class_of[name] for name in commands}
        needs = {name: [self.index.kinds_met(port) for port in self.index.ports_of(c)] for name, c in steps.items()}
        gives = {name: self.index.given_by(c) for name, c in steps.items()}
        return in_order(needs, gives, set(self.index.start(start).tolist()))

    def _there(self, start: str | Iterable[str]) -> np.ndarray:
        items = np.full(len(self.index.items), np.inf)
        items[self.index.start(start)] = 0
        return items

    def _plans(self, space: FlowSpace, k: int) -> Plans:
        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k!r}")
        if not np.isfinite(space.least(space.goal)):
            return Plans((), True, float("inf"))
        search = Search(space, space.goal, limit=self.limit)
        found: list[Plan] = []
        for _, steps in search.plans():
            found += list(self._spelled(space, steps, k - len(found)))
            if len(found) >= k:
                break
        if not search.proved and not found:
            found = list(self._spelled(space, search.trimmed(space.greedy()), 1))
        proved = search.proved or (len(found) >= k and found[-1].cost <= search.bound)
        return Plans(tuple(found[:k]), proved, search.bound)

    def _spelled(self, space: FlowSpace, steps: frozenset[int], most: int) -> Iterator[Plan]:
        """Up to `most` plans that a set of classes stands for, one command of each."""
        classes = len(self.index.members)
        given = tuple(sorted(self.index.items[step - classes] for step in steps if step >= classes))
        runs = sorted(step for step in steps if step < classes)
        outset = [self.index.items[i] for i in np.flatnonzero(space.needs.item == 0)]
        cost = float(self.index.costs[runs].sum())
        for _, commands in zip(range(most), product(*(self.index.members[step] for step in runs)), strict=False):
            yield Plan(self.in_order(commands, (*outset, *given)), cost, given)


def in_order(
    needs: Mapping[str, Sequence[Collection[int]]], gives: Mapping[str, Collection[int]], there: set[int]
) -> tuple[str, ...]:
    """Commands by the round in which they can be run, then by name; those that never can come last.

    needs: command -> for each port the items that meet it. gives: command -> items. there: items at the outset.
    """
    there, left, order = set(there), sorted(needs), []
    while left:
        ready = [name for name in left if all(not there.isdisjoint(port) for port in needs[name])]
        there.update(item for name in ready for item in gives[name])
        order += ready or left
        left = [name for name in left if name not in ready] if ready else []
    return tuple(order)
