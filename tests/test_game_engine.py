"""The engine: gates equal deletion, padding and batches change nothing, the ledger counts every pass."""

import numpy as np
import pytest
import torch
from tiny import chain_case, tiny_reader

from workbench.game import SMALLEST_KEEP, Engine, gate_mask
from workbench.sampling import with_order


def test_gate_zero_equals_deletion_with_positions_kept():
    lm, case = tiny_reader(), chain_case()
    engine = Engine(lm)
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    for gone in range(len(case.facts)):
        gate = torch.ones(len(case.facts))
        gate[gone] = 0
        gated = engine.logprobs([prompt], [answer], gates=[gate])[0]
        keep = [i for i, f in enumerate(prompt.fact) if f != gone]
        ids = [prompt.ids[i] for i in keep] + list(answer[:-1])
        positions = keep + list(range(len(prompt.ids), len(prompt.ids) + len(answer) - 1))
        with torch.no_grad():
            logits = lm.model(input_ids=torch.tensor([ids]), position_ids=torch.tensor([positions])).logits[0]
        deleted = torch.log_softmax(logits[-len(answer) :], -1).gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert torch.allclose(gated, deleted, atol=1e-4)


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


def test_gate_gradients_equal_finite_differences():
    engine, case = Engine(tiny_reader()), chain_case()
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)

    def value(gate):
        return engine.logprobs([prompt], [answer], gates=[gate])[0].sum()

    gate = torch.full((len(case.facts),), 0.6, requires_grad=True)
    value(gate).backward()
    for i in range(len(case.facts)):
        up, down = gate.detach().clone(), gate.detach().clone()
        up[i] += 2e-2
        down[i] -= 2e-2
        slope = (value(up) - value(down)) / 4e-2
        assert gate.grad[i].item() == pytest.approx(slope.item(), rel=3e-2, abs=5e-4)


def test_gates_work_in_the_models_own_precision():
    lm, case = tiny_reader(), chain_case()
    lm.model.double()
    engine = Engine(lm)
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    gate = torch.full((len(case.facts),), 0.3)
    with_gradient = engine.logprobs([prompt], [answer], gates=[gate.clone().requires_grad_()])[0]
    assert torch.allclose(with_gradient, engine.logprobs([prompt], [answer], gates=[gate])[0], atol=1e-5)


def test_gate_mask_by_hand():
    mask = gate_mask([(-1, 0, 0, 1)], [torch.tensor([0.5, 0.0])], 5)[0, 0]
    never = torch.finfo(torch.float32).min
    log_half = float(np.log(0.5))
    assert mask[0].tolist() == [0.0] + [never] * 4  # padding sees itself alone
    assert mask[3].tolist() == pytest.approx([never, 0.0, 0.0, 0.0, never])  # a fact's own tokens see each other
    assert mask[4].tolist() == pytest.approx([never, 0.0, log_half, log_half, 0.0])
    assert gate_mask([(0, -1)], [torch.tensor([0.0])], 2)[0, 0, 1, 0] == pytest.approx(np.log(SMALLEST_KEEP))


def test_greedy_answers_do_not_depend_on_the_batch():
    engine, rng = Engine(tiny_reader()), np.random.default_rng(1)
    cases = [with_order(chain_case(), rng) for _ in range(6)]
    keeps = [rng.random(len(c.facts)) < 0.7 for c in cases]
    together = engine.answers(cases, keeps=keeps, max_new_tokens=6)
    alone = [engine.answers([c], keeps=[k], max_new_tokens=6)[0] for c, k in zip(cases, keeps, strict=True)]
    assert together == alone


def test_the_ledger_counts_rows_and_tokens():
    engine, case = Engine(tiny_reader(), batch_tokens=80), chain_case()
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    calls = []
    engine.lm.model.register_forward_hook(lambda *_: calls.append(1))
    engine.logprobs([prompt] * 5, [answer] * 5)
    assert engine.ledger.calls == len(calls) == 5  # two rows do not fit into 80 tokens
    assert engine.ledger.rows == 5
    assert engine.ledger.tokens == 5 * (len(prompt.ids) + len(answer) - 1)
    assert engine.ledger.seconds > 0 and set(engine.ledger.to_dict()) == {
        "calls", "rows", "tokens", "backward_passes", "seconds"
    }  # fmt: skip
