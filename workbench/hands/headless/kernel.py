"""The kernel the chain starts: an IPython kernel that ends when the process that started it does; how work ends that
nobody watches: by a signal, or with that process.

A killed chain cannot stop its kernel. ipykernel's own watch only notices being handed to process 1, which does not
happen under every service manager; the kernel would go on writing while the next run works in the same folder.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.artifacts.lock import hold_kernel_lock
from workbench.artifacts.runs import RUN_DIR
from workbench.artifacts.start import own_process

POLL_SECONDS = 0.5
ENDS_WITH = "WORKBENCH_ENDS_WITH"  # environment variable of `workbench run`: the process it does not outlive


class Interrupted(KeyboardInterrupt):
    """A signal stopped the work; what was finished is kept. `signum`: which signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise Interrupted where a signal would end the process, so that what it started is stopped on the way out."""

    def interrupt(signum: int, _frame: Any) -> None:
        raise Interrupted(signum)

    main = threading.current_thread() is threading.main_thread()
    known = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if main else ()
    # nohup stays nohup
    before = {n: signal.signal(n, interrupt) for n in known if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with(parent: int) -> None:
    """From now on this process ends at once when `parent` is no longer the one that it was started by."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve as a kernel; arguments are those of `python -m ipykernel_launcher`."""
    own_process()
    parent = int(os.environ.get("JPY_PARENT_PID") or os.getppid())  # set by the manager before it starts the kernel
    folder = os.environ.get(RUN_DIR)
    held = hold_kernel_lock(Path(folder)) if folder else None  # before the watch: once it runs, the end may come
    end_with(parent)
    from ipykernel.kernelapp import launch_new_instance

    try:
        launch_new_instance()
    finally:
        if held:
            held.close()


if __name__ == "__main__":
    main()
