"""Attention that the facts of a prompt receive while the model answers: what the attention baselines rank by.

Two ways to add up the weights of the layers: their `mean`, and the `rollout`, which follows attention through the
layers down to the input (Abnar, Zuidema 2020).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from workbench.cases import Case
from workbench.game.engine import Engine
from workbench.models.prompts import Prompt

MAX_CELLS = 2**27  # attention weights held at once: rows * width^2 * heads * layers, 0.5 GB in float32


def attention_received(
    engine: Engine, cases: Sequence[Case], answers: Sequence[Sequence[int]] | None = None, *, adapter: bool = True
) -> list[np.ndarray]:
    """Per case (facts,) float64: the share of attention that falls on a fact's tokens, summed over them, then mean over
    layers, heads and the positions that predict the answer. Each is 0 or more, their sum 1 or less.

    answers: token ids per case (teacher-forced); None: those of the model's own greedy answer.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> (received,) = attention_received(engine, [case])
        >>> received.shape, bool(0 < received.sum() <= 1)
        ((3,), True)
    """
    return attention_measures(engine, cases, answers, ways=("mean",), adapter=adapter)["mean"]


def attention_measures(
    engine: Engine,
    cases: Sequence[Case],
    answers: Sequence[Sequence[int]] | None = None,
    *,
    ways: Sequence[str] = ("mean", "rollout"),
    adapter: bool = True,
) -> dict[str, list[np.ndarray]]:
    """Way of `WAYS` -> per case (facts,) float64, as `attention_received` gives the mean; one pass a case for all ways.

    ValueError: a way that does not exist.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> sorted(attention_measures(engine, [case]))
        ['mean', 'rollout']
    """
    unknown = [way for way in ways if way not in WAYS]
    if unknown:
        raise ValueError(f"attention is added up by {', '.join(WAYS)}, not by {unknown[0]!r}")
    answers = engine.greedy_answers(cases, adapter=adapter) if answers is None else answers
    prompts = [engine.prompt(c) for c in cases]
    lengths = [len(p.ids) + len(a) - 1 for p, a in zip(prompts, answers, strict=True)]
    out: dict[str, list[np.ndarray]] = {way: [np.zeros(0)] * len(cases) for way in ways}
    with eager_attention(engine), engine.lm.adapter(adapter), torch.no_grad():
        for batch in _batches(engine, lengths):
            shares = _token_shares(engine, [prompts[i] for i in batch], [answers[i] for i in batch], ways)
            for i, share in zip(batch, shares, strict=True):
                fact = np.array(prompts[i].fact)
                inside = fact >= 0
                for way in ways:
                    on_prompt = share[way][: len(fact)][inside]
                    out[way][i] = np.bincount(fact[inside], weights=on_prompt, minlength=len(cases[i].facts))
    return out


def rollout(weights: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
    """Attention followed down through the layers, (k, tokens): start @ A_L @ ... @ A_1, with A_l = (W_l + I) / 2.

    weights: (layers, tokens, tokens), mean over the heads, first layer first; the identity is the residual stream.
    start: (k, tokens), rows that sum to 1; None: every token by itself. Rows of the result sum to 1.
    Source: Abnar, Zuidema 2020, arXiv:2005.00928, section 3.

    Examples:
        >>> looks_back = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])  # one layer: both tokens look at the first
        >>> rollout(looks_back).tolist()
        [[1.0, 0.0], [0.5, 0.5]]
    """
    identity = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    rows = identity if start is None else start
    for layer in reversed(weights):
        mixed = (layer + identity) / 2
        rows = rows @ (mixed / mixed.sum(-1, keepdim=True))
    return rows


def token_attention(
    engine: Engine, case: Case, answer: Sequence[int], shown: np.ndarray, *, adapter: bool = True
) -> list[np.ndarray]:
    """Per element of the case the attention that each token of its lines receives, as above; empty where none is shown.

    answer: token ids, teacher-forced. shown: bool (facts,). See `element_lines`.
    """
    prompt = engine.prompt(case, shown)
    with eager_attention(engine), engine.lm.adapter(adapter), torch.no_grad():
        (shares,) = _token_shares(engine, [prompt], [answer], ("mean",))
    return [shares["mean"][: len(prompt.ids)][np.isin(prompt.fact, own)] for own in element_lines(case)]


def element_lines(case: Case) -> list[list[int]]:
    """Per element, nodes first, the numbers of the facts whose lines are its own: a node's are those that name it."""
    nodes = [[i for i, f in enumerate(case.facts) if node in (f.head, f.tail)] for node in case.nodes]
    return nodes + [[i] for i in range(len(case.facts))]


def element_attention(case: Case, facts: np.ndarray) -> np.ndarray:
    """Attention (facts,) as attention of the elements (n,), nodes first: a node gets the mean of its facts.

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> element_attention(case, np.array([0.2, 0.4, 0.0])).round(6).tolist()
        [0.2, 0.3, 0.2, 0.0, 0.2, 0.4, 0.0]
    """
    return np.array([np.mean(facts[own]) for own in element_lines(case)])


@contextlib.contextmanager
def eager_attention(engine: Engine) -> Iterator[None]:
    """Runs its block with the attention that can return its weights; the model's own setting comes back afterwards.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> with eager_attention(engine):
        ...     engine.lm.model.config._attn_implementation
        'eager'
    """
    model = engine.lm.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _mean(layers: Sequence[torch.Tensor], asking: int) -> torch.Tensor:
    """Layers (heads, tokens, tokens) -> (tokens,): mean over layers, heads and the last `asking` positions."""
    return torch.stack([layer[:, -asking:].mean((0, 1)) for layer in layers]).mean(0)


def _rollout(layers: Sequence[torch.Tensor], asking: int) -> torch.Tensor:
    """The same by `rollout`, from those positions to the input."""
    start = torch.zeros(1, layers[0].shape[-1], device=layers[0].device)
    start[:, -asking:] = 1 / asking
    return rollout(torch.stack([layer.mean(0) for layer in layers]), start)[0]


WAYS: dict[str, Callable[[Sequence[torch.Tensor], int], torch.Tensor]] = {"mean": _mean, "rollout": _rollout}
"""How the weights of the layers are added up: layers (heads, tokens, tokens), asking positions -> (tokens,)."""


def _token_shares(
    engine: Engine, prompts: Sequence[Prompt], answers: Sequence[Sequence[int]], ways: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Per row, way -> (tokens,) attention received from the positions that predict its answer."""
    started, fed = time.perf_counter(), [answer[:-1] for answer in answers]
    result, real = engine.forward(prompts, fed, output_attentions=True, logits_to_keep=1, use_cache=False)
    shares = []
    for k, (padding, answer) in enumerate(zip((1 - real).sum(1).tolist(), answers, strict=True)):
        layers = [layer[k, :, padding:, padding:].float() for layer in result.attentions]  # padding stands before
        shares.append({way: WAYS[way](layers, len(answer)).double().cpu().numpy() for way in ways})
    engine.book(rows=len(prompts), tokens=int(real.sum()), started=started)
    return shares


def _batches(engine: Engine, lengths: Sequence[int]) -> Iterator[list[int]]:
    """Row numbers of like length, so many that their attention weights fit in memory."""
    config = engine.lm.model.config
    each = config.num_attention_heads * config.num_hidden_layers
    for batch in engine.batches(lengths):
        rows = max(1, MAX_CELLS // (each * max(lengths[i] for i in batch) ** 2))
        for start in range(0, len(batch), rows):
            yield batch[start : start + rows]
