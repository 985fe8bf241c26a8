"""`bench spectra`: adapters of the right shape, real figures, memory of the measured process alone."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from workbench.bench import measure, spectra
from workbench.models.adapter_folder import AdapterError, AdapterFolder


def test_the_adapter_has_the_shape_of_an_8b_model(tmp_path: Path) -> None:
    spectra.write_adapter(tmp_path / "a", rank=2, rng=np.random.default_rng(0))
    adapter = AdapterFolder.open(tmp_path / "a")
    assert len(adapter.scalings) == 64 and set(adapter.scalings.values()) == {(2, 2.0)}
    with safe_open(tmp_path / "a" / "adapter_model.safetensors", framework="np") as weights:
        shapes = {tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    assert shapes == {(2, 4096), (4096, 2), (1024, 2)}


@pytest.mark.slow
def test_a_quick_run_measures(tmp_path: Path) -> None:
    said: list[str] = []
    table = measure("spectra", run_dir=tmp_path, quick=True, seed=0, say=said.append)["table"]
    assert [row["what"] for row in table] == ["spectra", "compare"] and len(said) == 2
    for row in table:
        assert list(row) == list(spectra.TABLE)
        assert row["rows"] == 8 and 0 < row["seconds"] < row["in_all"]
        assert row["mib_peak"] is None or row["mib_idle"] <= row["mib_peak"]
    assert table[0]["error"] < 1e-5
    assert not list(tmp_path.iterdir())


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=str(tmp_path)):
        spectra.measured("spectra", tmp_path)
