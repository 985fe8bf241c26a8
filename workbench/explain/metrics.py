"""How much two answers differ, by the paper's four metrics on toolchains and on the answers' text; words of texts with
their TF-IDF weights, as scikit-learn's TfidfVectorizer has them by default; and the divergence D that a removal causes,
differentiable in the keep-weights of the facts.

There are two kinds of D, both called with keep-weights (C, E) in [0, 1], padded, and both giving (C,): of the prompt
texts (the paper's), and of the tuned model's answer (the model in the loop).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby, takewhile
from typing import Protocol

import numpy as np
import torch

from workbench.cases import Case
from workbench.game import Engine
from workbench.game.attention import element_lines
from workbench.models.prompts import Template

WORD = re.compile(r"\b\w\w+\b")  # scikit-learn's own: to import all of it for one expression takes a second


def words(text: str) -> Counter[str]:
    """How often each word occurs: lower case, two or more letters, digits or underscores."""
    return Counter(WORD.findall(text.lower()))


def tfidf(documents: Sequence[Counter[str]]) -> np.ndarray:
    """TF-IDF vectors (documents, words) float64, the documents being the corpus; rows of length 1, or 0 without words.

    idf = ln((1 + documents) / (1 + documents with the word)) + 1.
    """
    column = {word: i for i, word in enumerate(sorted(set().union(*documents)))}
    counts = np.zeros((len(documents), len(column)))
    for row, document in zip(counts, documents, strict=True):
        for word, count in document.items():
            row[column[word]] = count
    scaled = counts * (np.log((1 + len(documents)) / (1 + (counts > 0).sum(0))) + 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, length, out=scaled, where=length > 0)


def frame_words(case: Case, template: Template) -> Counter[str]:
    """Words of the prompt outside its facts."""
    runs = groupby(template.segments(case), key=lambda segment: segment.fact)
    return sum((words("".join(s.text for s in run)) for fact, run in runs if fact < 0), Counter())


def question_words(case: Case, template: Template) -> Counter[str]:
    """Words of the prompt outside its facts and markup: of the question."""
    return sum((words(s.text) for s in template.segments(case) if s.fact < 0 and not s.markup), Counter())


def fact_words(case: Case, template: Template) -> list[Counter[str]]:
    """Words of each fact's line, in the order of case.facts."""
    lines = {s.fact: words(s.text) for s in template.segments(case) if s.fact >= 0}
    return [lines[i] for i in range(len(case.facts))]


def relevance(case: Case, template: Template) -> np.ndarray:
    """(nodes,) in [0, 1]: TF-IDF cosine of each node's lines with the question, both among the lines of all nodes."""
    facts, nodes = fact_words(case, template), element_lines(case)[: len(case.nodes)]
    lines = [sum((facts[i] for i in own), Counter[str]()) for own in nodes]
    vectors = tfidf([question_words(case, template), *lines])
    return np.clip(vectors[1:] @ vectors[0], 0, 1)


def jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    """Shared tools / all tools, in [0, 1]; 1 for two empty chains.

    Examples:
        >>> jaccard(["star", "sort"], ["star", "index"])  # one of three
        0.3333333333333333
    """
    everything = set(a) | set(b)
    return len(set(a) & set(b)) / len(everything) if everything else 1.0


def edit_distance(a: Sequence[str], b: Sequence[str]) -> float:
    """Levenshtein distance / length of the longer chain, in [0, 1]; 0 for two empty chains.

    Examples:
        >>> edit_distance(["star", "sort"], ["star", "index"])
        0.5
    """
    above = list(range(len(b) + 1))  # distances of the prefix of a seen so far to every prefix of b
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
        above = row
    return above[-1] / max(len(a), len(b), 1)


def path_overlap(a: Sequence[str], b: Sequence[str]) -> float:
    """Longest common prefix / length of the longer chain, in [0, 1]; 1 for two empty chains.

    Examples:
        >>> path_overlap(["star", "sort"], ["star", "index"]), path_overlap(["sort"], ["star", "sort"])
        (0.5, 0.0)
    """
    longest = max(len(a), len(b))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    return shared / longest if longest else 1.0


def cosine(a: str, b: str) -> float:
    """TF-IDF cosine of two texts, the corpus being the two (scikit-learn's defaults); 1 for equal texts.

    Examples:
        >>> cosine("star then sort", "star then sort"), cosine("star", "hisat2")
        (1.0, 0.0)
    """
    if a == b:
        return 1.0  # texts without words, too
    first, second = tfidf([words(a), words(b)])
    return float(min(1.0, first @ second))


METRICS: dict[str, Callable[..., float]] = {
    "jaccard": jaccard,
    "edit_distance": edit_distance,
    "path_overlap": path_overlap,
    "cosine": cosine,
}
"""Name -> function. The first three compare toolchains, `cosine` compares the answers' text."""


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
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> differs = LoopDivergence(game.engine, [game.case])
        >>> abs(float(differs(torch.ones(1, 3)))) < 1e-6, float(differs(torch.zeros(1, 3))) > 0.01  # all kept, all gone
        (True, True)
    """

    def __init__(self, engine: Engine, cases: Sequence[Case], answers: Sequence[Sequence[int]] | None = None):
        """answers: token ids per case; None: the model's own greedy answers to G."""
        self.engine, self.prompts = engine, [engine.prompt(c) for c in cases]
        self.answers = answers if answers is not None else engine.greedy_answers(cases)
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
        return self.engine.logits(prompts, answers, gates=gates)

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
