"""Learning masks: the same seed gives the same masks, a planted dependency is found, the curve is the objective."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from explain_cases import case, cases, engine
from refusals import refused

from workbench import explain
from workbench.attribution.faithfulness import faithfulness
from workbench.attribution.linear import context_cite
from workbench.explain.masks import DECAY, WARM, temperature
from workbench.models.prompts import ReaderTemplate

FEW = {"steps": 6, "learning_rate": 0.3}


def planted(keep: torch.Tensor) -> torch.Tensor:
    """A divergence that depends on the third fact alone."""
    return 1 - keep[:, 2]


def learned(of: list, **how) -> list[explain.Masks]:
    settings = {"steps": 150, "learning_rate": 0.2, "seed": 0, "template": ReaderTemplate()}
    return explain.learn_masks(of, explain.Weights(alpha=20), planted, **{**settings, **how})


def test_little_memory_makes_batches_of_one_and_the_same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    run, how = engine(), {"seed": 4, "steps": 3, "learning_rate": 0.3}
    lengths = [len(run.prompt(c).ids) for c in cases()]
    assert len(run.batches(lengths, gradients=True)) == 1 < len(lengths)
    together = explain.loop_masks(run, cases(), explain.Weights(), **how)
    monkeypatch.setattr("workbench.game.memory.KEPT_BYTES", 1)
    assert sorted(run.batches(lengths, gradients=True)) == [[i] for i in range(len(lengths))]
    assert len(run.batches(lengths)) == 1, "passes without gradients keep nothing"
    for one, other in zip(together, explain.loop_masks(run, cases(), explain.Weights(), **how), strict=True):
        assert np.allclose(one.elements, other.elements, atol=1e-5)


def test_what_the_divergence_depends_on_is_removed_and_little_else() -> None:
    for c, masks in zip(cases(), learned(cases()), strict=True):
        change = explain.removed_elements(c, masks)
        assert change.flags == ()
        assert c.facts[2] not in explain.without(c, change.elements).facts
        assert len(change.elements) <= 4


def test_history_has_every_term_and_its_loss_is_their_sum() -> None:
    weights = explain.Weights(alpha=3, delta=2)
    (masks,) = explain.paper_masks([case()], weights, template=ReaderTemplate(), **FEW)
    smoothed = masks.history[0]["loss"]
    for step, row in enumerate(masks.history, start=1):
        assert set(row) == {"step", "loss", "loss_ema", *explain.TERMS}
        assert row["step"] == step
        assert row["loss"] == pytest.approx(explain.total(row, weights))
        smoothed = DECAY * smoothed + (1 - DECAY) * row["loss"]
        assert row["loss_ema"] == pytest.approx(smoothed)
    assert len(masks.history) == 6


def test_the_same_seed_gives_the_same_masks_and_another_seed_others() -> None:
    def run(seed: int) -> np.ndarray:
        return explain.paper_masks([case()], explain.Weights(), template=ReaderTemplate(), seed=seed, **FEW)[0].elements

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_masks_of_a_case_do_not_depend_on_the_cases_beside_it() -> None:
    together = learned(cases(), steps=20)[0]
    (alone,) = learned(cases()[:1], steps=20)
    assert np.allclose(together.elements, alone.elements, atol=1e-9)


def test_the_temperature_falls_in_equal_ratios_from_warm_to_tau() -> None:
    fall = [temperature(0.15, 1.0, step, 60) for step in range(60)]
    assert fall[0] == pytest.approx(1.0) and fall[-1] == pytest.approx(0.15)
    ratios = np.divide(fall[1:], fall[:-1])
    assert (ratios < 1).all() and ratios == pytest.approx(ratios[0])
    assert {temperature(0.15, None, step, 60) for step in (0, 30, 59)} == {0.15}
    assert temperature(0.15, 1.0, 0, 1) == 0.15, "one step is the last one"


def test_masks_with_the_model_in_the_loop_are_learned_from_warm_to_cold() -> None:
    run, seen = engine(), []

    def learn(**how) -> np.ndarray:
        return learned([case()], steps=3, **how)[0].elements

    assert not np.array_equal(learn(warm=1.0), learn()) and np.array_equal(learn(warm=explain.Weights().tau), learn())
    explain.loop_masks(run, [case()], explain.Weights(tau=WARM), steps=2, learning_rate=0.3, listen=seen.append)
    assert len(seen) == 2


def test_the_listener_hears_the_mean_over_cases_of_every_step() -> None:
    heard: list[dict[str, float]] = []
    found = explain.paper_masks(cases(), explain.Weights(), template=ReaderTemplate(), listen=heard.append, **FEW)
    assert [row["step"] for row in heard] == [1, 2, 3, 4, 5, 6]
    for i, row in enumerate(heard):
        assert row["loss"] == pytest.approx(np.mean([m.history[i]["loss"] for m in found]))


def test_gradients_still_flow_after_an_answer_was_generated() -> None:
    run = engine()
    run.answers(cases())
    (before,) = explain.loop_masks(run, [case()], explain.Weights(), steps=0, learning_rate=0.3)
    (after,) = explain.loop_masks(run, [case()], explain.Weights(lambda_v=0, lambda_e=0, delta=0, epsilon=0), **FEW)
    assert (np.abs(after.edges - before.edges) > 0.01).all()
    assert run.ledger.backward_passes == 6


def test_settings_out_of_range_are_refused_before_the_model_is_asked() -> None:
    refused("steps must be 0 or more", learned, [case()], steps=-1)
    refused("learning_rate must be", learned, [case()], learning_rate=0.0)
    nobody = SimpleNamespace(lm=SimpleNamespace(template=ReaderTemplate()))  # asked for anything else, it fails
    refused("steps must be 0 or more, not -1", explain.loop_masks, nobody, cases(), explain.Weights(), steps=-1)
    refused("masks must be 2 or more", faithfulness, nobody, cases(), ["leave_one_out"], masks=1)
    refused("target must be", context_cite, SimpleNamespace(n=3), rng=np.random.default_rng(0), target="odds")


def test_a_case_without_facts_is_refused_by_name() -> None:
    refused("'bare' shows no facts", learned, [replace(case(), facts=(), id="bare")])
