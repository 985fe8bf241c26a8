"""The tasks of a sweep, each with an id that is the digest of what it is, and the batches they are handed out in.

Loads nothing heavy: workers come here first, and what their imports take is booked, not hidden.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import Any

from workbench.hands.sweep.grid import MOST_TASKS, Grid

ID_DIGITS = 20  # hexadecimal: 80 bits
LONGEST_ERROR = 1000  # characters


@dataclass(frozen=True)
class Task:
    """One row of the results. given: everything it depends on, plain JSON types."""

    given: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        """The digest of `given`: the same task has the same id in every sweep."""
        return digest(self.given)

    @property
    def case(self) -> str | None:
        """The case it is about; None: a whole run."""
        return self.given.get("case")


@dataclass(frozen=True)
class Batch:
    """Tasks that are done together. by: the module whose `work` does them; shared: what all of them need; cases: id ->
    case, of at least those they are about. Plain JSON types. alone: one task that is tried with nothing beside it."""

    tasks: tuple[Task, ...]
    by: str
    shared: Mapping[str, Any]
    cases: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False

    @property
    def about(self) -> list[str | None]:
        """The cases of its tasks, in order; a whole run counts as one."""
        return list(dict.fromkeys(task.case for task in self.tasks))

    @property
    def order(self) -> dict[str, Any]:
        """What is sent to a worker."""
        tasks = [{"id": task.id, "case": task.case, "method": task.given.get("method")} for task in self.tasks]
        cases = [self.cases[case] for case in self.about if case is not None]
        return {**self.shared, "by": self.by, "tasks": tasks, "cases": cases}

    def outcomes(self, answer: Mapping[str, Any]) -> list[tuple[Task, dict[str, Any]]]:
        """Each of its tasks with what a worker sent of it; see `perform`."""
        sent = {one["id"]: {k: v for k, v in one.items() if k != "id"} for one in answer["outcomes"]}
        return [(task, sent.get(task.id, {"error": "the worker sent no outcome"})) for task in self.tasks]

    def only(self, wanted: Callable[[Task], bool]) -> Batch:
        """Those of its tasks alone that are wanted."""
        return replace(self, tasks=tuple(filter(wanted, self.tasks)))

    def parted(self, count: int) -> tuple[Batch, Batch]:
        """Its first `count` cases, and the rest of it."""
        first = set(self.about[:count])
        return self.only(lambda task: task.case in first), self.only(lambda task: task.case not in first)


def perform(order: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker does: `outcomes`, one a task, with the `seconds` it was busy and, of these, `loading` seconds for
    imports and models. An outcome has `id`, `worker`, and `found` with `seconds`, or `error`; plain JSON types."""
    started = time.perf_counter()
    work = import_module(order["by"]).work
    imported = time.perf_counter() - started
    outcomes, loading = work(order)
    named = [{**one, "worker": f"{platform.node()}:{os.getpid()}"} for one in outcomes]
    return {"outcomes": named, "seconds": time.perf_counter() - started, "loading": imported + loading}


def digest(value: Any) -> str:
    """Hexadecimal SHA-256, shortened, of a value of plain JSON types; the order of keys does not count."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]


def product(grid: Grid, axes: Mapping[str, Sequence[Any]], *, each: int = 1) -> list[dict[str, Any]]:
    """Every combination of the axes' values, the last axis fastest.

    each: tasks that come of each combination. GridError: more than `MOST_TASKS` in all.
    """
    count = math.prod(len(values) for values in axes.values()) * each
    if count > MOST_TASKS:
        sizes = ", ".join(f"{name} {len(values)}" for name, values in axes.items() if len(values) > 1)
        raise grid.error("the grid", f"must come to at most {MOST_TASKS:,} tasks ({sizes})", count)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def told(error: BaseException | None) -> str:
    """An error as one line, for the column `error`."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_ERROR]
