"""Passes when the memory runs out, and prompts that are longer than the model reads."""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from dosed_models import shipped, slow
from tiny import chain_case, tiny_reader

from workbench.game import Engine, Game
from workbench.game.memory import ContextError, MemoryShort, fitting
from workbench.train import TrainConfig, train


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
    with pytest.raises(MemoryShort, match=r"single prompt of \d+ tokens"):
        small.answers([chain_case()] * 3, max_new_tokens=4)


def test_every_row_comes_once_whatever_fails():
    whole, _ = engines(1)
    lengths, done, limit = [5, 50, 7, 31, 2, 18, 40, 9], [], 60
    for attempt in fitting(whole, lengths):
        with attempt as rows:
            if len(rows) * max(lengths[i] for i in rows) > limit:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
            done += rows
    assert sorted(done) == list(range(8))
    with pytest.raises(RuntimeError, match="another"):
        for attempt in fitting(whole, lengths):
            with attempt:
                raise RuntimeError("another")


def test_a_prompt_beyond_the_context_is_refused_before_any_pass(tmp_path):
    lm = tiny_reader()
    lm.model.config.max_position_embeddings = 40
    engine = Engine(lm)
    tokens = len(engine.prompt(chain_case()).ids) + 8
    with pytest.raises(ContextError, match=rf"1 of 1 prompts.*has {tokens} tokens, the model reads 40"):
        engine.answers([chain_case()], max_new_tokens=8)
    assert engine.ledger.calls == 0
    with pytest.raises(ContextError, match="reads 40"):
        train(lm, [chain_case()], TrainConfig(steps=1), folder=tmp_path / "none")
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
