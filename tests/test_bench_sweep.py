"""The benchmark of sweeps: what it measures, on a small run."""

import json

import pytest

from workbench.bench import sweep
from workbench.cli import main


@pytest.mark.slow
def test_one_worker_and_two_do_the_same_explanations(tmp_path, small_run, monkeypatch):
    monkeypatch.setattr(sweep, "GRIDS", ("certified",))
    monkeypatch.setattr(sweep, "QUICK_EXPLANATIONS", 2)
    file = tmp_path / "sweep.json"
    assert main(["bench", "sweep", "--quick", "--json", str(file), "--run-dir", str(small_run)]) == 0
    result = json.loads(file.read_text())
    assert [row["method"] for row in result["table"]] == ["certified"]
    for row in result["table"]:
        assert row["seconds_1"] > 0 and row["seconds_2"] > 0 and row["overhead_ms_2"] > 0
        rows = {one["workers"]: one for one in result["grids"][row["method"]]["rows"]}
        assert row["times_command"] == pytest.approx(rows[1]["command_seconds"] / rows[2]["command_seconds"])
        assert all(one["tasks"] == 2 and one["failed"] == 0 for one in rows.values())
