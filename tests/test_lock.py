"""One process at a time works in a run folder."""

import os
from pathlib import Path

import pytest

from workbench.artifacts.lock import LOCK_NAME, RunLocked, run_lock


def test_the_lock_of_a_living_run_is_kept_and_of_a_dead_one_taken(tmp_path: Path) -> None:
    with run_lock(tmp_path), pytest.raises(RunLocked, match=f"process {os.getpid()}"), run_lock(tmp_path):
        pass
    (tmp_path / LOCK_NAME).write_text('{"pid": 4194304, "since": "long ago"}')
    with run_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()
    assert (tmp_path / LOCK_NAME).read_text() == ""
