"""The divergence of the prompt texts against scikit-learn, that of the model's answer against its definition."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from explain_cases import case, cases, engine, model
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from sklearn.feature_extraction.text import TfidfVectorizer

from workbench.cases import Case
from workbench.explain import LoopDivergence, TextDivergence, jensen_shannon
from workbench.game import Engine
from workbench.models.prompts import ChatTemplate, ReaderTemplate, Template, text


class NoChat:
    """A tokenizer without a chat template."""

    chat_template = None
    bos_token = "<s>"

    def get_vocab(self) -> dict[str, int]:
        return {self.bos_token: 0}


TEMPLATES: list[Template] = [ReaderTemplate(), ChatTemplate(NoChat())]  # type: ignore[arg-type]


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
