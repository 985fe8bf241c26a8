"""One run folder, one run: a lock that the operating system gives back when its holder dies."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from workbench.kernel import POLL_SECONDS

try:
    import fcntl
except ImportError:  # Windows: runs are not protected from one another there
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = ".lock"


class RunLocked(RuntimeError):
    """Another process is running in this folder."""


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Hold a run folder while the block runs.

    The lock of a process that died without giving it back is taken over, after a pause in which the dead run's kernel
    notices and ends too.

    Raises:
        RunLocked: a living process holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOCK_NAME).open("a+", encoding="utf-8") as opened:
        if not _take(opened):
            raise RunLocked(
                f"{run_dir} is in use by another run ({_holder(opened) or 'just started'}). "
                "Wait until it ends, stop it, or give another --run-dir."
            )
        if _holder(opened):
            time.sleep(4 * POLL_SECONDS)
        _write(opened, json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}))
        try:
            yield
        finally:
            _write(opened, "")  # an empty file says that the holder ended in order; removing it would invite a race


def _take(opened: IO[str]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(opened: IO[str]) -> str:
    opened.seek(0)
    text = opened.read()
    try:
        holder = json.loads(text)
        return f"process {holder['pid']}, since {holder['since']}"
    except (ValueError, TypeError, KeyError):
        return text.strip()


def _write(opened: IO[str], text: str) -> None:
    opened.seek(0)
    opened.truncate()
    opened.write(text)
    opened.flush()
