"""Which tokens belong to an element, and the shift of its tokens against a computation by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dosed_models import with_adapter
from peft import PeftModel
from refusals import refused
from shift_adapters import one_module, save_adapter
from tiny import NAMES, chain_case, save_tiny, tiny_reader

from workbench import models
from workbench.cases import Fact
from workbench.game import Engine, prefix
from workbench.models.dequantised import hold_merged
from workbench.models.prompts import encode
from workbench.shift import Factors, element_tokens, read_factors, token_shift

CASE = chain_case()


def tuned_reader(folder: Path) -> tuple[Engine, list[Factors]]:
    """A tiny reader with a random adapter, and its factors as saved."""
    lm = with_adapter(tiny_reader(), size=0.3)
    lm.model.save_pretrained(folder)
    return Engine(lm), list(read_factors(folder))


def test_a_word_is_a_token_to_the_reader() -> None:
    lm = tiny_reader()
    ids = encode(CASE, lm.template, lm.tokenizer).ids
    tokens = element_tokens(CASE, lm)
    for element, owned in zip(CASE.elements, tokens, strict=True):
        words = lm.tokenizer.convert_ids_to_tokens([ids[i] for i in owned])
        if isinstance(element, Fact):
            head, tail = (lm.template.name(CASE, end) for end in (element.head, element.tail))
            assert words == [head, tail, element.relation]
        else:
            lines = sum(element in (fact.head, fact.tail) for fact in CASE.facts)
            assert words == [lm.template.name(CASE, element)] * lines


@pytest.mark.parametrize(("first", "second"), [("reads", "B"), ("</s>", "<|user|> {head}")])
@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_names_of_several_tokens_and_of_markup_are_found_in_sentences(tmp_path: Path, kind, first, second) -> None:
    names = {**NAMES, "command:align": "reads reads", "format_3": "sort it B é", "format_1": first, "format_2": second}
    case = replace(CASE, names=names)
    lm = models.load(str(save_tiny(tmp_path, kind)), names=names, four_bit=False)
    ids = encode(case, lm.template, lm.tokenizer).ids
    tokens = element_tokens(case, lm)
    verbs = {fact: lm.template.verbs[fact.relation] for fact in case.facts}
    for element, owned in zip(case.elements, tokens, strict=True):
        text = lm.tokenizer.decode([ids[i] for i in owned])
        if isinstance(element, Fact):
            assert text == "- " + verbs[element].format(head=names[element.head], tail=names[element.tail]) + "\n"
        else:
            mentions = [fact for fact in case.facts if element in (fact.head, fact.tail)]
            assert text.replace(" ", "") == names[element].replace(" ", "") * len(mentions)


def test_shift_is_that_of_a_computation_by_hand(tmp_path: Path) -> None:
    engine, factors = tuned_reader(tmp_path)
    table = token_shift(engine, [CASE], factors)
    base = engine.lm.model.get_base_model()
    ids = torch.tensor([engine.prompt(CASE).ids])
    owners = element_tokens(CASE, engine.lm)
    with torch.no_grad():
        states = engine.lm.model(ids, output_hidden_states=True).hidden_states  # the input of every layer
    for one in factors:
        layer = base.model.layers[one.layer]
        embedded = base.get_input_embeddings().weight[ids[0]].detach().double().numpy()
        context = layer.input_layernorm(states[one.layer])[0].detach().double().numpy()
        module = base.get_submodule(one.module)
        both = module.base_layer.weight, module.get_delta_weight("default")
        w0, delta = (w.detach().double().numpy() for w in both)
        part = table[(table.layer == one.layer) & (table.projection == one.projection)]
        assert list(part.element) == list(range(len(CASE.elements)))
        for place, h in (("embedding", embedded), ("context", context)):
            norms = np.linalg.norm(h @ delta.T, axis=1)
            relative = norms / np.linalg.norm(h @ w0.T, axis=1)
            for column, values in ((place, norms), (f"{place}_relative", relative)):
                expected = [values[list(tokens)].mean() for tokens in owners]
                np.testing.assert_allclose(part[column], expected, rtol=1e-4, err_msg=f"{one.module} {column}")


def test_rows_name_their_elements_and_the_pass_is_booked(tmp_path: Path) -> None:
    engine, factors = tuned_reader(tmp_path)
    cases = [CASE, replace(CASE, id="shorter", facts=CASE.facts[:4])]
    table = token_shift(engine, cases, factors)
    assert len(table) == sum(len(case.elements) for case in cases) * len(factors)
    assert engine.ledger.rows == 2 and engine.ledger.tokens == sum(len(engine.prompt(case).ids) for case in cases)
    shorter = table[(table.case == "shorter") & (table.layer == 0) & (table.projection == "q_proj")]
    nodes = cases[1].nodes
    assert list(shorter.node) == [*nodes, *[""] * 4]
    assert list(shorter.kind) == ["node"] * len(nodes) + ["fact"] * 4


def test_batches_of_unlike_lengths_give_what_each_case_gives_alone(tmp_path: Path) -> None:
    engine, factors = tuned_reader(tmp_path)
    cases = [replace(CASE, id=str(n), facts=CASE.facts[:n]) for n in (6, 2, 9, 4, 7)]
    engine.batch_tokens = 80  # several batches, each of more than one case
    together = token_shift(engine, cases, factors)
    assert 1 < engine.ledger.calls < len(cases)
    alone = pd.concat([token_shift(engine, [case], factors) for case in cases], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-5)
    assert token_shift(engine, [], factors).empty


def test_hooks_are_gone_afterwards_even_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, factors = tuned_reader(tmp_path)
    token_shift(engine, [CASE], factors)

    def ends(*_: object, **__: object) -> None:
        assert any(module._forward_hooks for module in engine.lm.model.modules())
        raise RuntimeError("no pass")

    monkeypatch.setattr(engine, "logits", ends)
    refused("no pass", token_shift, engine, [CASE], factors, error=RuntimeError)
    assert not any(module._forward_hooks for module in engine.lm.model.modules())


def test_it_works_in_four_bits_and_on_other_architectures(tmp_path: Path) -> None:
    lm = models.load(str(save_tiny(tmp_path / "qwen", "qwen")), names=NAMES, four_bit=True)
    with_adapter(lm, size=0.3).model.save_pretrained(tmp_path / "adapter", safe_serialization=True)
    table = token_shift(Engine(lm), [CASE], list(read_factors(tmp_path / "adapter")))
    values = table[["embedding", "embedding_relative", "context", "context_relative"]].to_numpy()
    assert np.isfinite(values).all() and (values > 0).all()
    assert isinstance(lm.model, PeftModel)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    engine, _ = tuned_reader(tmp_path / "own")
    save_adapter(tmp_path / "deeper", {one_module(7): (64, 64, 4)})
    with pytest.raises(ValueError, match=r"'reader' has no module 'model\.layers\.7\.self_attn\.q_proj'"):
        token_shift(engine, [CASE], list(read_factors(tmp_path / "deeper")))
    save_adapter(tmp_path / "wider", {one_module(0): (64, 32, 4)})
    with pytest.raises(ValueError, match="maps 64 to 64 numbers, its factors 32 to 64"):
        token_shift(engine, [CASE], list(read_factors(tmp_path / "wider")))


def test_shifts_are_those_of_whole_prompts_though_a_large_model_reads_their_beginnings_once(tmp_path, monkeypatch):
    engine, factors = tuned_reader(tmp_path)
    plain = token_shift(engine, [CASE, CASE], factors)
    hold_merged(engine.lm.model)
    engine.slow = True  # whatever its size
    monkeypatch.setattr(prefix, "HEAD_FROM", 1)
    assert engine.logits([engine.prompt(CASE)] * 2, [(1,)] * 2) and engine.heads.known, "a beginning is kept"
    pd.testing.assert_frame_equal(token_shift(engine, [CASE, CASE], factors), plain, rtol=1e-5)
