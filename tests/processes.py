"""Processes that tests start: this project's commands, what they find around them, and waiting for what they do."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
WAIT = 240  # seconds that a slow machine may take for what ends by itself


def command(*words: object) -> list[str]:
    """The words that run a command of the workbench by this Python."""
    return [sys.executable, "-m", "workbench", *map(str, words)]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Until the condition holds. AssertionError: it does not, however long one waits for `what`."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {WAIT} s"
        time.sleep(0.02)
