"""A Dask client: of workers started here, or of a scheduler that runs elsewhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

SCHEMES = ("tcp://", "tls://")
CONNECT_SECONDS = 20
RETRIES = 1  # of a batch whose worker died: then it is given up
LOCAL = {
    "distributed.scheduler.allowed-failures": RETRIES,
    "distributed.worker.daemon": True,  # they end with the process that started them
}


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
        with (
            dask.config.set(LOCAL),
            _local(workers, resources) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
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


def offering(client: Client, resources: Mapping[str, float]) -> int:
    """How many threads of workers offer the resources now."""
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    fit = [w for w in known if all(w.get("resources", {}).get(name, 0) >= value for name, value in resources.items())]
    return sum(worker["nthreads"] for worker in fit)


def _local(workers: int | None, resources: Mapping[str, float]) -> LocalCluster:
    count = (1 if resources else _cores()) if workers is None else workers
    if count < 1:
        raise ValueError(f"--workers must be 1 or more, not {workers!r}")
    if resources:
        _check_gpu(count, resources)
    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        worker_dashboard_address=None,
        silence_logs=logging.CRITICAL,
        resources=dict(resources) or None,
    )


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
