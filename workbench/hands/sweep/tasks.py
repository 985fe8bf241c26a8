"""The tasks of a sweep, each with an id that is the digest of what it is, the batches they are handed out in, and the
workers of a Dask scheduler, started here or elsewhere, that they go to.

When a worker dies, everything that waited on it goes to another, and is suspected when that dies too. Suspects are
tried at the end, task by task, with nothing beside them: what then costs its worker is at fault, and fails.

Loads nothing heavy beside Dask: workers come here first, and what their imports take is booked, not hidden.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import import_module
from itertools import islice
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

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


SCHEMES = ("tcp://", "tls://")
CONNECT_SECONDS = 20
LOCAL = {
    "distributed.scheduler.allowed-failures": 1,  # of a batch whose worker died: then it is given up
    "distributed.worker.daemon": True,  # they end with the process that started them
    # it looks at the frames of threads, which on Python 3.11 stops a worker for good now and then (cpython 106883)
    "distributed.worker.profile.enabled": False,
    # else whatever a pass of a model frees goes back to the system, and comes back page by page
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}
AHEAD = 3  # batches waiting for each thread: enough that none idles, few enough that a large sweep fits in memory
LEAST_AHEAD = 8
SHARES = 2  # a batch is at most one of so many parts, for each thread, of the cases that are left
DEADLY = "the worker died of it, twice; most often of memory"

Answer = Mapping[str, Any]
"""What `perform` gives."""


def answers(
    client: Client, batches: Iterable[Batch], resources: Mapping[str, float]
) -> Generator[tuple[Batch, Answer], None, None]:
    """Every batch, or part of one, with what came of it; no other is handed out in its place before it is taken.

    batches: those of a sequence are cut to shares; others are taken as they come, no earlier than they are wanted.
    resources: what a worker must offer. ConnectionError: the scheduler dropped the work.
    """
    threads = partial(offering, client, resources)
    coming = shares(batches, threads) if isinstance(batches, Sequence) else iter(batches)
    suspects, out = deque[Batch](), dict[Any, tuple[Batch, Future]]()
    queue = as_completed([], loop=client.loop)

    def submit(some: Iterator[Batch]) -> None:
        for batch in some:
            future = client.submit(perform, batch.order, pure=False, resources=dict(resources) or None)
            out[future.key] = (batch, future)
            queue.add(future)

    try:
        while True:
            submit(islice(coming, max(0, max(AHEAD * threads(), LEAST_AHEAD) - len(out))))
            if not out:
                submit(iter([suspects.popleft()] if suspects else []))
            if not out:
                return
            batch, future = out.pop(next(queue).key)
            if (answer := _answer(batch, future)) is not None:
                yield batch, answer
            else:
                suspects += [Batch((task,), batch.by, batch.shared, batch.cases, alone=True) for task in batch.tasks]
    finally:
        for _, future in out.values():
            future.cancel()


def shares(batches: Sequence[Batch], threads: Callable[[], int]) -> Iterator[Batch]:
    """The batches, each cut to a share of what is left: small ones at the end keep no worker waiting.

    Guided self-scheduling (Polychronopoulos and Kuck 1987, IEEE Transactions on Computers C-36).
    """
    waiting, left = deque(batches), sum(len(batch.about) for batch in batches)
    while waiting:
        batch, rest = waiting.popleft().parted(math.ceil(left / (SHARES * max(threads(), 1))))
        if rest.tasks:
            waiting.appendleft(rest)
        left -= len(batch.about)
        yield batch


def _answer(batch: Batch, future: Future) -> Answer | None:
    """What came of a batch; None: its worker died, and it is not known of which task."""
    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        raise ConnectionError("the scheduler dropped the work; what came in is kept. Give the same command again")
    error = future.exception()
    if isinstance(error, KilledWorker) and not batch.alone:
        return None
    why = DEADLY if isinstance(error, KilledWorker) else told(error)
    return {"outcomes": [{"id": task.id, "error": why} for task in batch.tasks], "seconds": 0.0, "loading": 0.0}


def offering(client: Client, resources: Mapping[str, float]) -> int:
    """How many threads of workers offer the resources now."""
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    fit = [w for w in known if all(w.get("resources", {}).get(name, 0) >= value for name, value in resources.items())]
    return sum(worker["nthreads"] for worker in fit)


@contextmanager
def connected(
    scheduler: str | None, *, workers: int | None, resources: Mapping[str, float], say: Callable[[str], None]
) -> Iterator[Client]:
    """A client while its block runs.

    scheduler: address, or None for workers of this machine: processes of one thread each that listen on it alone.
    workers: how many of those; None: one a core. resources: what a worker must offer.
    ValueError: what is asked cannot be had. OSError: no scheduler answers.
    """
    if scheduler is None:
        with dask.config.set(LOCAL), _local(workers, resources) as own, Client(own, set_as_default=False) as client:
            yield client
        return
    if workers is not None:
        raise ValueError("--workers are those of this machine; a scheduler has its own, so give one of the two")
    if not scheduler.startswith(SCHEMES):
        raise ValueError(f"--scheduler must be an address such as tcp://host:8786, not {scheduler!r}")
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {scheduler}: {error}. Start one with `dask scheduler`.") from error
    with client:
        if not offering(client, resources):
            tag = "".join(f", --resources '{name}={value:g}'" for name, value in resources.items())
            say(f"no worker that could do this has joined {scheduler} yet; waiting (dask worker {scheduler}{tag})")
        yield client


def _local(workers: int | None, resources: Mapping[str, float]) -> LocalCluster:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = (1 if resources else cores) if workers is None else workers
    if count < 1:
        raise ValueError(f"--workers must be 1 or more, not {workers!r}")
    if resources:
        _check_gpu(count, resources)
    local = dict.fromkeys(("dashboard_address", "worker_dashboard_address")) | {"host": "127.0.0.1"}
    how: dict[str, Any] = {"processes": True, "threads_per_worker": 1, "silence_logs": logging.CRITICAL}
    # torch takes the second of these before the first, and dask would set both to 1
    threads = os.environ.get("OMP_NUM_THREADS", max(1, cores // count))
    how["env"] = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    return LocalCluster(n_workers=count, resources=dict(resources) or None, **how, **local)


def _check_gpu(count: int, resources: Mapping[str, float]) -> None:
    """ValueError: this machine cannot offer what the grid asks for: one worker with `GPU: 1`, where there is a GPU."""
    import torch

    if set(resources) != {"GPU"} or resources["GPU"] > 1 or count > 1 or not torch.cuda.is_available():
        asked = ", ".join(f"{name}: {value:g}" for name, value in resources.items())
        has = "one worker with GPU: 1" if torch.cuda.is_available() else "no GPU"
        raise ValueError(
            f"the grid asks for {count} workers with {asked}, this machine offers {has}. Start a scheduler and workers "
            "with --resources, one a GPU, and give --scheduler"
        )
