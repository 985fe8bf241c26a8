"""Gates on sharp attention: 0 is deletion, above 0 nothing is cut off, and gradients are right down to 0."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from dosed_models import sharp
from tiny import chain_case

from workbench.game import Engine, Game, gate_mask
from workbench.game.gates import FLOOR

CASE = chain_case()
FACTS = len(CASE.facts)
OLD_FLOOR = 1e-9  # the sharp model still reads a fact that is kept to this degree
NOISE = 5e-5  # nats, of log-probabilities from logits in float32


def masks(count: int) -> np.ndarray:
    """Random fact masks, with none and all of the facts among them."""
    keep = np.random.default_rng(0).random((count, FACTS)) < 0.5
    keep[:2] = [[False], [True]]
    return keep


def gated(engine: Engine, gates: np.ndarray | torch.Tensor, case=CASE, **how) -> torch.Tensor:
    """Logits (m, tokens, vocabulary) of gates (m, facts), beside a longer row so that padding is among them."""
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    gates = torch.as_tensor(np.asarray(gates, float)) if isinstance(gates, np.ndarray) else gates
    longer = replace(prompt, ids=prompt.ids[:1] * 3 + prompt.ids, fact=(-1,) * 3 + prompt.fact)
    rows = engine.logits([longer] + [prompt] * len(gates), [answer] * (1 + len(gates)), gates=[gates[0], *gates], **how)
    return torch.stack(rows[1:])


def deleted(engine: Engine, keep: np.ndarray, case=CASE) -> torch.Tensor:
    """Logits (tokens, vocabulary) without the tokens of the facts that are not kept; the others' positions stay."""
    prompt, answer = engine.prompt(case), engine.answer_ids(case, case.path)
    ids, fact = torch.tensor([*prompt.ids, *answer[:-1]]), [*prompt.fact, *[-1] * (len(answer) - 1)]
    left = torch.tensor([i for i, f in enumerate(fact) if f < 0 or keep[f]])
    with torch.no_grad():
        return engine.lm.model(input_ids=ids[left][None], position_ids=left[None]).logits[0, -len(answer) :].float()


def value(engine: Engine, gate: torch.Tensor) -> torch.Tensor:
    """log p(answer), nats, at gates (facts,)."""
    answer = engine.answer_ids(CASE, CASE.path)
    (logits,) = engine.logits([engine.prompt(CASE)], [answer], gates=[gate])
    return logits.double().log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum()


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def engine(request) -> Engine:
    """The sharp model in float32."""
    lm = sharp()
    lm.model.set_attn_implementation(request.param)
    return Engine(lm)


@pytest.fixture(scope="module")
def exact() -> Engine:
    """The sharp model in float64, whose slopes at 0 are up to ten decades above those at 1."""
    lm = sharp()
    lm.model.double()
    return Engine(lm)


def test_a_gate_of_zero_is_deletion_with_positions_kept(engine):
    keep = masks(24)
    truth = torch.stack([deleted(engine, k) for k in keep])
    found = gated(engine, keep)
    assert torch.allclose(found, truth, atol=1e-4, rtol=0)
    assert torch.equal(found.argmax(-1), truth.argmax(-1))
    assert (gated(engine, np.maximum(keep, OLD_FLOOR)) - truth).abs().amax((1, 2)).median() > 1


@pytest.fixture(params=[torch.float32, torch.bfloat16])
def dtype(engine, request) -> Iterator[torch.dtype]:
    """The precision that the model has in a test."""
    engine.lm.model.to(request.param)
    yield request.param
    engine.lm.model.float()


def test_what_a_removed_fact_says_changes_no_bit(engine, dtype):
    prompt, answer = engine.prompt(CASE), engine.answer_ids(CASE, CASE.path)
    for keep in masks(8):
        gate, word = torch.tensor(keep, dtype=torch.float32), prompt.ids[prompt.fact.index(0)]
        ids = tuple(i if f < 0 or keep[f] else word for i, f in zip(prompt.ids, prompt.fact, strict=True))
        a, b = engine.logits([prompt, replace(prompt, ids=ids)], [answer] * 2, gates=[gate, gate])
        assert torch.equal(a, b) and a.isfinite().all()
        found, truth = gated(engine, keep[None])[0], deleted(engine, keep)
        assert (found - truth).abs().max() <= (1e-4 if dtype == torch.float32 else 0.03 * truth.abs().max())


def test_a_gate_of_zero_is_deletion_at_a_dose(engine):
    (prompt, answer), keep = (engine.prompt(CASE), engine.answer_ids(CASE, CASE.path)), masks(3)[2]
    dose = torch.full((12,), 1.2, requires_grad=True)
    gate = torch.tensor(keep, dtype=torch.float32, requires_grad=True)
    (found,) = engine.logits([prompt], [answer], gates=[gate], doses=[dose])
    with engine.switched(True, dose.detach()[None]):
        assert torch.allclose(found, deleted(engine, keep), atol=1e-4, rtol=0)
    slopes = engine.backward(found.log_softmax(-1)[0, answer[0]], [gate, dose])
    assert all(s.isfinite().all() and s.abs().max() > 0 for s in slopes)


def test_the_value_is_the_same_with_a_gradient_and_without(engine):
    keep = torch.tensor(masks(6) * np.array([1, 0.3, 1e-12, 1e-30, 1, 1, 1e-3, 1, 1e-40]))
    with_gradient = gated(engine, keep.clone().requires_grad_())
    assert torch.allclose(with_gradient, gated(engine, keep), atol=1e-6, rtol=0)
    assert with_gradient.requires_grad


def test_degrees_near_zero_are_kept_apart_and_lead_to_zero(engine):
    degrees = [1, 1e-3, 1e-9, 1e-12, 1e-30, 1e-44, 1e-300, 0.0]
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        gates = torch.tensor(degrees, dtype=torch.float64)[:, None]
        log = gate_mask([(0, -1)] * len(gates), list(gates), 2, dtype=dtype)[:, 0, 1, 0]
        assert (log.diff() < 0).all() and log[-1] == torch.finfo(dtype).min
    keep = masks(3)[2]
    rows = gated(engine, np.where(keep, 1.0, np.array(degrees)[:, None]))
    gap = (rows - deleted(engine, keep)).abs().amax((1, 2))
    assert gap[0] > 1 and (gap[4:] < 1e-4).all()
    assert torch.equal(rows[-2], rows[-1])


@pytest.mark.parametrize("degree", [1.0, 0.6, 0.05, 1e-6, 1e-12])
def test_slopes_equal_finite_differences(exact, degree):
    gate = torch.tensor(degree * np.random.default_rng(0).uniform(0.5, 1, FACTS), requires_grad=True)
    (slope,) = exact.backward(value(exact, gate), [gate])
    for i in range(FACTS):
        ends = gate.detach().repeat(2, 1)
        ends[:, i] *= torch.tensor([1.01, 0.99], dtype=torch.float64)
        rise, run = value(exact, ends[0]) - value(exact, ends[1]), ends[0, i] - ends[1, i]
        assert float(slope[i] * run) == pytest.approx(float(rise), rel=0.02, abs=NOISE)


@pytest.mark.parametrize("degree", [0.0, FLOOR / 1e6])
def test_slopes_at_zero_are_those_of_one_sided_differences(exact, degree):
    for keep in masks(4)[2:]:
        gate = torch.tensor(np.where(keep, 1.0, degree), requires_grad=True)
        start = value(exact, gate)
        (slope,) = exact.backward(start, [gate])
        assert slope.isfinite().all() and (slope[torch.tensor(~keep)] != 0).all()
        for i in np.flatnonzero(~keep):
            ends = gate.detach().repeat(2, 1)
            step = 1e-3 / max(abs(float(slope[i])), 1.0)
            ends[:, i] += torch.tensor([step, 2 * step], dtype=torch.float64)
            near, far = (float(value(exact, end) - start.detach()) for end in ends)
            assert float(slope[i]) * step == pytest.approx((4 * near - far) / 2, rel=0.05, abs=NOISE)  # second order


@pytest.mark.usefixtures("dtype")
def test_slopes_at_zero_are_finite_in_every_precision_and_both_passes_are_booked(engine):
    gate, before = torch.zeros(FACTS, requires_grad=True), engine.ledger.copy()
    (slope,) = engine.backward(value(engine, gate), [gate])
    assert slope.isfinite().all() and (slope != 0).all()
    spent = engine.ledger - before
    assert (spent.calls, spent.rows, spent.backward_passes) == (2, 2, 1)


def test_hard_masks_of_the_gated_game_are_deletion(engine):
    game = Game.of(engine, CASE, path=CASE.path, removal="gate")
    keep = np.random.default_rng(1).random((12, game.n)) < 0.7
    shown = game.shown(keep) > 0
    index = torch.tensor(game.answer)[:, None]
    truth = [float(deleted(engine, k).log_softmax(-1).gather(1, index).sum()) for k in shown]
    assert game(keep) == pytest.approx(truth, abs=1e-3)
    assert game.gradients(keep.astype(float))[0] == pytest.approx(truth, abs=1e-3)


def test_gates_work_in_the_models_own_precision(exact):
    gate = torch.full((FACTS,), 0.3)
    assert torch.allclose(value(exact, gate.clone().requires_grad_()), value(exact, gate), atol=1e-12)


def test_gate_mask_by_hand():
    mask = gate_mask([(-1, 0, 0, 1)], [torch.tensor([0.5, 0.0])], 5)[0, 0]
    never = torch.finfo(torch.float32).min
    log_half = float(np.log(0.5))
    assert mask[0].tolist() == [0.0] + [never] * 4  # padding sees itself alone
    assert mask[3].tolist() == pytest.approx([never, 0.0, 0.0, 0.0, never])  # a fact's own tokens see each other
    assert mask[4].tolist() == pytest.approx([never, 0.0, log_half, log_half, 0.0])
    assert gate_mask([(0, -1)], [torch.tensor([0.0])], 2)[0, 0, 1, 0] == never
