"""Attention followed through the layers, against a loop over all paths of the tiny reader's weights."""

from itertools import product

import numpy as np
import pytest
import torch
from explain_cases import cases, engine

from workbench.game import attention_measures, attention_received, eager_attention, rollout


def weights(layers: int, tokens: int, seed: int = 0) -> torch.Tensor:
    """Causal attention weights, rows that sum to one."""
    scores = torch.randn(layers, tokens, tokens, generator=torch.Generator().manual_seed(seed)).double()
    return scores.masked_fill(~torch.ones(tokens, tokens, dtype=torch.bool).tril(), -torch.inf).softmax(-1)


def test_rollout_is_the_sum_over_all_paths() -> None:
    given, identity = weights(3, 4), torch.eye(4)
    found = rollout(given)
    for start, end in product(range(4), repeat=2):
        total = 0.0
        for a, b in product(range(4), repeat=2):  # start -> a in the last layer, a -> b, b -> end
            path = zip(reversed(given), ((start, a), (a, b), (b, end)), strict=True)
            total += np.prod([float((layer[i, j] + identity[i, j]) / 2) for layer, (i, j) in path])
        assert float(found[start, end]) == pytest.approx(total, abs=1e-12)


def test_rows_sum_to_one_and_nothing_looks_ahead() -> None:
    found = rollout(weights(6, 9))
    assert torch.allclose(found.sum(-1), torch.ones(9, dtype=found.dtype))
    assert (found.triu(1) == 0).all() and (found >= 0).all()
    start = torch.tensor([[0.25, 0, 0.75]]).double()
    assert torch.allclose(rollout(weights(2, 3), start), start @ rollout(weights(2, 3)))


def test_facts_get_the_rollout_of_the_answers_positions() -> None:
    run, some = engine(), cases()
    answers = [run.answer_ids(case, case.path) for case in some]
    found = attention_measures(run, some, answers)
    for case, answer, mine in zip(some, answers, found["rollout"], strict=True):
        prompt = run.prompt(case)
        with eager_attention(run), torch.no_grad():
            ids = torch.tensor([[*prompt.ids, *answer[:-1]]])
            layers = run.lm.model(ids, output_attentions=True).attentions
        matrix = np.eye(ids.shape[1])
        for layer in layers:
            matrix = (layer[0].mean(0).double().numpy() + np.eye(ids.shape[1])) / 2 @ matrix
        asked = matrix[-len(answer) :, : len(prompt.ids)].mean(axis=0)
        expected = [asked[np.array(prompt.fact) == i].sum() for i in range(len(case.facts))]
        np.testing.assert_allclose(mine, expected, atol=1e-6)


def test_one_pass_gives_both_ways() -> None:
    run, some = engine(), cases()
    answers = [run.answer_ids(case, case.path) for case in some]
    before = run.ledger.rows
    both = attention_measures(run, some, answers)
    assert run.ledger.rows - before == len(some)
    for alone, together in zip(attention_received(run, some, answers), both["mean"], strict=True):
        np.testing.assert_array_equal(alone, together)
    with pytest.raises(ValueError, match="mean, rollout, not by 'flow'"):
        attention_measures(run, some, answers, ways=("flow",))
