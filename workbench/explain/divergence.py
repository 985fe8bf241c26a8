"""The divergence D that a removal causes, differentiable in the keep-weights of the facts.

Two kinds, both called with keep-weights (C, E) in [0, 1], padded, and both giving (C,): of the prompt texts (the
paper's), and of the tuned model's answer (the model in the loop).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import torch

from workbench.cases import Case
from workbench.explain.metrics import fact_words, frame_words
from workbench.game import Engine
from workbench.models.prompts import Template


class Divergence(Protocol):
    """Keep-weights of the facts (C, E) -> divergence (C,), gradients included."""

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """D of every case; 0 where everything is kept."""


class TextDivergence:
    """1 - cos(TFIDF(T(G)), TFIDF(T(Gc))), no unit, in [0, 1]: T the prompt text, the two texts the corpus.

    Keep-weights scale the word counts of their facts; a word's document frequency is 1 + min(1, its count in Gc). On
    hard masks this is scikit-learn's TfidfVectorizer with its defaults.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models.prompts import ReaderTemplate
        >>> case = example_case()
        >>> differs = TextDivergence([case], ReaderTemplate())
        >>> round(float(differs(torch.ones(1, 3))), 6)  # nothing taken out, nothing changed
        0.0
    """

    def __init__(self, cases: Sequence[Case], template: Template):
        frames = [frame_words(c, template) for c in cases]
        facts = [fact_words(c, template) for c in cases]
        columns = [sorted(set(frame).union(*lines)) for frame, lines in zip(frames, facts, strict=True)]
        width, length = max(map(len, columns)), max(map(len, facts))
        self.frame = torch.zeros(len(cases), width, dtype=torch.float64)  # (C, W) counts outside the facts
        self.facts = torch.zeros(len(cases), length, width, dtype=torch.float64)  # (C, E, W) counts of every fact
        for c, column in enumerate(columns):
            self.frame[c, : len(column)] = _counts(frames[c], column)
            for f, line in enumerate(facts[c]):
                self.facts[c, f, : len(column)] = _counts(line, column)
        self.full = self.frame + self.facts.sum(1)  # (C, W)

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """See `Divergence`."""
        left = self.frame.to(keep) + torch.einsum("ce,cew->cw", keep, self.facts.to(keep))
        full = self.full.to(keep)
        idf = math.log(3.0) - (2 + left.clamp(max=1)).log() + 1  # ln((1 + 2 texts) / (1 + texts with the word)) + 1
        whole, rest = full * idf, left * idf
        # the clamp gives a text without words the cosine 0, as scikit-learn does, and a gradient that is a number
        return 1 - (whole * rest).sum(1) / (whole.square().sum(1) * rest.square().sum(1)).clamp(min=1e-24).sqrt()


def _counts(found: Counter[str], column: Sequence[str]) -> torch.Tensor:
    return torch.tensor([float(found[word]) for word in column], dtype=torch.float64)


class LoopDivergence:
    """Mean over answer positions of the Jensen-Shannon divergence (nats, at most ln 2) between the model's next-token
    distributions on G and on the gated G, teacher-forced on the tuned model's answer to G.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> game = example_game().view(form="decision")
        >>> differs = LoopDivergence(game.engine, [game.case])
        >>> abs(float(differs(torch.ones(1, 3)))) < 1e-6, float(differs(torch.zeros(1, 3))) > 0.01  # all kept, all gone
        (True, True)
    """

    def __init__(
        self,
        engine: Engine,
        cases: Sequence[Case],
        answers: Sequence[Sequence[int]] | None = None,
        *,
        adapter: bool = True,
    ):
        """answers: token ids per case; None: the model's own greedy answers to G."""
        self.engine, self.adapter = engine, adapter
        self.prompts = [engine.prompt(c) for c in cases]
        self.answers = answers if answers is not None else engine.greedy_answers(cases, adapter=adapter)
        if any(len(answer) == 0 for answer in self.answers):
            raise ValueError("an answer has no tokens; give every case at least the end-of-sequence token")
        self.facts = [len(c.facts) for c in cases]
        # with gates of 1, not without gates: the same kernels, so that keeping everything diverges by exactly 0
        self.full = [z.log_softmax(-1) for z in self._logits(range(len(cases)), [torch.ones(n) for n in self.facts])]

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """See `Divergence`. The backward pass runs here, batch by batch, so that memory stays that of one batch."""
        value = torch.zeros(len(self.prompts), dtype=keep.dtype)
        slope = torch.zeros_like(keep, requires_grad=False)
        for rows in self._batches():
            value[rows], slope[rows] = self._batch(rows, keep[rows].detach(), keep.requires_grad)
        # first order in keep: the value and the gradient are those of D
        return value + (slope * (keep - keep.detach())).sum(1) if keep.requires_grad else value

    def _batch(self, rows: list[int], keep: torch.Tensor, gradient: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """D (rows,) and its gradient (rows, E) in the keep-weights of a few cases."""
        keep.requires_grad_(gradient)
        gated = self._logits(rows, [k[: self.facts[i]] for i, k in zip(rows, keep, strict=True)])
        value = torch.stack(
            [jensen_shannon(self.full[i], z.log_softmax(-1)).mean() for i, z in zip(rows, gated, strict=True)]
        )
        slope = torch.zeros_like(keep)
        if gradient:
            (slope,) = self.engine.backward(value.sum(), [keep])
        return value.detach().to(keep), slope

    def _logits(self, rows: Sequence[int], gates: list[torch.Tensor]) -> list[torch.Tensor]:
        prompts, answers = [self.prompts[i] for i in rows], [self.answers[i] for i in rows]
        return self.engine.logits(prompts, answers, adapter=self.adapter, gates=gates)

    def _batches(self) -> list[list[int]]:
        """Rows of like length, each batch one pass of the engine."""
        lengths = [len(p.ids) + len(a) for p, a in zip(self.prompts, self.answers, strict=True)]
        return self.engine.batches(lengths, gradients=True)


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence in nats between log-probabilities p and q (..., vocabulary) -> (...).

    Examples:
        >>> p, q = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log()
        >>> round(float(jensen_shannon(p, q)), 4)
        0.3681
    """
    middle = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * (p.exp() * (p - middle) + q.exp() * (q - middle)).sum(-1)
