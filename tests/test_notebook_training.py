"""The second notebook from first cell to last, on a model of another architecture with multi-token names; and which
cases of a run are held out from an adapter that was trained elsewhere."""

import json
import shutil
from itertools import product
from pathlib import Path

import pytest
from notebook_runs import execute, open_adapter
from safetensors.torch import load_file
from tiny import graph_words, save_tiny

from workbench.artifacts import runs
from workbench.cases import Case, load_cases
from workbench.cases.sampling import split_counts, stretches
from workbench.models.smollm2 import ADAPTERS, shipped, trained_on
from workbench.train.qlora import GivenAdapter

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
def test_a_given_adapter_is_taken_as_it_is_and_judged_on_the_cases_of_the_run(made_kg, model, tmp_path, scores):
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


def case(source: str, chain: tuple[str, ...], target: str, split: str) -> Case:
    path = (source, *(node for command in chain for node in ("format:x", command)), target)
    return Case(id=split, source=source, target=target, facts=(), path=path, names={}, split=split)


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_ships_was_not_trained_on_the_cases_that_it_is_judged_by(name: str) -> None:
    learned = trained_on(shipped(name))
    assert len(learned) > 2_000
    pairs, rows = {pair[:2] for pair in learned}, {row for *_, chain in learned for row in stretches(chain)}
    for file in shipped(name).glob("cases_held_out*.jsonl.gz"):
        for one in load_cases(file):
            assert (one.source, one.target) not in pairs
            assert one.split != "held_out_sequences" or one.toolchain not in rows


def test_cases_that_it_learned_are_not_held_out_from_it() -> None:
    given = GivenAdapter.chosen("whole", "smollm2")
    source, target, chain = next(row for row in trained_on(shipped("whole")) if len(row[2]) > 2)
    known = [case(source, chain, target, split) for split in ("train", "held_out", "held_out_sequences")]
    part = case("source:another", chain[:2], target, "held_out_sequences")
    new = [
        case("source:another", chain, target, "held_out"),
        case("source:another", chain[::-1], target, "held_out_sequences"),
    ]
    splits = {"train": known[:1], "held_out": [known[1], new[0]], "held_out_sequences": [known[2], part, new[1]]}
    assert given is not None
    assert stretches(chain) <= given.taught and (source, target, chain) in given.learned
    assert given.unseen(splits) == {"train": known[:1], "held_out": new[:1], "held_out_sequences": new[1:]}


def test_what_another_adapter_learned_is_not_known(tmp_path: Path) -> None:
    assert trained_on(tmp_path) == trained_on(tmp_path / "whole") == []
