"""Which of the processes of a training this one is, as launchers say in the environment."""

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
