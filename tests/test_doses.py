"""Doses: 1 is the adapter, 0 the base, rows are independent, gradients and weights agree, hooks go."""

import numpy as np
import pytest
import torch
from dosed_models import MODULES, shipped, tiny
from refusals import refused
from tiny import chain_case, tiny_reader

from workbench.game import Difference, Engine, Game, SharedPrefix, adapted_modules, dose_row, dosed
from workbench.models import add_adapter

CASE = chain_case()


@pytest.fixture(scope="module")
def lm():
    return tiny()


def asked(engine, count=1):
    prompt, answer = engine.prompt(CASE), engine.answer_ids(CASE, CASE.path)
    return [prompt] * count, [answer] * count


def hooks(model):
    return sum(len(m._forward_hooks) for m in model.modules())


@pytest.mark.parametrize("four_bit", [False, True])
def test_dose_one_is_the_adapter_and_dose_zero_the_base(four_bit):
    engine = Engine(shipped(four_bit=four_bit))
    prompts, answers = asked(engine)
    count = len(adapted_modules(engine.lm.model))
    with torch.no_grad():
        tuned, base = (engine.logits(prompts, answers, adapter=a)[0] for a in (True, False))
        one, zero = engine.logits(prompts * 2, answers * 2, doses=torch.stack([torch.ones(count), torch.zeros(count)]))
    assert not torch.allclose(tuned, base, atol=1e-2)
    assert torch.allclose(one, tuned, atol=1e-5) and torch.allclose(zero, base, atol=1e-5)
    assert count == 12 and hooks(engine.lm.model) == 0


def test_a_dose_equals_scaled_weights_row_by_row_whatever_the_batch(lm):
    engine = Engine(lm, batch_tokens=250)
    modules = adapted_modules(lm.model)
    rng = np.random.default_rng(0)
    doses = torch.tensor(rng.uniform(0, 1.5, (5, MODULES)), dtype=torch.float32)
    cut = [np.arange(len(CASE.facts)) < 9 - k for k in range(5)]
    prompts = [engine.prompt(CASE, keep) for keep in cut]
    answers = [engine.answer_ids(CASE, CASE.path[: 8 - k]) for k in range(5)]
    together = engine.logits(prompts, answers, doses=doses)
    for k, row in enumerate(together):
        before = [m.B.weight.data.clone() for m in modules]
        for m, factor in zip(modules, doses[k], strict=True):
            m.B.weight.data *= factor
        direct = engine.logits([prompts[k]], [answers[k]])[0]
        for m, weight in zip(modules, before, strict=True):
            m.B.weight.data.copy_(weight)
        assert torch.allclose(row, direct, atol=1e-5)


def test_doses_of_rank_one_parts_take_directions_out(lm):
    engine = Engine(lm)
    modules = adapted_modules(lm.model)
    prompts, answers = asked(engine)
    parts = torch.ones(MODULES, 4)
    parts[1, 2] = parts[3, 0] = 0
    row = engine.logits(prompts, answers, doses=[parts.ravel()])[0]
    before = [modules[k].A.weight.data.clone() for k in (1, 3)]
    modules[1].A.weight.data[2] = modules[3].A.weight.data[0] = 0
    direct = engine.logits(prompts, answers)[0]
    for k, weight in zip((1, 3), before, strict=True):
        modules[k].A.weight.data.copy_(weight)
    assert torch.allclose(row, direct, atol=1e-5)
    same = engine.logits(prompts * 2, answers * 2, doses=torch.full((2, MODULES), 0.7))[0]
    assert torch.allclose(same, engine.logits(prompts, answers, doses=torch.full((1, 16), 0.7))[0], atol=1e-5)


def test_dose_gradients_equal_finite_differences():
    lm = tiny()
    lm.model.double()
    engine = Engine(lm)
    prompts, answers = asked(engine)

    def value(row):
        return engine.logprobs(prompts, answers, doses=row[None])[0].sum()

    row = torch.tensor([1.0, 0.5, 0.0, 1.3], dtype=torch.float64, requires_grad=True)
    value(row).backward()
    for i in range(MODULES):
        step = torch.zeros(MODULES, dtype=torch.float64)
        step[i] = 1e-2
        with torch.no_grad():
            slope = (value(row + step) - value(row - step)) / 2e-2
        assert row.grad[i].item() == pytest.approx(slope.item(), rel=1e-2, abs=1e-3)


def test_generation_at_doses_mixes_rows(lm):
    engine = Engine(lm)
    prompts, _ = asked(engine)
    tuned, base = (engine.generate(prompts, adapter=a, max_new_tokens=8)[0] for a in (True, False))
    assert tuned != base
    doses = torch.tensor([[1.0] * MODULES, [0.0] * MODULES, [1.0] * MODULES])
    assert engine.generate(prompts * 3, doses=doses, max_new_tokens=8) == [tuned, base, tuned]


def test_hooks_go_even_when_the_pass_fails(lm):
    engine = Engine(lm)
    with pytest.raises(KeyError), dosed(lm.model, torch.ones(1, MODULES)):
        assert hooks(lm.model) == MODULES
        raise KeyError
    assert hooks(lm.model) == 0
    prompts, answers = asked(engine)
    with pytest.raises(ValueError, match=r"doses of 3 rows met"), dosed(lm.model, torch.ones(3, MODULES)):
        engine.logits(prompts, answers)
    assert hooks(lm.model) == 0


def test_wrong_doses_are_refused(lm):
    engine = Engine(lm)
    prompts, answers = asked(engine)
    refused(r"\(rows, 4\), a factor a module, or \(rows, 16\)", engine.logits, prompts, answers, doses=torch.ones(1, 5))
    one = torch.ones(1, MODULES)
    refused("adapter=False switches it off", engine.logits, prompts, answers, adapter=False, doses=one)
    refused("must be finite", dose_row, lm.model, float("nan"))
    refused("4 \\(a module\\) or 16", dose_row, lm.model, [1.0, 1.0])
    refused("has no adapter", adapted_modules, tiny_reader().model)


def test_merged_and_doubled_adapters_are_refused():
    lm = tiny()
    lm.model.add_adapter("other", lm.model.peft_config["default"])
    lm.model.base_model.set_adapter(["default", "other"])
    refused("2 adapters are active", adapted_modules, lm.model)
    lm.model.set_adapter("default")
    lm.model.merge_adapter()
    refused("merged into the weights", adapted_modules, lm.model)


def test_dora_is_refused():
    lm = add_adapter(tiny_reader(), rank=2, alpha=4, modules=("q_proj",), dropout=0.0, seed=0)
    config = lm.model.peft_config["default"]
    config.use_dora = True
    lm.model.add_adapter("dora", config)
    lm.model.set_adapter("dora")
    refused("no plain LoRA", adapted_modules, lm.model)


def test_element_effects_at_a_scaled_adapter(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    keep = np.random.default_rng(0).random((4, game.n)) < 0.8
    half = game.view(dose=0.5)
    assert half.dose == (0.5,) * MODULES
    modules = adapted_modules(lm.model)
    for m in modules:
        m.B.weight.data *= 0.5
    scaled = Game.of(Engine(lm), CASE, path=CASE.path)
    expected = {form: scaled.view(form=form)(keep) for form in ("logprob", "decision")}
    everything = np.ones((1, game.n))
    (slopes,), attention = scaled.view(removal="gate").gradients(everything)[1], scaled.attention()
    for m in modules:
        m.B.weight.data /= 0.5
    assert half(keep) == pytest.approx(expected["logprob"], abs=1e-4)
    assert half.view(form="decision")(keep) == pytest.approx(expected["decision"], abs=1e-4)
    assert half.view(removal="gate").gradients(everything)[1][0] == pytest.approx(slopes, abs=1e-4)
    assert half.attention() == pytest.approx(attention, abs=1e-5)
    assert not np.allclose(half(keep), game(keep), atol=1e-2)


def test_doses_zero_and_one_are_remembered_as_base_and_tuned(lm):
    engine = Engine(lm)
    game = Game.of(engine, CASE, path=CASE.path)
    keep = np.ones((1, game.n), bool)
    at = {dose: float(game.view(dose=dose)(keep)[0]) for dose in (0.0, 0.5, 1.0)}
    rows = engine.ledger.rows
    assert rows == 3 and len(set(at.values())) == 3
    assert [float(game(keep)[0]), float(game.view(adapter=False)(keep)[0])] == [at[1.0], at[0.0]]
    assert float(game.view(dose=[0.5] * MODULES)(keep)[0]) == at[0.5] and engine.ledger.rows == rows
    delta = Difference(game.view(dose=0.5))(keep)
    assert float(delta[0]) == at[0.5] - at[0.0] and engine.ledger.rows == rows  # the base has no dose


def test_shared_prefix_at_a_dose_equals_plain_passes(lm):
    engine = Engine(lm)
    plain = Game.of(engine, CASE, path=CASE.path, dose=0.6, shared_prefix=False)
    shared = Game.of(engine, CASE, path=CASE.path, dose=0.6, shared_prefix=True)
    keep = np.random.default_rng(1).random((5, plain.n)) < 0.8
    assert shared(keep) == pytest.approx(plain(keep), abs=1e-4)
    shared.view(dose=0.3)(keep)
    assert len(shared.memory.prefixes) == 1  # of models at a dose, the last
    assert isinstance(next(iter(shared.memory.prefixes.values())), SharedPrefix)


def test_rows_of_several_doses_on_prefixes_of_their_own_equal_plain_passes(lm):
    games = [Game.of(Engine(lm), CASE, path=CASE.path, shared_prefix=s) for s in (False, True)]
    keep = np.vstack([np.ones((1, games[0].n), bool), ~np.eye(games[0].n, dtype=bool)])
    facts, units = games[0].shown(keep), len(adapted_modules(lm.model))
    doses = np.repeat(np.tile([0.0, 0.6, 1.3], len(facts))[:, None], units, axis=1)
    plain, shared = (game.values(np.repeat(facts, 3, axis=0), doses) for game in games)
    assert shared == pytest.approx(plain, abs=1e-4) and np.ptp(plain) > 0.1
    assert games[1].ledger.tokens < games[0].ledger.tokens
