"""The second notebook from first cell to last, on a model of another architecture with multi-token names."""

import json
import shutil
from itertools import product
from pathlib import Path

import pytest
from notebook_runs import execute, open_adapter
from safetensors.torch import load_file
from tiny import graph_words, save_tiny

from workbench.artifacts import runs
from workbench.cases import load_cases
from workbench.cases.sampling import split_counts

SIZES = {
    "train_cases": 200, "held_out_cases": 8, "held_out_sequences": 24, "held_out_tool_cases": 4,
    "steps": 3, "batch": 2, "checkpoint_every": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model"), "qwen", words=graph_words()))


@pytest.mark.slow
def test_the_training_notebook_leaves_a_finished_stage(made_kg: Path, model: str, tmp_path: Path) -> None:
    adapters, cases = [], []
    for name, scored in {"again": {"scored_cases": 1, "shares": [0.0]}, "first": {}}.items():
        run = Path(shutil.copytree(made_kg, tmp_path / name))
        execute("02_train_qlora", run_dir=str(run), model=model, **SIZES, **scored)
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


@pytest.mark.slow
@pytest.mark.parametrize("scores", [None, 0.5], ids=["no card", "card"])
def test_a_given_adapter_is_taken_as_it_is_and_judged_on_the_cases_of_the_run(
    made_kg: Path, model: str, tmp_path: Path, scores: float | None
) -> None:
    elsewhere = open_adapter(tmp_path / "elsewhere", model)
    if scores is not None:
        row = {"split": "held_out", "model": "tuned", "share": 0.0, "metric": "exact", "mean": scores}
        told = {"training": {"steps": 5, "seconds": 2.0, "loss": [{"step": 5, "loss": 1.0}]}, "scores": [row]}
        (elsewhere / "card.json").write_text(json.dumps(told), encoding="utf-8")
    run = Path(shutil.copytree(made_kg, tmp_path / "run"))
    fewer = {"scored_cases": 3, "base_cases": 2, "shares": [0.0, 0.3]}
    space = execute("02_train_qlora", run_dir=str(run), model=model, adapter=str(elsewhere), **SIZES, **fewer)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (run / "adapter" / name).read_bytes() == (elsewhere / name).read_bytes()
    manifest = runs.read_manifest(run, "adapter")
    metrics, made_from = manifest["metrics"], manifest["inputs"]["adapter"]
    assert Path(made_from["path"]) == elsewhere.resolve() and len(made_from["sha256"]) == 64
    assert not {"train_seconds", "train_steps", "held_out_loss"} & set(metrics)
    counted = {who: metrics["intervals"][f"{who}_exact_30"]["n"] for who in ("tuned", "base")}
    assert counted == {"tuned": 3, "base": 2} and "tuned_exact_60" not in metrics
    assert len(space["result"].history) == len(space["by_card"]) == (0 if scores is None else 1)
    assert space["engine"].lm.model.peft_config["default"].r == 4, "what answers is the given adapter"


def test_the_training_notebook_names_a_missing_stage(tmp_path: Path) -> None:
    with pytest.raises(runs.MissingStage, match="01_build_kg"):
        execute("02_train_qlora", run_dir=str(tmp_path / "nothing"))
