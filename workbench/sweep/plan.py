"""The tasks of a sweep, each with an id that is the digest of what it is, and the batches they are handed out in."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.sweep.grid import MOST_TASKS, Grid

ID_DIGITS = 20  # hexadecimal: 80 bits
LONGEST_ERROR = 1000  # characters


@dataclass(frozen=True)
class Task:
    """One row of the results. given: everything it depends on, plain JSON types."""

    given: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The digest of `given`: the same task has the same id in every sweep."""
        return digest(self.given)


@dataclass(frozen=True)
class Batch:
    """Tasks that are done together. order: what the worker needs to do them, plain JSON types, sent as it is.

    alone: one task that is tried with nothing beside it.
    """

    tasks: tuple[Task, ...]
    order: Mapping[str, Any]
    alone: bool = False

    def without(self, done: Collection[str], *, split: Callable[[Mapping, Collection[str]], Mapping]) -> Batch | None:
        """What is left to do: its order is what `split(order, ids)` makes of it; None when all is done."""
        left = tuple(task for task in self.tasks if task.id not in done)
        if not left:
            return None
        return self if len(left) == len(self.tasks) else Batch(left, split(self.order, {task.id for task in left}))

    @property
    def cases(self) -> list[str | None]:
        """The cases it is about, in order; a whole run counts as one."""
        return list(dict.fromkeys(task.given.get("case") for task in self.tasks))

    def parted(self, count: int, *, split: Callable[[Mapping, Collection[str]], Mapping]) -> tuple[Batch, Batch | None]:
        """Its first `count` cases, and the rest of it, if any."""
        first = set(self.cases[:count])
        later = {task.id for task in self.tasks if task.given.get("case") not in first}
        sooner = {task.id for task in self.tasks} - later
        head = self.without(later, split=split)
        assert head is not None, f"count must be 1 or more, not {count!r}"
        return head, self.without(sooner, split=split)


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
