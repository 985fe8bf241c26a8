"""Greedy decoding: drafts, batches and decoders change no answer, decisions are those of plain greedy generation, and
the ledger counts what was computed."""

import logging

import numpy as np
import pytest
import torch
from dosed_models import sharp, shipped, slow, tiny, with_adapter
from tiny import NAMES, chain_case, save_tiny

from workbench.cases import toolchain
from workbench.cases.sampling import with_order
from workbench.game import Engine, Game, decoding
from workbench.game.decoding import Decoders
from workbench.models import LanguageModel, load

CASE = chain_case()
END = 12  # the longest answer


def plain(engine: Engine, ids, *, adapter: bool = True, longest: int = END) -> list[int]:
    """Greedy choice without cache, batch or padding; the end-of-sequence is part of it."""
    ids, text = list(ids), []
    with torch.no_grad(), engine.lm.adapter(adapter):
        while len(text) < longest and engine.lm.tokenizer.eos_token_id not in text:
            text.append(int(engine.lm.model(input_ids=torch.tensor([ids + text])).logits[0, -1].argmax()))
    return text


@pytest.fixture(scope="module", params=["shipped", "sharp", "random", "llama"])
def engine(request, tmp_path_factory) -> Engine:
    """A reader led to the right answer, one with scores far apart, one that rambles, and a model with BPE tokens."""
    if request.param == "llama":
        folder = save_tiny(tmp_path_factory.mktemp("llama"), "llama")
        return Engine(with_adapter(load(str(folder), names=NAMES, four_bit=False)), batch_tokens=2000)
    lm: LanguageModel = {"shipped": shipped, "sharp": sharp, "random": tiny}[request.param]()
    return Engine(lm, batch_tokens=400)


def test_drafts_change_no_answer_and_the_ledger_counts_what_was_computed(engine):
    rng = np.random.default_rng(0)
    cases = [with_order(CASE, rng) for _ in range(8)]
    prompts = [engine.prompt(c, rng.random(len(c.facts)) < 0.8) for c in cases]
    found = [plain(engine, p.ids) for p in prompts]
    end, own = engine.lm.tokenizer.eos_token_id, engine.answer_ids(CASE, CASE.path)
    drafts = [(), found[1], found[2][:3], [*found[3][:2], *own], own[:-1], own * 3, found[6][:-1], found[7][1:]]
    before = engine.ledger.copy()
    read = {}
    texts = engine.generate(prompts, drafts=drafts, max_new_tokens=END, read=read.__setitem__)
    assert texts == engine.generate(prompts, max_new_tokens=END)
    assert texts == [tuple(t for t in text if t != end) for text in found]
    agreed = [next((k for k, (a, b) in enumerate(zip(d, f, strict=False)) if a != b), min(len(d), len(f)))
              for d, f in zip(drafts, found, strict=True)]  # fmt: skip
    asked = sum(len(p.ids) for p in prompts)
    steps = [max(0, len(f) - k - 1) for f, k in zip(found, agreed, strict=True)]
    spent = [asked + sum(map(len, drafts)) + sum(steps), asked + sum(len(f) - 1 for f in found)]
    assert engine.ledger.tokens - before.tokens == sum(spent) and engine.ledger.rows - before.rows == 16
    for i, (prompt, draft) in enumerate(zip(prompts, drafts, strict=True)):
        expected = engine.logits([prompt], [(*draft, end)])[0]
        assert torch.allclose(read[i], expected, atol=1e-3, rtol=1e-4)


def test_answers_end_where_the_model_ends_or_is_cut(engine):
    end = engine.lm.tokenizer.eos_token_id
    for longest in (1, 2, 3, END):
        (short,) = engine.greedy_answers([CASE], max_new_tokens=longest)
        assert end not in short[:-1] and (len(short) == longest or short[-1] == end), "cut, or ended by the model"


@pytest.mark.parametrize("adapter", [True, False])
def test_decisions_are_those_of_plain_greedy_generation(engine, adapter):
    game = Game(engine, CASE, engine.greedy_answers([CASE], adapter=adapter, max_new_tokens=END)[0],
                form="decision", adapter=adapter, max_new_tokens=END)  # fmt: skip
    keep = np.random.default_rng(1).random((14, game.n)) < 0.9
    keep[0] = True
    prompts = [engine.prompt(CASE, facts) for facts in CASE.keep_facts(keep)]
    texts = [engine.lm.tokenizer.decode(plain(engine, p.ids, adapter=adapter), skip_special_tokens=True)
             for p in prompts]  # fmt: skip
    paths = [engine.lm.template.parse(CASE, text, engine.lm.ids) for text in texts]
    same = [toolchain(path) == toolchain(game.path) for path in paths]
    values = game(keep)
    assert (values > 0).tolist() == same and same[0] and (values != 0).all()


def test_an_answer_is_written_to_the_first_command_that_differs():
    engine = Engine(shipped())
    game = Game.of(engine, CASE, form="decision")
    (gone,) = [k for k, f in enumerate(CASE.facts) if f.tail == "command:align"]
    keep = np.ones((1, game.n), bool)
    keep[0, len(CASE.nodes) + gone] = False
    prompt = engine.prompt(CASE, np.arange(len(CASE.facts)) != gone)
    text = engine.lm.tokenizer.convert_ids_to_tokens(plain(engine, prompt.ids))
    before = engine.ledger.tokens
    assert game(keep)[0] < 0
    steps = engine.ledger.tokens - before - len(prompt.ids) - len(game.answer) + 1
    first = next(k for k, (a, b) in enumerate(zip(text, CASE.path[1:], strict=False)) if a != NAMES[b])
    assert steps < len(text) - first - 1, "less than the whole answer"


def test_guesses_change_no_answer_and_save_steps(engine):
    """Of a large model on a processor; rows of unlike lengths, that guess right to unlike lengths, in one batch."""
    large, rng = slow(engine.lm, batch_tokens=4000), np.random.default_rng(3)
    cases = [with_order(CASE, rng) for _ in range(6)]
    prompts = [engine.prompt(c, rng.random(len(c.facts)) < 0.8) for c in cases]
    found = [plain(engine, p.ids) for p in prompts]
    end, steps = engine.lm.tokenizer.eos_token_id, list[list[int]]()
    whole = [tuple(t for t in text if t != end) for text in found]
    hook = large.lm.model.register_forward_pre_hook(lambda *_: steps[-1].append(1))
    try:
        for count, stop in ((6, None), (6, None), (1, None), (6, 3)):
            steps.append([])
            how = {} if stop is None else {"enough": lambda i, tokens, stop=stop: len(tokens) >= stop}
            drafts = [own[:k] for k, own in enumerate(whole[:count])]
            texts = large.generate(prompts[:count], drafts=drafts, max_new_tokens=END, **how)
            for text, own, draft in zip(texts, whole, drafts, strict=False):
                assert text == own[: max(stop, len(draft) + 1)] if stop else text == own
    finally:
        hook.remove()
    assert len(steps[1]) < len(steps[0]) or len(steps[0]) <= 3, "what was written before is guessed"


def test_rows_that_several_passes_have_read_are_written_on_together(engine, monkeypatch):
    large, rng, parts = slow(engine.lm), np.random.default_rng(4), list[int]()
    prompts = [large.prompt(CASE, rng.random(len(CASE.facts)) < 0.7) for _ in range(6)]
    monkeypatch.setattr("workbench.game.engine.CPU_TOKENS", 2 * max(len(p.ids) for p in prompts))
    take = large.decoders.take
    large.decoders.take = lambda model, some, *how, **more: parts.append(len(some)) or take(model, some, *how, **more)
    whole = [plain(large, p.ids) for p in prompts]
    end = large.lm.tokenizer.eos_token_id
    drafts = [text[:k] for k, text in enumerate(whole)]
    said = large.generate(prompts, drafts=drafts, max_new_tokens=END)
    assert said == [tuple(t for t in text if t != end) for text in whole]
    assert max(parts) > 1


def kept(lm: LanguageModel) -> Engine:
    """An engine that treats a CPU as it does a GPU."""
    return Engine(lm, decoders=Decoders(device="cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here the recording succeeds")
def test_a_step_that_cannot_be_recorded_is_made_plainly_with_one_warning(caplog):
    engine = kept(tiny())
    prompts = [engine.prompt(CASE, np.arange(len(CASE.facts)) != k) for k in range(3)]
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            texts = engine.generate(prompts, max_new_tokens=END)
            assert texts == Engine(engine.lm).generate(prompts, max_new_tokens=END)
    assert not engine.decoders.can_record and caplog.text.count("cannot be recorded") == 1


def test_kept_decoders_forget_what_they_wrote_and_are_of_one_state_of_the_model(monkeypatch):
    monkeypatch.setattr(decoding, "PLAIN_STEPS", 10**9)  # none is recorded
    engine = kept(tiny())
    prompts = [engine.prompt(CASE, np.arange(len(CASE.facts)) != k) for k in range(5)]
    asked = ((5, True), (1, True), (5, True), (5, False), (3, True), (5, True))
    for (count, adapter), decoders in zip(asked, (1, 2, 2, 3, 4, 4), strict=True):
        how = {"adapter": adapter, "max_new_tokens": END}
        assert engine.generate(prompts[:count], **how) == Engine(engine.lm).generate(prompts[:count], **how)
        assert len(engine.decoders.kept) == decoders
    assert {decoder.tokens.shape[0] for decoder in engine.decoders.kept.values()} == {1, 4, 8}
    engine.generate(prompts[:2], max_new_tokens=END)
    assert len(engine.decoders.kept) == decoding.KEPT
    engine.forget()
    assert not engine.decoders.kept


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records on a GPU")
def test_recorded_steps_write_what_plain_ones_do(tmp_path):
    engine = Engine(with_adapter(load(str(save_tiny(tmp_path, "llama")), names=NAMES)))
    unrecorded = Engine(engine.lm, decoders=Decoders(can_record=False))
    prompts = [engine.prompt(CASE, np.arange(len(CASE.facts)) != k) for k in range(5)]
    for count, adapter in ((1, True), (5, True), (5, False), (3, True), (5, True)):
        how = {"adapter": adapter, "max_new_tokens": END}
        assert engine.generate(prompts[:count], **how) == unrecorded.generate(prompts[:count], **how)
    assert engine.decoders.can_record and any(d.graph is not None for d in engine.decoders.kept.values())
