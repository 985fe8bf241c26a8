"""Packed rows: nothing leaks between cases, the loss and its gradients are those of the padded batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import NAMES, chain_case, save_tiny, tiny_reader
from transformers import AutoModelForCausalLM, GPTNeoXConfig

from workbench import models
from workbench.train import TrainConfig, collate, train
from workbench.train.packing import IGNORED, pack, packed_attention


def row(rng: np.random.Generator, length: int, answer: int) -> dict[str, list[int]]:
    ids = rng.integers(5, 60, size=length).tolist()
    return {"input_ids": ids, "labels": [IGNORED] * (length - answer) + ids[length - answer :]}


def gradients(lm, batch) -> tuple[float, list[torch.Tensor]]:
    lm.model.zero_grad()
    loss = lm.model(**batch).loss
    loss.backward()
    return float(loss.detach()), [p.grad.clone() for p in lm.model.parameters() if p.grad is not None]


READER = tiny_reader()


def assert_same_when_packed(lm, rows) -> None:
    """Loss and gradients of packed rows are those of the padded batch."""
    expected, slopes = gradients(lm, collate(rows, 0))
    with packed_attention(lm):
        loss, packed = gradients(lm, pack(rows))
    assert loss == pytest.approx(expected, abs=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(slopes, packed, strict=True))


@given(st.lists(st.tuples(st.integers(2, 30), st.integers(1, 29)), min_size=1, max_size=7), st.integers(0, 9))
def test_loss_and_gradients_are_those_of_the_padded_batch(sizes, seed):
    rng = np.random.default_rng(seed)
    assert_same_when_packed(READER, [row(rng, length, min(answer, length - 1)) for length, answer in sizes])
    assert READER.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["llama", "qwen"])  # both with fewer heads of keys than of queries
def test_what_one_case_says_does_not_reach_another(tmp_path, kind):
    lm = models.load(str(save_tiny(tmp_path, kind)), names=NAMES, four_bit=False)
    rng = np.random.default_rng(0)
    rows = [row(rng, n, 3) for n in (9, 14, 5)]
    other = [row(rng, 9, 3), rows[1], row(rng, 5, 3)]
    with packed_attention(lm), torch.no_grad():
        first, second = (lm.model(**pack(some)).logits[0, 3:6] for some in (rows, other))
    assert torch.equal(first, second)
    with torch.no_grad():
        alone = lm.model(torch.tensor([rows[1]["input_ids"]])).logits[0, -4:-1]
    assert torch.allclose(first, alone, atol=1e-5)


def inputs_of(module: torch.nn.Module, seen: list[int]):
    """A hook that notes how many tokens the module is asked for."""
    return module.register_forward_pre_hook(lambda _module, args: seen.append(args[0].shape[1]))


def test_the_last_layer_works_where_the_loss_looks_and_as_before_afterwards():
    batch = pack([row(np.random.default_rng(1), n, 3) for n in (9, 14, 5)])
    first, last = READER.model.model.layers[0], READER.model.model.layers[-1]
    watched = {"first": first.mlp.down_proj, "last": last.mlp.down_proj, "keys": last.self_attn.k_proj}
    seen = {name: [] for name in watched}
    hooks = [inputs_of(module, seen[name]) for name, module in watched.items()]
    with packed_attention(READER), torch.no_grad():
        READER.model(**batch)
        every = READER.model(**{k: v for k, v in batch.items() if k not in ("logits_to_keep", "labels")}).logits
    with torch.no_grad():
        READER.model(batch["input_ids"])
    assert every.shape[1] == 28
    assert seen == {"first": [28, 28, 28], "last": [9, 28, 28], "keys": [28, 28, 28]}
    for hook in hooks:
        hook.remove()


def test_a_model_whose_last_layer_has_other_parts_is_packed_as_well():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = AutoModelForCausalLM.from_config(GPTNeoXConfig(vocab_size=64, max_position_embeddings=64, **sizes))
    rows = [row(np.random.default_rng(2), n, 3) for n in (9, 14, 5)]
    assert_same_when_packed(replace(READER, model=model.eval()), rows)


def test_a_row_says_where_its_cases_are():
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8, 9], "labels": [-100, 9]}]
    batch = pack(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]] and batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 5] and batch["max_length_q"] == 3
    assert batch["logits_to_keep"].tolist() == [0, 1, 3] and batch["shift_labels"].tolist() == [[6, 7, 9]]


def test_packed_training_loses_as_padded_training_does(tmp_path):
    base = save_tiny(tmp_path / "llama", "llama")
    how = {"rank": 4, "alpha": 8, "steps": 4, "batch": 4, "checkpoint_every": 2, "seed": 5}
    losses = []
    for packed in (False, True):
        lm = models.load(str(base), names=NAMES)
        found = train(lm, [chain_case()], TrainConfig(**how, packed=packed), folder=tmp_path / str(packed))
        losses.append([row["loss"] for row in found.history])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_model_with_attention_of_its_own_is_refused_before_any_work(tmp_path):
    lm = models.load(str(save_tiny(tmp_path / "qwen", "qwen")), names=NAMES)
    lm.model.config.sliding_window, lm.model.config.use_sliding_window = 16, True
    with pytest.raises(ValueError, match=r"attention of its own \(qwen2\).*packed=False"):
        train(lm, [chain_case()], TrainConfig(packed=True), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
