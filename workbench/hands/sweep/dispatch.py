"""Hands batches to the workers of a Dask scheduler, started here or elsewhere, and gives what comes back.

When a worker dies, everything that waited on it goes to another, and is suspected when that dies too. Suspects are
tried at the end, task by task, with nothing beside them: what then costs its worker is at fault, and fails.
"""

from __future__ import annotations

import logging
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from workbench.hands.sweep.tasks import Batch, perform, told

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
"""What `tasks.perform` gives."""


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
