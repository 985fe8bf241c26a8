"""The divergence D that a removal causes, differentiable in the keep-weights of the facts.

Two kinds, both called with keep-weights (C, E) in [0, 1], padded, and both giving (C,): of the prompt texts (the
paper's), and of the tuned model's answer (the model in the loop).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from workbench.cases import Case
from workbench.game import Engine
from workbench.prompts import Template


class Divergence(Protocol):
    """Keep-weights of the facts (C, E) -> divergence (C,), gradients included."""

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """D of every case; 0 where everything is kept."""


class TextDivergence:
    """1 - cos(TFIDF(T(G)), TFIDF(T(Gc))), no unit, in [0, 1]: T the prompt text, the two texts the corpus.

    Keep-weights scale the term counts of their facts; a word's document frequency is 1 + min(1, its count in Gc). On
    hard masks this is scikit-learn's TfidfVectorizer with its defaults.
    """

    def __init__(self, cases: Sequence[Case], template: Template):
        raise NotImplementedError

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """See `Divergence`."""
        raise NotImplementedError


class LoopDivergence:
    """Mean over answer positions of the Jensen-Shannon divergence (nats, at most ln 2) between the model's next-token
    distributions on G and on the gated G, teacher-forced on the tuned model's answer to G.
    """

    def __init__(
        self, engine: Engine, cases: Sequence[Case], answers: Sequence[Sequence[int]] | None = None, *, adapter: bool = True
    ):
        """answers: token ids per case; None: the model's own greedy answers to G."""
        raise NotImplementedError

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """See `Divergence`. The backward pass through the model runs here, batch by batch, so memory stays that of one."""
        raise NotImplementedError


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence in nats between log-probabilities p and q (..., vocabulary) -> (...)."""
    raise NotImplementedError


def greedy_answers(engine: Engine, cases: Sequence[Case], *, adapter: bool = True, max_new_tokens: int = 32) -> list[tuple[int, ...]]:
    """Token ids of the greedy answers to G, end-of-sequence included where the model gave it."""
    raise NotImplementedError
