"""What holds for all tests, and for the processes that they start."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch or numpy are imported: models this small run faster alone
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and some tests send it

WORKERS = 4  # at most: each holds torch and a browser or a kernel
LONG = ("chain", "ui", "slow")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process a core; none where files or tests are named, which starting processes would only hold up."""
    if any(Path(word.partition("::")[0]).is_file() for word in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(WORKERS, cores or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of long tests come first, so that at the end no process works alone on one of them."""
    long = {item.path for item in items if any(item.get_closest_marker(name) for name in LONG)}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def made_kg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the first notebook on the shipped table; tests copy it."""
    from notebook_runs import execute

    run = tmp_path_factory.mktemp("graph") / "run"
    execute("01_build_kg", run_dir=str(run), shown_nodes=30)
    return run
