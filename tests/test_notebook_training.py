"""The second notebook from first cell to last, on a model of another architecture with multi-token names."""

import shutil
from itertools import product
from pathlib import Path

import pytest
from notebook_runs import execute
from safetensors.torch import load_file
from tiny import save_tiny

from workbench.artifacts import runs
from workbench.cases import load_cases
from workbench.sampling import split_counts

SIZES = {
    "train_cases": 200, "held_out_cases": 8, "held_out_sequences": 24, "held_out_tool_cases": 4,
    "steps": 3, "batch": 2, "checkpoint_every": 2,
}  # fmt: skip


@pytest.mark.slow
def test_the_training_notebook_leaves_a_finished_stage(made_kg: Path, tmp_path: Path) -> None:
    model = str(save_tiny(tmp_path / "model", "qwen"))
    adapters, cases = [], []
    for name in ("first", "again"):
        run = Path(shutil.copytree(made_kg, tmp_path / name))
        execute("02_train_qlora", run_dir=str(run), model=model, **SIZES)
        assert runs.is_complete(run, "adapter")
        adapters.append(load_file(run / "adapter" / "adapter_model.safetensors"))
        cases.append(load_cases(run / "adapter" / "cases_train.jsonl"))
    metrics = runs.read_manifest(run, "adapter")["metrics"]
    rows = product(("base", "tuned"), ("exact", "valid"), (0, 30, 60))
    assert {f"{who}_{what}_{share}" for who, what, share in rows} | {"train_seconds"} <= set(metrics)
    assert (metrics["trainable_parameters_8b"], metrics["total_parameters_8b"]) == (6_815_744, 8_037_076_992)
    assert metrics["held_out_cases"] == 8 and metrics["leaks"] == 0
    unseen = load_cases(run / "adapter" / "cases_held_out_sequences.jsonl")
    assert metrics["splits"]["held_out_sequences"] == split_counts(unseen)
    assert 0 < len(unseen) <= 24 and metrics["intervals"]["unseen_tuned_exact_30"]["n"] == len(unseen)
    kinds = {row["kind"]: row["n"] for row in metrics["held_out_by_sequence"]}
    assert sum(kinds.values()) == 8 and set(kinds) <= {"one command", "sequence seen", "sequence unseen"}
    assert cases[0] == cases[1]
    assert all((adapters[0][key] == adapters[1][key]).all() for key in adapters[0]), "one seed, one adapter"


def test_the_training_notebook_names_a_missing_stage(tmp_path: Path) -> None:
    with pytest.raises(runs.MissingStage, match="01_build_kg"):
        execute("02_train_qlora", run_dir=str(tmp_path / "nothing"))
