"""An answer under teacher forcing: log-probabilities and margins of its tokens, and the strongest other answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from workbench.cases import Case, toolchain
from workbench.game.engine import Engine
from workbench.models.prompts import Prompt

MAX_NEW_TOKENS = 32  # of an answer that is generated


class Row(NamedTuple):
    """What one pass over a prompt says of the answer. Both (T,) float64, nats: log-probability of every token, and its
    logit less that of the best other token."""

    logprobs: np.ndarray
    margins: np.ndarray


def row_of(logits: torch.Tensor, answer: Sequence[int]) -> Row:
    """Logits (T, vocabulary) as log-probabilities and margins of the answer's tokens."""
    with torch.no_grad():
        both = token_logprobs(logits[None], answer)[0], token_margins(logits[None], answer)[0]
    return Row(*(x.double().cpu().numpy() for x in both))


def token_logprobs(logits: torch.Tensor, answer: Sequence[int]) -> torch.Tensor:
    """(m, T, vocabulary) -> (m, T), nats."""
    at = torch.as_tensor(answer, device=logits.device)[None, :, None].expand(len(logits), -1, 1)
    return logits.log_softmax(-1).gather(2, at)[..., 0]


def token_margins(logits: torch.Tensor, answer: Sequence[int]) -> torch.Tensor:
    """(m, T, vocabulary) -> (m, T): logit of the answer's token less the largest other one, nats."""
    at = torch.as_tensor(answer, device=logits.device)[None, :, None].expand(len(logits), -1, 1)
    return logits.gather(2, at)[..., 0] - logits.scatter(2, at, -torch.inf).amax(-1)


def named_path(engine: Engine, case: Case, ids: Iterable[int]) -> tuple[str, ...]:
    """An answer's tokens as node ids, source first."""
    return engine.parsed([case], engine.text([list(ids)]))[0]


def runner_up(
    engine: Engine, case: Case, answer: Sequence[int], *, max_new_tokens: int = MAX_NEW_TOKENS
) -> tuple[int, ...]:
    """The tuned model's strongest answer with another toolchain: at each token of `answer` the second choice, then on
    greedily; the likeliest of these that names another toolchain. ValueError: none does.
    """
    prompt = engine.prompt(case)
    with torch.no_grad():
        logits = engine.logits([prompt], [answer])[0]
    at = torch.as_tensor(answer, device=logits.device)[:, None]
    second = logits.scatter(1, at, -torch.inf).argmax(-1).tolist()
    end = int(engine.lm.tokenizer.eos_token_id)
    starts = [(*answer[:t], token) for t, token in enumerate(second)]
    begun = [Prompt((*prompt.ids, *s), (*prompt.fact, *[-1] * len(s))) for s in starts]
    tails = engine.generate(begun, max_new_tokens=max_new_tokens)
    whole = [s if s[-1] == end else (*s, *t, end) for s, t in zip(starts, tails, strict=True)]
    ours = toolchain(named_path(engine, case, answer))
    others = [a for a in dict.fromkeys(whole) if toolchain(named_path(engine, case, a)) != ours]
    if not others:
        raise ValueError(f"no second choice leads to another toolchain in case {case.id!r}; use form='decision'")
    with torch.no_grad():
        scores = [float(s.sum()) for s in engine.logprobs([prompt] * len(others), others)]
    return others[int(np.argmax(scores))]
