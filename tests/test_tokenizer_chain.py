"""The four notebooks with the real model's tokenizer on tiny random weights: names of many tokens, a silent base."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from notebook_runs import execute
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from workbench import Run
from workbench.artifacts.runs import STAGES
from workbench.bench.kills import SMALL

pytestmark = [pytest.mark.smollm2, pytest.mark.chain]

TINY = {name: yaml.safe_load(value) if isinstance(value, str) else value for name, value in SMALL.items()} | {
    "adapter": "train", "steps": 2, "batch": 2, "shares": [0.0], "scored_cases": 2, "base_cases": 1,
    "explained_cases": 1, "dosed_cases": 2, "map_cases": 1, "agreement_cases": 2, "deleted_cases": 1,
    "reduced_cases": 2, "random_changes": 1, "units": "layer", "closer_layers": 1, "max_new_tokens": 8,
    "other_orders": 1, "loop_steps": 1, "paper_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(smollm2_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real tokenizer and chat template, two layers of random weights below its vocabulary."""
    folder = tmp_path_factory.mktemp("tiny-smollm2")
    tokenizer = AutoTokenizer.from_pretrained(smollm2_made / "workbench" / "models" / "smollm2")
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, max_position_embeddings=8192, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_all_four_notebooks_run_on_the_real_tokenizer(model: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"run_dir": str(tmp_path / "run"), "model": str(model), **TINY}
    for name in STAGES.values():
        execute(name, **given)
    run = Run(tmp_path / "run")
    assert all(run.has(stage) for stage in STAGES)
    tokens = {len(run.engine.lm.tokenizer.encode(f" {name}", add_special_tokens=False)) for name in run.names.values()}
    assert max(tokens) > 3, "names of several tokens, as a real model has them"
    assert run.metrics["explain"]["hanging"]["base_forced"]["share"] == 1, "random weights write no toolchain"
    asked = json.loads((run.folder / "explain" / "answers.json").read_text("utf-8"))
    assert asked["forced"][0] == asked["case"]["source"] and len(asked["forced"]) > 2
