"""Loading: 4-bit on a CPU, adapters on and off, two architectures, the paper's trainable ratio, clear refusals."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from dosed_models import with_adapter
from threadpoolctl import threadpool_info, threadpool_limits
from tiny import NAMES, chain_case, save_tiny

from workbench import models
from workbench.game import Engine
from workbench.models import ModelError, dequantised


@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_other_architectures_answer_and_take_an_adapter(tmp_path, kind):
    lm = models.load(str(save_tiny(tmp_path / kind, kind)), names=NAMES)
    kinds = {type(m).__name__ for m in lm.model.modules()}
    assert "Linear4bit" in kinds
    assert lm.tokenizer.padding_side == "left"
    models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
    engine, case = Engine(lm), chain_case()
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    tuned, base = (engine.logprobs([prompt], [answer], adapter=adapter)[0] for adapter in (True, False))
    assert torch.equal(tuned, base)  # B = 0
    assert tuned.shape == (len(answer),) and (tuned < 0).all()
    assert engine.answers([case], max_new_tokens=4)[0][0] == case.source


def loaded(folder: str, monkeypatch: pytest.MonkeyPatch, *, held: bool) -> models.LanguageModel:
    monkeypatch.setattr(dequantised, "HELD_UP_TO", 0.25 if held else 0.0)
    monkeypatch.setattr(models, "ALONE_UP_TO", 0)  # whatever a model's size
    lm = models.load(folder, names=NAMES)
    layers = [m for m in lm.model.modules() if isinstance(m, Linear4bit)]
    assert layers and all(("forward" in vars(m)) == held for m in layers)
    return lm


@pytest.mark.parametrize("kind", ["llama", "qwen"])  # the second has biases
def test_weights_held_dequantised_give_the_same_bits(tmp_path, monkeypatch, kind):
    folder, ids = str(save_tiny(tmp_path / kind, kind)), torch.arange(5, 60)[None]

    def passed(lm) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = lm.model.get_input_embeddings()(ids).detach().requires_grad_(True)
        logits = lm.model(inputs_embeds=inputs).logits
        logits.square().sum().backward()
        return logits.detach(), inputs.grad

    held, plain = (passed(loaded(folder, monkeypatch, held=held)) for held in (True, False))
    assert all(torch.equal(*both) for both in zip(held, plain, strict=True))


@pytest.mark.parametrize("kind", ["llama", "qwen"])
@pytest.mark.parametrize("four_bit", [True, False])
def test_an_adapter_in_one_product_says_the_same_and_can_be_dosed_changed_and_switched(
    tmp_path, monkeypatch, kind, four_bit
):
    monkeypatch.setattr(dequantised, "ALONE_UP_TO", 0)  # whatever a model's size
    folder = str(save_tiny(tmp_path / kind, kind))
    adapted = with_adapter(models.load(folder, names=NAMES, four_bit=four_bit), modules=("q_proj", "up_proj"))
    adapted.model.save_pretrained(tmp_path / "adapter", safe_serialization=True)
    how = {"factors": torch.float32, "adapter": tmp_path / "adapter", "four_bit": four_bit}
    apart, whole = (models.load(folder, names=NAMES, trainable=trainable, **how) for trainable in (True, False))
    case = chain_case()
    doses = [torch.full((4,), dose) for dose in (0.0, 0.5, 1.0)]

    def said(lm) -> list[torch.Tensor]:
        engine = Engine(lm)
        prompts, answers = [engine.prompt(case)] * 3, [engine.answer_ids(case, case.path)] * 3
        gates = [torch.full((len(case.facts),), 0.5)] * 3
        ways = {"doses": doses}, {"adapter": False}, {"gates": gates}, {}
        return [torch.stack(engine.logits(prompts, answers, **how)).detach() for how in ways]

    for _ in range(2):
        both = list(zip(said(apart), said(whole), strict=True))
        assert all(torch.allclose(*pair, atol=1e-4) for pair in both)
        (none, _, all_of_it), base, _, tuned = (pair[1] for pair in both)
        assert torch.allclose(none, base[0], atol=1e-5) and torch.allclose(all_of_it, tuned[0], atol=1e-5)
        assert not torch.allclose(base, tuned, atol=1e-2), "the adapter does something"
        assert not any(weight.requires_grad for weight in whole.model.parameters())
        assert any(isinstance(vars(m).get("forward"), dequantised.Merged) for m in whole.model.modules())
        for name, factor in [*apart.model.named_parameters(), *whole.model.named_parameters()]:
            if "lora_A" in name:
                with torch.no_grad():
                    factor.mul_(-1.0)


def test_products_may_be_taken_of_half_the_bits(tmp_path, monkeypatch):
    folder = str(save_tiny(tmp_path / "llama", "llama"))
    exact = loaded(folder, monkeypatch, held=True)
    with_adapter(exact, modules=("q_proj", "down_proj"))
    exact.model.save_pretrained(tmp_path / "adapter")
    half = models.load(folder, names=NAMES, adapter=tmp_path / "adapter", factors=torch.bfloat16)
    assert dequantised.products(half.model) == torch.bfloat16 and half.runs_on == "cpu, products in bfloat16"
    case, (one, two) = chain_case(), (Engine(lm) for lm in (exact, half))
    rows = [one.prompt(case)], [one.answer_ids(case, case.path)]
    for adapter in (True, False):
        a, b = (engine.logits(*rows, adapter=adapter)[0] for engine in (one, two))
        assert 0 < (a - b).norm() < 0.01 * a.norm()
    gate = torch.full((len(case.facts),), 0.5, requires_grad=True)
    values = [engine.logits(*rows, gates=[gate])[0].log_softmax(-1)[:, 0].sum() for engine in (one, two)]
    slopes = [one.backward(value, [gate])[0] for value in values]
    assert torch.nn.functional.cosine_similarity(*slopes, dim=0) > 0.99
    assert exact.runs_on == "cpu"


def test_held_weights_can_be_let_go_for_a_while(tmp_path, monkeypatch):
    lm = loaded(str(save_tiny(tmp_path / "llama", "llama")), monkeypatch, held=True)
    models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj",), dropout=0.0, seed=0)
    before, ids = dequantised.held_weights(lm.model), torch.arange(5, 60)[None]
    with torch.no_grad(), dequantised.as_loaded(lm.model):
        assert before and not dequantised.held_weights(lm.model)
        logits = lm.model(ids).logits
    with torch.no_grad():
        assert torch.equal(logits, lm.model(ids).logits)
    assert all(torch.equal(*both) for both in zip(before, dequantised.held_weights(lm.model), strict=True))
    monkeypatch.setattr(dequantised, "HELD_UP_TO", 0.0)
    with dequantised.as_loaded(lm.model):
        pass
    assert not dequantised.held_weights(lm.model)  # there is no room any more


def test_held_weights_must_fit_into_a_share_of_the_free_memory(tmp_path, monkeypatch):
    folder = str(save_tiny(tmp_path / "llama", "llama"))
    decoder = models.load(folder, names=NAMES, four_bit=False).model.model.layers
    size = 4 * sum(m.weight.numel() for m in decoder.modules() if isinstance(m, torch.nn.Linear))
    for free, held in ((4 * size, True), (4 * size - 4, False)):
        monkeypatch.setattr(dequantised, "free_memory", lambda _, free=free: free)
        layers = [m for m in models.load(folder, names=NAMES).model.modules() if isinstance(m, Linear4bit)]
        assert all(("forward" in vars(m)) == held for m in layers)


def test_gradients_still_flow_after_an_evaluation(tmp_path):
    """On some processors a 4-bit layer repacks itself in eval mode and then passes no gradient."""
    lm = models.load(str(save_tiny(tmp_path / "llama", "llama")), names=NAMES)
    models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
    engine, case = Engine(lm), chain_case()
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    before = engine.logprobs([prompt], [answer])[0]
    engine.answers([case], max_new_tokens=2)
    gate = torch.ones(len(case.facts), requires_grad=True)
    value = engine.logprobs([prompt], [answer], gates=[gate])[0].sum()
    value.backward()
    assert gate.grad is not None and gate.grad.abs().sum() > 0
    assert torch.allclose(before.sum(), value, atol=1e-4)
    lm.model.train()
    ids = torch.tensor([prompt.ids])
    lm.model(input_ids=ids, labels=ids).loss.backward()
    grads = [p.grad for n, p in lm.model.named_parameters() if "lora_B" in n]
    assert grads and all(g is not None and g.abs().sum() > 0 for g in grads)


def test_the_papers_trainable_ratio():
    trainable, total = models.trainable_ratio(models.deepseek_8b_config(), rank=16, modules=("q_proj", "v_proj"))
    assert (trainable, total) == (6_815_744, 8_037_076_992)
    assert f"{100 * trainable / total:.4f}" == "0.0848"


def test_the_head_takes_the_last_positions_of_several_prompts_as_rows_on_end(tmp_path):
    lm, taken = models.load(str(save_tiny(tmp_path / "llama", "llama")), names=NAMES), []
    lm.model.get_output_embeddings().register_forward_hook(lambda _head, given, _found: taken.append(given[0]))
    engine, case = Engine(lm), chain_case()
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    engine.logprobs([prompt, prompt], [answer, answer])
    assert [rows.shape[0] for rows in taken] == [2] and taken[0].shape[1] < len(prompt.ids)
    assert all(rows.is_contiguous() for rows in taken)
    weight, gaps = lm.model.get_output_embeddings().weight, torch.cat([taken[0]] * 2, 1)[:, : taken[0].shape[1]]
    assert not gaps.is_contiguous()
    said, slow = (torch.nn.functional.linear(rows, weight) for rows in (taken[0], gaps))
    assert torch.allclose(said, slow, rtol=1e-5, atol=1e-6)


def test_an_adapter_on_unknown_modules_is_refused(tmp_path):
    lm = models.load(str(save_tiny(tmp_path / "llama", "llama")), names=NAMES)
    with pytest.raises(ModelError, match="no adapter on nothing_proj"):
        models.add_adapter(lm, rank=4, alpha=8, modules=("nothing_proj",), dropout=0.0, seed=0)


def test_a_small_model_runs_on_one_thread_and_a_large_one_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> set[int]:
        return {torch.get_num_threads(), *(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")}

    before = torch.get_num_threads()
    with threadpool_limits(2, user_api="blas"):  # as it was, afterwards
        try:
            torch.set_num_threads(2)
            models.load("reader", names={"a": "a"})
            assert threads() == {1}
            monkeypatch.setattr(models, "ALONE_UP_TO", 0)
            monkeypatch.setattr(models, "THREADS", 2)
            models.load("reader", names={"a": "a"})
            assert threads() == {2}
        finally:
            torch.set_num_threads(before)
