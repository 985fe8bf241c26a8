"""One run of the chain in a process of its own: `python -m workbench.cluster.child`, its order a line of JSON on stdin.

Stdin stays open as long as the worker lives. When it closes, the worker is gone, and the run stops as on Ctrl-C: its
kernel ends, what is finished stays.
"""

from __future__ import annotations

import json
import sys
import time

from workbench.artifacts.lock import RunLocked
from workbench.chain import run_chain
from workbench.lifeline import end_with_parent

LOCKED_SECONDS = 120.0  # how long the run of a dead worker may take to give the folder back
POLL_SECONDS = 0.5


def main() -> int:
    """0: the run is finished; 1: it failed, and stderr's last line says why."""
    order = json.loads(sys.stdin.readline())
    end_with_parent()
    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            run_chain(
                order["run_dir"],
                parameters=order["parameters"],
                notebooks=order["notebooks"],
                timeout=order["timeout"],
                say=lambda line: None,
            )
            return 0
        except RunLocked as error:
            if time.monotonic() > deadline:
                return _failed(error)
            time.sleep(POLL_SECONDS)
        except Exception as error:
            return _failed(error)


def _failed(error: Exception) -> int:
    print(" ".join(f"{type(error).__name__}: {error}".split()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
