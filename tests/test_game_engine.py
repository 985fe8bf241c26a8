"""The engine: padding, batches and open gates change nothing, the ledger counts every pass."""

import numpy as np
import torch
from tiny import chain_case, tiny_reader

from workbench.cases.sampling import with_order
from workbench.game import Engine


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
