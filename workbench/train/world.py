"""One training by several processes, one a GPU: each takes its part of every batch, and gradients are averaged.

    accelerate launch --multi_gpu --num_processes 4 -m workbench.train --model M --out ADAPTER

and `-p adapter ADAPTER` has notebook 2 judge what came out. With accelerate's `--num_machines`, `--machine_rank` and
`--main_process_ip` it reaches over machines that share the folder; given again, it goes on from the last checkpoint.
A batch has as many cases as with one process. Rows, order, loss and steps are those of one process too; sums are taken
in another order, so the last digits of the weights differ. Which process this one is, launchers say in the environment.
"""

from __future__ import annotations

import os

import torch


def world() -> int:
    """How many processes train together with this one, itself included: 1, unless a launcher says otherwise."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process writes and tells, for all of them."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_all() -> None:
    """Returns when every process has come here."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def check_world(*, batch: int, seconds: float | None) -> None:
    """ValueError: so many processes cannot train in such batches, or until a time."""
    processes = world()
    if batch % processes:
        raise ValueError(f"batch must be a multiple of the {processes} processes that train, not {batch}")
    if processes > 1 and seconds is not None:
        raise ValueError(f"seconds must be None where {processes} processes train together: their clocks differ")
