"""One run folder, one run: a lock that the operating system gives back when its holder dies.

The chain holds `.lock`; the kernel it starts holds `.lock.kernel`, since a kernel may live on for a moment after its
chain was killed, and must not write beside the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from workbench.artifacts.files import open_itself, refuse_link

LOCK_NAME = ".lock"
KERNEL_LOCK_NAME = ".lock.kernel"
KERNEL_SECONDS = 60.0  # how long the kernel of a dead run may take to end
POLL_SECONDS = 0.1


class RunLocked(RuntimeError):
    """Another process is running in this folder."""


@contextmanager
def run_lock(
    run_dir: Path, *, option: str = "--run-dir", say: Callable[[str], object] = lambda line: None
) -> Iterator[None]:
    """Hold a run folder while the block runs.

    The lock of a process that died without giving it back is taken over, as soon as the dead run's kernel has ended.

    Args:
        option: of the command line that names the folder, for the message.
        say: takes a line when such a lock is found.

    Raises:
        RunLocked: a living process holds it.
        ValueError: one of the lock's files is a link.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    refuse_link(run_dir / KERNEL_LOCK_NAME)  # here, where it can be said: the kernel would end without a word
    with open_itself(run_dir / LOCK_NAME, "a+") as opened:
        holder = _read(opened)
        if not _take(opened, holder):
            raise RunLocked(
                f"{run_dir} is in use by another run ({_described(holder)}). "
                f"Wait until it ends, stop it, or give another {option}."
            )
        holder = _read(opened)  # a run that ended between the two has left its name by now
        if holder:
            say(f"the last run here ended without a word ({_described(holder)}); its lock is taken over")
            _await_kernel(run_dir)
        _write(opened, json.dumps(_myself()))
        try:
            yield
        finally:
            _write(opened, "")  # an empty file says that the holder ended in order; removing it would invite a race


def hold_kernel_lock(run_dir: Path) -> IO[str] | None:
    """Take the kernel's lock of a run folder for as long as what is returned is kept; called in the kernel."""
    opened = open_itself(run_dir / KERNEL_LOCK_NAME, "a+")
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # a file system without locks
        opened.close()
        return None
    return opened


def _await_kernel(run_dir: Path) -> None:
    """Return when no kernel of an earlier run is alive any more."""
    path, deadline = run_dir / KERNEL_LOCK_NAME, time.monotonic() + KERNEL_SECONDS
    if not path.exists():
        return
    with open_itself(path, "a+") as opened:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RunLocked(
                        f"the kernel of a run that died is still working in {run_dir} after {KERNEL_SECONDS:.0f} s. "
                        f"Find it with `fuser {path}`, end it, and run again."
                    ) from None
                time.sleep(POLL_SECONDS)
            except OSError:
                return


def _take(opened: IO[str], holder: Mapping[str, Any]) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not _alive(holder)


def _alive(holder: Mapping[str, Any]) -> bool:
    """Whether the recorded holder still runs, where no lock can tell; one on another machine is taken to."""
    if not holder or holder.get("host") != socket.gethostname():
        return bool(holder)
    return isinstance(pid := holder.get("pid"), int) and pid in psutil.pids()


def _myself() -> dict[str, Any]:
    program = Path(sys.argv[0])
    words = ["python", "-m", program.parent.name] if program.name == "__main__.py" else [program.name or "python"]
    words += sys.argv[1:]
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": shlex.join(words)[:300],
    }


def _described(holder: Mapping[str, Any]) -> str:
    if not holder:
        return "just started"
    known = {name: " ".join(str(holder.get(name, "unknown")).split()) for name in ("pid", "host", "since", "command")}
    return f"process {known['pid']} on {known['host']}, since {known['since']}: {known['command']}"


def _read(opened: IO[str]) -> dict[str, Any]:
    """Who the file names; empty where it names nobody."""
    opened.seek(0)
    text = opened.read(10_000).strip()
    try:
        holder = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        holder = None
    return holder if isinstance(holder, dict) else {"command": text[:300]}


def _write(opened: IO[str], text: str) -> None:
    opened.seek(0)
    opened.truncate()
    opened.write(text)
    opened.flush()
