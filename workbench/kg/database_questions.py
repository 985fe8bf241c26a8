"""Reachability and cheapest plans on a database, with the search and the answers of `kg.questions`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from workbench.kg.database import Database
from workbench.kg.plan_search import Search
from workbench.kg.questions import LIMIT, Plan, Plans, in_order

_ROUND = (
    # a port costs what the cheapest item costs that meets it
    """INSERT INTO least_port SELECT a.port, min(i.cost) FROM changed c JOIN least_item i ON i.item = c.item
       JOIN main.accepts a ON a.item = c.item WHERE true GROUP BY a.port
       ON CONFLICT (port) DO UPDATE SET cost = excluded.cost WHERE excluded.cost < cost RETURNING port""",
    # a step can be run once all of its ports are met
    """INSERT INTO least_step SELECT n.step, max(p.cost) + s.cost FROM main.needs n JOIN main.step s ON s.id = n.step
       LEFT JOIN least_port p ON p.port = n.port
       WHERE n.step IN (SELECT m.step FROM moved JOIN main.needs m ON m.port = moved.port)
       GROUP BY n.step HAVING count(p.port) = count(*)
       ON CONFLICT (step) DO UPDATE SET cost = excluded.cost WHERE excluded.cost < cost RETURNING step""",
    # and gives its items
    """INSERT INTO least_item SELECT g.item, min(s.cost) FROM stepped d JOIN least_step s ON s.step = d.step
       JOIN main.gives g ON g.step = d.step WHERE true GROUP BY g.item
       ON CONFLICT (item) DO UPDATE SET cost = excluded.cost WHERE excluded.cost < cost RETURNING item""",
)
_TEMPORARY = {"least_item": "item", "least_port": "port", "least_step": "step"}
_CHANGED = {"moved": "port", "stepped": "step", "changed": "item"}


class DatabaseQuestions:
    """The questions of `Questions` that need the whole graph, on disk. limit: as there."""

    def __init__(self, base: Database, *, limit: int | None = LIMIT):
        self.base, self.limit = base, limit
        for table, key in _TEMPORARY.items():
            base.base.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({key} INTEGER PRIMARY KEY, cost REAL)")
        for table, key in _CHANGED.items():
            base.base.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({key} INTEGER PRIMARY KEY)")

    def reachable(self, start: str | Iterable[str]) -> list[str]:
        """See `Questions.reachable`."""
        self._spread(self.base.start(start))
        return self.base.column(
            "SELECT item.name FROM below b JOIN least_item l ON l.item = b.lower JOIN item ON item.id = b.item "
            "GROUP BY item.name HAVING min(l.cost) > 0 ORDER BY item.name"
        )

    def runnable(self, start: str | Iterable[str]) -> list[str]:
        """See `Questions.runnable`."""
        self._spread(self.base.start(start))
        return self.base.column("SELECT name FROM least_step JOIN step ON step.id = least_step.step ORDER BY name")

    def cheapest(self, start: str | Iterable[str], target: str, *, k: int = 1) -> Plans:
        """See `Questions.cheapest`. Among plans of equal cost the ones found may be others than there."""
        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k!r}")
        there = self.base.start(start)
        self._spread(there)
        space = _Space(self.base, self.base.goal(target))
        if not math.isfinite(space.least(space.goal)):
            return Plans((), True, math.inf)
        search = Search(space, space.goal, limit=self.limit)
        found: list[Plan] = []
        for cost, steps in search.plans():
            found.append(Plan(space.ordered(steps, there), cost))
            if len(found) == k:
                break
        proved = search.proved or (len(found) >= k and found[-1].cost <= search.bound)
        return Plans(tuple(found), proved, search.bound)

    def _spread(self, there: set[int]) -> None:
        """Fills the temporary tables with the least costs from the items that are there (`FlowIndex.least`)."""
        base = self.base.base
        for table in (*_TEMPORARY, *_CHANGED):
            base.execute(f"DELETE FROM {table}")
        base.executemany("INSERT INTO least_item VALUES (?, 0)", [(item,) for item in there])
        base.executemany("INSERT INTO changed VALUES (?)", [(item,) for item in there])
        while True:
            for query, table in zip(_ROUND, _CHANGED, strict=True):
                rows = base.execute(query).fetchall()
                base.execute(f"DELETE FROM {table}")
                base.executemany(f"INSERT INTO {table} VALUES (?)", rows)
            if not rows:
                return


class _Space:
    """A `plan_search.Space` whose answers are looked up when they are asked for."""

    def __init__(self, base: Database, goal: list[int]):
        self.base, self.goal, self.kinds = base, -1, frozenset(goal)
        self.ports: Callable[[int], tuple[int, ...]] = lru_cache(None)(self._ports)
        self.cost: Callable[[int], float] = lru_cache(None)(self._cost)
        self.least: Callable[[int], float] = lru_cache(None)(self._least)
        self.providers: Callable[[int], tuple[np.ndarray, np.ndarray]] = lru_cache(None)(self._providers)
        self.cheapest: Callable[[int], float] = lru_cache(None)(self._cheapest)
        self.accepted: Callable[[int], frozenset[int]] = lru_cache(None)(self._accepted)
        self.given: Callable[[int], frozenset[int]] = lru_cache(None)(self._given)

    def provides(self, step: int, port: int) -> bool:
        return not self.accepted(port).isdisjoint(self.given(step))

    def ordered(self, steps: Iterable[int], there: set[int]) -> tuple[str, ...]:
        """The names of steps in an order in which they can be run."""
        names = {step: self.base.column("SELECT name FROM step WHERE id = ?", [step])[0] for step in steps}
        needs = {name: [self.accepted(port) for port in self.ports(step)] for step, name in names.items()}
        return in_order(needs, {name: self.given(step) for step, name in names.items()}, there)

    def _ports(self, step: int) -> tuple[int, ...]:
        return tuple(self.base.column("SELECT port FROM needs WHERE step = ?", [step]))

    def _cost(self, step: int) -> float:
        return float(self.base.column("SELECT cost FROM step WHERE id = ?", [step])[0])

    def _given(self, step: int) -> frozenset[int]:
        return frozenset(self.base.column("SELECT item FROM gives WHERE step = ?", [step]))

    def _accepted(self, port: int) -> frozenset[int]:
        found = self.base.column("SELECT item FROM accepts WHERE port = ?", [port])
        return self.kinds if port == self.goal else frozenset(found)

    def _least(self, port: int) -> float:
        marks = ", ".join("?" * len(self.kinds))
        query, values = f"SELECT min(cost) FROM least_item WHERE item IN ({marks})", tuple(self.kinds)
        if port != self.goal:
            query, values = "SELECT cost FROM least_port WHERE port = ?", (port,)
        found = self.base.column(query, values)
        return float(found[0]) if found and found[0] is not None else math.inf

    def _providers(self, port: int) -> tuple[np.ndarray, np.ndarray]:
        items = sorted(self.accepted(port))
        rows = self.base.base.execute(
            "SELECT DISTINCT l.cost, g.step FROM json_each(?) j JOIN gives g ON g.item = j.value "
            "JOIN least_step l ON l.step = g.step ORDER BY l.cost, g.step",
            (str(items),),
        ).fetchall()
        return np.array([cost for cost, _ in rows]), np.array([step for _, step in rows], dtype=np.int64)

    def _cheapest(self, port: int) -> float:
        return min((self.cost(int(step)) for step in self.providers(port)[1]), default=math.inf)
