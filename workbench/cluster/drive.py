"""Hands batches to workers, takes their rows as they come, and loses none of them to a failure or a stop."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, Future, KilledWorker, as_completed

from workbench.cluster.connect import offering
from workbench.headless.watch import Event, clock
from workbench.sweep import Batch, Results, row_of
from workbench.sweep.plan import told

AHEAD = 3  # batches waiting for each thread: enough that none idles, few enough that a large sweep fits in memory
LEAST_AHEAD = 8
SHARES = 2  # a batch is at most one of so many parts, for each thread, of the cases that are left
ROOM_SECONDS = 2.0  # between two looks at how many workers there are


@dataclass
class Spent:
    """What a sweep cost. seconds: from the first batch handed out to the last row; busy, loading: of all workers."""

    tasks: int = 0
    failed: int = 0
    batches: int = 0
    busy: float = 0.0
    loading: float = 0.0
    workers: set[str] = field(default_factory=set)
    started: float = 0.0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers. overhead: seconds of a worker a task that went into neither tasks nor loading."""
        names = ("tasks", "failed", "batches", "seconds", "busy", "loading")
        idle = self.seconds * max(len(self.workers), 1) - self.busy
        more = {"workers": len(self.workers), "overhead": idle / self.tasks if self.tasks else None}
        return {name: getattr(self, name) for name in names} | more


Tick = Callable[[Spent], object]
"""Called whenever a batch came in."""


def progress(spent: Spent, total: int) -> Event:
    """How far a sweep of `total` tasks is, and how long the rest will take at the mean pace so far."""
    left = spent.seconds / spent.tasks * (total - spent.tasks) if spent.tasks else None
    words = [f"{spent.tasks:,} of {total:,}", *([f"{spent.failed:,} failed"] if spent.failed else [])]
    words += [f"{clock(spent.seconds)} spent", *([f"about {clock(left)} left"] if left is not None else [])]
    fields: dict[str, Any] = {"done": spent.tasks, "total": total, "failed": spent.failed}
    fields |= {"seconds": round(spent.seconds, 1), "left_seconds": left}
    return Event("progress", ", ".join(words), fields)


@dataclass
class Drive:
    """One kind of work over many batches. work: a function of the package, called with a batch's order on a worker.

    When a worker dies, everything that waited on it goes to another, and is suspected when that dies too. Suspects are
    tried at the end, task by task, with nothing beside them: what then costs its worker is at fault, and fails.
    """

    client: Client
    results: Results
    work: Callable[[Mapping[str, Any]], dict[str, Any]]
    split: Callable[[Mapping[str, Any], Collection[str]], Mapping[str, Any]]
    resources: Mapping[str, float] = field(default_factory=dict)
    tick: Tick = lambda spent: None
    spent: Spent = field(default_factory=Spent)
    waiting: deque[Batch] = field(default_factory=deque)
    left: int = 0  # cases that wait
    threads: int = 0  # of workers, at the last look

    def run(self, batches: Sequence[Batch]) -> Spent:
        """Do them all; the rows of a batch are on the disk before another is handed out in its place."""
        self.waiting, self.suspects, self.out = deque(batches), deque[Batch](), dict[Any, tuple[Batch, Future]]()
        self.left, self.asked = sum(len(batch.cases) for batch in batches), -ROOM_SECONDS
        self.spent.started = time.perf_counter()
        queue = as_completed([], loop=self.client.loop)
        try:
            while self.waiting or self.suspects or self.out:
                self._hand_out(queue)
                future = next(queue)
                self._take(*self.out.pop(future.key))
        finally:
            for _, future in self.out.values():
                future.cancel()
        return self.spent

    def _hand_out(self, queue: as_completed) -> None:
        """As many batches as the workers have room for; a suspect when nothing else is left."""
        if time.monotonic() - self.asked > ROOM_SECONDS:
            self.threads, self.asked = offering(self.client, self.resources), time.monotonic()
        while self.waiting and len(self.out) < max(AHEAD * self.threads, LEAST_AHEAD):
            self._submit(self._next(), queue)
        if self.suspects and not self.out:
            self._submit(self.suspects.popleft(), queue)

    def _next(self) -> Batch:
        """What waits longest, cut to a share of what is left: small batches at the end keep no worker waiting.

        Guided self-scheduling (Polychronopoulos and Kuck 1987, IEEE Transactions on Computers C-36).
        """
        share = math.ceil(self.left / (SHARES * max(self.threads, 1)))
        batch, rest = self.waiting.popleft().parted(share, split=self.split)
        if rest:
            self.waiting.appendleft(rest)
        self.left -= len(batch.cases)
        return batch

    def _submit(self, batch: Batch, queue: as_completed) -> None:
        future = self.client.submit(self.work, dict(batch.order), pure=False, resources=dict(self.resources) or None)
        self.out[future.key] = (batch, future)
        queue.add(future)

    def _take(self, batch: Batch, future: Future) -> None:
        """Write what came of a batch."""
        if future.status == "finished":
            answer = future.result()
            self.spent.busy += answer["seconds"]
            self.spent.loading += answer["loading"]
            self._note(batch, {one["id"]: one for one in answer["outcomes"]})
        elif future.status == "cancelled":
            raise ConnectionError("the scheduler dropped the work; what came in is kept. Give the same command again")
        elif isinstance(error := future.exception(), KilledWorker):
            self._suspect(batch)
        else:
            self._note(batch, {task.id: {"error": told(error)} for task in batch.tasks})

    def _suspect(self, batch: Batch) -> None:
        if batch.alone:
            self._note(batch, {batch.tasks[0].id: {"error": "the worker died of it, twice; most often of memory"}})
            return
        for task in batch.tasks:
            self.suspects.append(Batch((task,), self.split(batch.order, {task.id}), alone=True))

    def _note(self, batch: Batch, outcomes: Mapping[str, Mapping[str, Any]]) -> None:
        self.spent.seconds = time.perf_counter() - self.spent.started
        rows = []
        for task in batch.tasks:
            one = outcomes.get(task.id, {"error": "the worker sent no outcome"})
            rest = {"worker": one.get("worker"), "seconds": one.get("seconds")}
            rows.append(row_of(task.id, task.given, found=one.get("found"), error=one.get("error", ""), **rest))
        self.results.add(rows)
        failed = sum(bool(row["error"]) for row in rows)
        self.spent.tasks += len(rows)
        self.spent.failed += failed
        self.spent.batches += 1
        self.spent.workers |= {str(row["worker"]) for row in rows if row["worker"]}
        self.tick(self.spent)
