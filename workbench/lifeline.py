"""A process that ends when the one that started it is gone: it holds the other end of its stdin."""

from __future__ import annotations

import os
import signal
import threading

STDIN = 0


def end_with_parent() -> None:
    """From now on, stdin's closing ends this process as SIGTERM does. What stood in it is read and dropped."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    while os.read(STDIN, 1 << 12):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
