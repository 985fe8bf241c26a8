"""The engine: padding, batches and open gates change nothing, the ledger counts every pass. Passes when the memory runs
out, and prompts that are longer than the model reads."""

import dataclasses
import itertools
import logging

import numpy as np
import pytest
import torch
from dosed_models import sharp, shipped, slow
from refusals import refused
from tiny import chain_case, tiny_reader
from transformers import AutoModelForCausalLM, MistralConfig

from workbench.cases import toolchain
from workbench.cases.sampling import with_order
from workbench.game import Engine, Game
from workbench.game.memory import ContextError, MemoryShort, fitting
from workbench.game.rows import named_path
from workbench.train import TrainConfig, train


def test_open_gates_change_nothing_and_rows_do_not_disturb_one_another():
    engine, rng = Engine(tiny_reader()), np.random.default_rng(0)
    cases = [with_order(chain_case(), rng) for _ in range(5)]
    prompts = [engine.prompt(c, np.arange(len(c.facts)) < 9 - k) for k, c in enumerate(cases)]
    answers = [engine.answer_ids(c, c.path[: 8 - k]) for k, c in enumerate(cases)]
    together = engine.logits(prompts, answers)
    gates = [torch.ones(len(c.facts)) for c in cases]
    for k, row in enumerate(together):
        assert row.shape[0] == len(answers[k])
        assert torch.allclose(row, engine.logits([prompts[k]], [answers[k]])[0], atol=1e-4)
    for a, b in zip(together, engine.logits(prompts, answers, gates=gates), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    for how in ({}, {"gates": gates}):
        first = engine.logits(prompts, answers, read=lambda z: z[0].argmax().item(), **how)
        assert first == [row[0].argmax().item() for row in together], "what is read is kept in place of the logits"


def test_the_ledger_counts_rows_and_tokens():
    engine, case = Engine(tiny_reader(), batch_tokens=80), chain_case()
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    calls = []
    engine.lm.model.register_forward_hook(lambda *_: calls.append(1))
    engine.logprobs([prompt] * 5, [answer] * 5)
    assert engine.ledger.calls == len(calls) == 5  # two rows do not fit into 80 tokens
    assert engine.ledger.rows == 5
    assert engine.ledger.tokens == 5 * (len(prompt.ids) + len(answer) - 1)
    assert engine.ledger.seconds > 0
    assert set(engine.ledger.to_dict()) == {"calls", "rows", "tokens", "backward_passes", "seconds"}


def test_what_prompts_begin_like_is_read_once_and_says_the_same_under_gates_and_gradients(monkeypatch):
    monkeypatch.setattr("workbench.game.prefix.HEAD_FROM", 2)  # the reader's questions are short
    lm, case = sharp(), chain_case()
    other = dataclasses.replace(case, facts=case.facts[2:])
    plain, heads = Engine(lm), slow(lm)
    prompts, answer = [plain.prompt(one) for one in (case, other)], plain.answer_ids(case, case.path)
    degrees = [torch.linspace(low, 1, len(one.facts)).double() for low, one in ((0, case), (0.2, other))]

    def said(engine, *, gates: bool, adapter: bool, rows: tuple[int, ...] = (0, 1)) -> list[torch.Tensor]:
        own = [degrees[i].clone().requires_grad_(gates) for i in rows]
        how = {"gates": own} if gates else {}
        logits = engine.logits([prompts[i] for i in rows], [answer] * len(rows), adapter=adapter, **how)
        slopes = engine.backward(sum(z.log_softmax(-1)[:, 7].sum() for z in logits), own) if gates else ()
        return [*(z.detach() for z in logits), *slopes]

    for gates, adapter, rows in itertools.product((True, False), (True, False), ((0,), (0, 1))):
        how = {"gates": gates, "adapter": adapter, "rows": rows}
        for one, same in zip(said(plain, **how), said(heads, **how), strict=True):
            assert torch.allclose(one, same, atol=1e-4, rtol=1e-4), how
        assert plain.generate(prompts, adapter=how["adapter"]) == heads.generate(prompts, adapter=how["adapter"])
    known, before = set(heads.heads.known), [engine.ledger.tokens for engine in (plain, heads)]
    for engine in (plain, heads):
        said(engine, gates=False, adapter=True)
    spent = [engine.ledger.tokens - was for engine, was in zip((plain, heads), before, strict=True)]
    assert set(heads.heads.known) == known and spent[1] < spent[0]
    with torch.no_grad():
        next(w for name, w in lm.model.named_parameters() if "lora_B" in name).mul_(-1)
    pairs = zip(said(plain, gates=False, adapter=True), said(heads, gates=False, adapter=True), strict=True)
    assert all(torch.allclose(*pair, atol=1e-4) for pair in pairs), "no head of the weights as they were"


def test_prompts_go_on_from_the_one_read_before_that_they_share_most_with(monkeypatch):
    monkeypatch.setattr("workbench.game.prefix.HEAD_FROM", 10**6)  # none is read for itself
    plain, large, case = Engine(sharp()), slow(sharp()), chain_case()
    n = len(case.facts)
    sets = [(n,), (4,), (2, 6), (4, 7), (2, 6, 7), (0, 8), (4, 7, 8)]
    prompts = [plain.prompt(case, np.isin(np.arange(n), one, invert=True)) for one in sets]
    for adapter in (True, False):
        seen, before, expected = [], large.ledger.tokens, 0
        for rows in ((0,), (1, 2), (3, 4, 5), (6,)):
            asked = [prompts[i] for i in rows]
            answers = large.generate(asked, adapter=adapter, max_new_tokens=1)
            assert answers == plain.generate(asked, adapter=adapter, max_new_tokens=1)
            shared = [
                max([0, *(next(k for k, (a, b) in enumerate(zip(p.ids, q.ids, strict=False)) if a != b) for q in seen)])
                for p in asked
            ]
            expected += sum(len(p.ids) - k for p, k in zip(asked, shared, strict=True))
            seen += asked
        assert large.ledger.tokens - before == expected
    logits = [engine.logits(prompts[5:], [(7, 3)] * 2) for engine in (plain, large)]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*logits, strict=True))
    monkeypatch.setattr("workbench.game.prefix.HEADS_BYTES", 0)
    large.forget()
    assert large.generate(prompts[:2]) == plain.generate(prompts[:2])
    assert not large.heads.known, "no more than there is room for"


def test_an_answer_of_which_the_decision_alone_is_asked_ends_at_the_first_command_that_differs():
    lm, case = shipped(), chain_case()
    engine, facts = Engine(lm), np.ones((9, 9), bool) & ~np.eye(9, dtype=bool)
    Game.of(engine, case, path=case.path).decisions(facts)
    named = [toolchain(named_path(engine, case, text)) for text in engine.decoders.written]
    assert any(one != case.toolchain for one in named)
    assert all(one[:-1] == case.toolchain[: len(one[:-1])] for one in named)


def test_prompts_of_a_model_that_sees_so_many_tokens_back_leave_others_as_they_are():
    torch.manual_seed(0)
    like, case = tiny_reader(), chain_case()
    how = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = MistralConfig(vocab_size=len(like.tokenizer), intermediate_size=64, sliding_window=64, **how)
    lm = dataclasses.replace(like, model=AutoModelForCausalLM.from_config(config).eval())
    plain, large = Engine(lm), slow(lm)
    cases = [case, dataclasses.replace(case, id="other", facts=case.facts[::-1])]
    for one in cases:  # each leaves its prompt behind
        keep = ~np.eye(len(one.elements), dtype=bool)
        values = [Game.of(engine, one, path=one.path)(keep) for engine in (plain, large)]
        np.testing.assert_allclose(*values, atol=0.02)
    assert large.answers(cases) == plain.answers(cases)


class Small:
    """A model on a machine that holds no pass of more than `tokens` tokens."""

    def __init__(self, model, tokens: int):
        self.model, self.tokens, self.passes = model, tokens, []

    def check(self, ids: torch.Tensor) -> None:
        self.passes.append(ids.numel())
        if ids.numel() > self.tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def __call__(self, *, input_ids, **how):
        self.check(input_ids)
        return self.model(input_ids=input_ids, **how)

    def __getattr__(self, name):
        return getattr(self.model, name)


def engines(tokens: int) -> tuple[Engine, Engine]:
    whole = Engine(tiny_reader())
    return whole, Engine(dataclasses.replace(whole.lm, model=Small(whole.lm.model, tokens)))


def test_a_pass_that_does_not_fit_is_halved_and_gives_the_same(caplog):
    whole, small = engines(200)
    cases = [chain_case()] * 12
    prompts = [whole.prompt(c) for c in cases]
    answers = [whole.answer_ids(c, c.path) for c in cases]
    with caplog.at_level(logging.WARNING):
        found = small.logprobs(prompts, answers)
    for one, other in zip(found, whole.logprobs(prompts, answers), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert small.batch_tokens <= 200 and "the memory ran out in a pass of 12 rows" in caplog.text
    assert small.ledger.rows == 12, "rows are booked once, however often they were tried"
    caplog.clear()
    before = len(small.lm.model.passes)
    assert small.answers(cases, max_new_tokens=4) == whole.answers(cases, max_new_tokens=4)
    assert all(tokens <= 200 for tokens in small.lm.model.passes[before:]), "what was learned is kept"


def test_a_single_row_that_does_not_fit_is_an_error_with_its_length():
    _, small = engines(10)
    refused(r"single prompt of \d+ tokens", small.answers, [chain_case()] * 3, max_new_tokens=4, error=MemoryShort)


def test_every_row_comes_once_whatever_fails():
    whole, _ = engines(1)
    lengths, done, limit = [5, 50, 7, 31, 2, 18, 40, 9], [], 60

    def refuses(rows: list[int]) -> None:
        raise RuntimeError("another")

    def run(rows: list[int]) -> None:
        if len(rows) * max(lengths[i] for i in rows) > limit:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        done.extend(rows)

    fitting(whole, lengths, run)
    assert sorted(done) == list(range(8))
    with pytest.raises(RuntimeError, match="another"):
        fitting(whole, lengths, refuses)


def test_a_prompt_beyond_the_context_is_refused_before_any_pass(tmp_path):
    lm = tiny_reader()
    lm.model.config.max_position_embeddings = 40
    engine = Engine(lm)
    tokens = len(engine.prompt(chain_case()).ids) + 8
    told = rf"1 of 1 prompts.*has {tokens} tokens, the model reads 40"
    refused(told, engine.answers, [chain_case()], max_new_tokens=8, error=ContextError)
    assert engine.ledger.calls == 0
    refused("reads 40", train, lm, [chain_case()], TrainConfig(steps=1), folder=tmp_path / "none", error=ContextError)
    assert not (tmp_path / "none").exists()


def test_what_stands_beside_a_prompt_is_no_part_of_its_length():
    lm, case = tiny_reader(), chain_case()
    engine = Engine(lm)
    lm.model.config.max_position_embeddings = len(engine.prompt(case).ids) + 12
    keep = np.ones((2, len(case.elements)), dtype=bool)
    keep[0, len(case.nodes)] = False  # the first fact: nearly all of the prompt is read again, beside the whole one
    for form in ("logprob", "decision"):
        plain, kept = (
            Game.of(engine, case, path=case.path, form=form, shared_prefix=shared, max_new_tokens=12)(keep)
            for shared in (False, True)
        )
        np.testing.assert_allclose(kept, plain, atol=1e-4)


@pytest.mark.parametrize("adapter", [True, False])
def test_what_one_game_of_a_large_model_has_asked_another_does_not_ask_again(adapter):
    case, plain, large = chain_case(), Engine(shipped()), slow(shipped())
    keep = ~np.eye(len(case.elements), dtype=bool)

    def values(engine, form):
        return Game.of(engine, case, path=case.path, form=form, adapter=adapter)(keep)

    first = values(large, "decision")
    np.testing.assert_allclose(first, values(plain, "decision"), atol=1e-4)
    rows = large.ledger.rows
    assert (values(large, "decision") == first).all() and large.ledger.rows == rows
    np.testing.assert_allclose(values(large, "logprob"), values(plain, "logprob"), atol=1e-4)
    assert large.ledger.rows == rows, "the pass that decides says how likely the answer is"
    for one in (large.heads, large.known):  # who listens to the modules hears every row, and who counts, counts all
        rows = large.ledger.rows
        with one.left_out():
            values(large, "decision")
        assert large.ledger.rows > rows
    rows = large.ledger.rows
    other = large.answer_ids(case, (*case.path[:-2], case.path[0]))
    Game(large, case, other, form="decision", adapter=adapter)(keep)
    assert large.ledger.rows > rows
    rows = large.ledger.rows
    with torch.no_grad():
        next(w for name, w in large.lm.model.named_parameters() if "lora_B" in name).add_(0.01)
    values(large, "decision")
    assert large.ledger.rows > rows, "the weights are others"
