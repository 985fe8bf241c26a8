"""Learning masks: the same seed gives the same masks, a planted dependency is found, the curve is the objective. The
divergence of the prompt texts against scikit-learn, that of the model's answer against its definition."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from explain_cases import case, cases, engine, model
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from sklearn.feature_extraction.text import TfidfVectorizer

from workbench import explain
from workbench.attribution.faithfulness import faithfulness
from workbench.attribution.linear import context_cite
from workbench.cases import Case
from workbench.explain import LoopDivergence, TextDivergence, jensen_shannon
from workbench.explain.masks import DECAY, WARM, temperature
from workbench.game import Engine
from workbench.models.prompts import ChatTemplate, ReaderTemplate, Template, text

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


NO_CHAT = SimpleNamespace(chat_template=None, bos_token="<s>", get_vocab=lambda: {"<s>": 0})  # as tokenizer
TEMPLATES: list[Template] = [ReaderTemplate(), ChatTemplate(NO_CHAT)]  # type: ignore[arg-type]


def ones(of: list[Case]) -> torch.Tensor:
    """Keep-weights that keep everything, padded."""
    keep = torch.zeros(len(of), max(len(c.facts) for c in of), dtype=torch.float64)
    for row, c in zip(keep, of, strict=True):
        row[: len(c.facts)] = 1
    return keep


@pytest.mark.parametrize("template", TEMPLATES)
@given(hidden=st.lists(st.booleans(), min_size=7, max_size=7))
def test_text_divergence_of_hard_masks_is_that_of_scikit_learn(template: Template, hidden: list[bool]) -> None:
    three = cases()
    keep = ones(three)
    keep[:, np.flatnonzero(hidden)] = 0
    found = TextDivergence(three, template)(keep)
    for i, c in enumerate(three):
        texts = [text(c, template), text(c, template, keep[i, : len(c.facts)].bool().tolist())]
        full, changed = TfidfVectorizer().fit_transform(texts).toarray()
        assert float(found[i]) == pytest.approx(1 - full @ changed, abs=1e-6)


def test_text_divergence_has_the_gradient_of_finite_differences() -> None:
    two = cases()[:2]
    torch.manual_seed(1)
    keep = (0.1 + 0.8 * torch.rand(2, 7, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(TextDivergence(two, ReaderTemplate()), [keep])


def test_text_divergence_of_a_text_without_words() -> None:
    class Bare(ReaderTemplate):
        def segments(self, case: Case) -> list:
            return [s._replace(text="?") if s.fact < 0 else s for s in super().segments(case)]

    keep = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    found = TextDivergence([case()], Bare())(keep)
    found.sum().backward()
    assert found.item() == 1
    assert torch.isfinite(keep.grad).all()


def test_jensen_shannon_of_known_distributions_in_nats() -> None:
    sure, fair = torch.tensor([1 - 1e-30, 1e-30]).log(), torch.tensor([0.5, 0.5]).log()
    other = torch.tensor([1e-30, 1.0]).log()
    assert float(jensen_shannon(sure, other)) == pytest.approx(math.log(2))
    by_hand = 0.5 * (math.log(1 / 0.75) + 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    assert float(jensen_shannon(sure, fair)) == pytest.approx(by_hand, abs=1e-6)
    assert float(jensen_shannon(fair, sure)) == pytest.approx(by_hand, abs=1e-6)
    assert float(jensen_shannon(fair, fair)) == 0


def test_loop_divergence_is_the_mean_over_positions_between_full_and_gated_answers() -> None:
    three, run = cases(), engine()
    answers, keep = run.greedy_answers(three), ones(three)
    keep[:, 1], keep[:, 0] = 0.0, 0.3
    found = LoopDivergence(run, three, answers)(keep)
    prompts = [run.prompt(c) for c in three]
    full = run.logits(prompts, answers)
    gated = run.logits(prompts, answers, gates=[k[: len(c.facts)] for k, c in zip(keep, three, strict=True)])
    for i in range(3):
        p, q = full[i].softmax(-1).double(), gated[i].softmax(-1).double()
        middle = (p + q) / 2
        each = 0.5 * (p * (p / middle).log() + q * (q / middle).log()).sum(1)
        assert float(found[i]) == pytest.approx(float(each.mean()), abs=1e-5)
        assert 0 < float(found[i]) <= math.log(2)


def test_loop_divergence_has_the_gradient_of_finite_differences() -> None:
    three = cases()
    divergence = LoopDivergence(engine(), three)
    torch.manual_seed(2)
    keep = ones(three) * (0.2 + 0.6 * torch.rand(3, 7, dtype=torch.float64))
    keep.requires_grad_()
    divergence(keep).sum().backward()
    for i, j in ((0, 0), (0, 4), (1, 6), (2, 2)):
        step = torch.zeros_like(keep)
        step[i, j] = 0.02
        with torch.no_grad():
            slope = (divergence(keep + step)[i] - divergence(keep - step)[i]) / 0.04
        assert float(keep.grad[i, j]) == pytest.approx(float(slope), rel=0.03, abs=3e-5)
    assert (keep.grad[0, 5:] == 0).all()  # padding


def test_loop_divergence_in_small_batches_is_the_same_and_is_booked() -> None:
    three = cases()
    small, large = Engine(model(), batch_tokens=1), engine()
    keep = (0.5 * ones(three)).requires_grad_()
    slopes = []
    for run in (small, large):
        found = LoopDivergence(run, three, large.greedy_answers(three))(keep)
        slopes.append(torch.autograd.grad(found.sum(), keep)[0])
    assert torch.allclose(*slopes, atol=1e-6)
    assert small.ledger.backward_passes == 3
    assert small.ledger.calls == 6  # three on G, three gated
    assert small.ledger.seconds > 0


def test_loop_divergence_refuses_an_empty_answer() -> None:
    refused("no tokens", LoopDivergence, engine(), [case()], [()])


def test_names_are_words_of_the_text_not_patterns() -> None:
    odd = replace(case(), names=case().names | {"command:hisat2": "(.*) [x] \\d </s>"})
    keep = torch.tensor([[1.0, 1, 0, 1, 1]], dtype=torch.float64)
    assert 0 < TextDivergence([odd], ReaderTemplate())(keep).item() < 1
