"""The kernel the chain starts: an IPython kernel that ends when the process that started it does.

A killed chain cannot stop its kernel. ipykernel's own watch only notices being handed to process 1, which does not
happen under every service manager; the kernel would go on writing while the next run works in the same folder.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.artifacts.lock import hold_kernel_lock
from workbench.artifacts.looking import RUN_DIR
from workbench.headless.ending import end_with


@contextmanager
def own_kernel(run_dir: Path) -> Iterator[None]:
    """While the block runs, let `python3` mean this interpreter, whatever kernels and start-up files the user has.

    Sets and dictionaries of text have one order in every such kernel: the same run writes the same bytes.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-", ignore_cleanup_errors=True) as folder:
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        content = {
            "argv": [sys.executable, "-m", "workbench.headless.kernel", "-f", "{connection_file}"],
            "display_name": "chain",
            "language": "python",
            "env": {"IPYTHONDIR": str(Path(folder, "ipython")), "PYTHONHASHSEED": "0"},
        }
        spec.write_text(json.dumps(content), "utf-8")
        with _environment(JUPYTER_PATH=_joined(folder, os.environ.get("JUPYTER_PATH")), **{RUN_DIR: str(run_dir)}):
            yield


def _joined(folder: str, more: str | None) -> str:
    return os.pathsep.join([folder, more] if more else [folder])


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def main() -> None:
    """Serve as a kernel; arguments are those of `python -m ipykernel_launcher`."""
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
