"""The kernel the chain starts: an IPython kernel that ends when the process that started it does.

A killed chain cannot stop its kernel. ipykernel's own watch only notices being handed to process 1, which does not
happen under every service manager; the kernel would go on writing while a second run resumes in the same folder.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.5


@contextmanager
def own_kernel() -> Iterator[None]:
    """While the block runs, let `python3` mean this interpreter, whatever kernels and start-up files the user has."""
    with tempfile.TemporaryDirectory(prefix="workbench-", ignore_cleanup_errors=True) as folder:
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        content = {
            "argv": [sys.executable, "-m", "workbench.kernel", "-f", "{connection_file}"],
            "display_name": "chain",
            "language": "python",
            "env": {"IPYTHONDIR": str(Path(folder, "ipython"))},
        }
        spec.write_text(json.dumps(content), "utf-8")
        before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = os.pathsep.join([folder, *([before] if before else [])])
        try:
            yield
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before


def end_with_parent(parent: int) -> None:
    """Block until `parent` is no longer this process's parent, then end this process at once."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def main() -> None:
    """Serve as a kernel; arguments are those of `python -m ipykernel_launcher`."""
    from ipykernel.kernelapp import launch_new_instance

    parent = int(os.environ.get("JPY_PARENT_PID") or os.getppid())  # set by the manager before it starts the kernel
    threading.Thread(target=end_with_parent, args=(parent,), daemon=True).start()
    launch_new_instance()


if __name__ == "__main__":
    main()
