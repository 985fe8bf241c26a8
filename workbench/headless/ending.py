"""How work ends that nobody watches: by a signal, or with the process that started it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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

    names = ("SIGINT", "SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    known = [number for name in names if (number := getattr(signal, name, None)) is not None]
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
