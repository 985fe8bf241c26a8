"""Attention that the facts of a prompt receive while the model answers: what the attention baselines rank by."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from workbench.cases import Case
from workbench.game.engine import Engine

MAX_CELLS = 2**27  # attention weights held at once: rows * width^2 * heads * layers, 0.5 GB in float32


def attention_received(
    engine: Engine, cases: Sequence[Case], answers: Sequence[Sequence[int]] | None = None, *, adapter: bool = True
) -> list[np.ndarray]:
    """Per case (facts,) float64: the share of attention that falls on a fact's tokens, summed over them, then mean over
    layers, heads and the positions that predict the answer. Each is 0 or more, their sum 1 or less.

    answers: token ids per case (teacher-forced); None: those of the model's own greedy answer.
    """
    answers = engine.greedy_answers(cases, adapter=adapter) if answers is None else answers
    prompts = [engine.prompt(c) for c in cases]
    rows = [(*p.ids, *a[:-1]) for p, a in zip(prompts, answers, strict=True)]
    out: list[np.ndarray] = [np.zeros(0)] * len(cases)
    with eager_attention(engine), engine.lm.adapter(adapter), torch.no_grad():
        for batch in _batches(engine, [len(row) for row in rows]):
            shares = _token_shares(engine, [rows[i] for i in batch], [len(answers[i]) for i in batch])
            for i, share in zip(batch, shares, strict=True):
                fact = np.array(prompts[i].fact)
                inside = fact >= 0
                on_prompt = share[: len(fact)]
                out[i] = np.bincount(fact[inside], weights=on_prompt[inside], minlength=len(cases[i].facts))
    return out


def token_attention(
    engine: Engine, case: Case, answer: Sequence[int], shown: np.ndarray, *, adapter: bool = True
) -> list[np.ndarray]:
    """Per element of the case the attention that each token of its lines receives, as above; empty where none is shown.

    answer: token ids, teacher-forced. shown: bool (facts,). A node's lines are those of its facts.
    """
    prompt = engine.prompt(case, shown)
    with eager_attention(engine), engine.lm.adapter(adapter), torch.no_grad():
        (share,) = _token_shares(engine, [(*prompt.ids, *answer[:-1])], [len(answer)])
    lines = [[i for i, f in enumerate(case.facts) if node in (f.head, f.tail)] for node in case.nodes]
    lines += [[i] for i in range(len(case.facts))]
    return [share[: len(prompt.ids)][np.isin(prompt.fact, own)] for own in lines]


def element_attention(case: Case, facts: np.ndarray) -> np.ndarray:
    """Attention (facts,) as attention of the elements (n,), nodes first: a node gets the mean of its facts."""
    nodes = [np.mean([a for f, a in zip(case.facts, facts, strict=True) if n in (f.head, f.tail)]) for n in case.nodes]
    return np.concatenate([np.asarray(nodes, dtype=float), facts])


@contextlib.contextmanager
def eager_attention(engine: Engine) -> Iterator[None]:
    """Runs its block with the attention that can return its weights; the model's own setting comes back afterwards."""
    model = engine.lm.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _token_shares(engine: Engine, rows: Sequence[Sequence[int]], lengths: Sequence[int]) -> list[np.ndarray]:
    """Per row (tokens,) attention received from its last `length` positions, mean over layers, heads and positions."""
    started = time.perf_counter()
    width = max(map(len, rows))
    ids, real = engine.padded(rows, width)
    positions = (real.cumsum(1) - 1).clamp(min=0)
    result = engine.lm.model(
        input_ids=ids,
        attention_mask=real,
        position_ids=positions,
        output_attentions=True,
        logits_to_keep=1,
        use_cache=False,
    )
    shares = []
    for k, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        asking = [layer[k, :, width - length :, width - len(row) :].float().mean((0, 1)) for layer in result.attentions]
        shares.append(torch.stack(asking).mean(0).double().cpu().numpy())
    engine.book(rows=len(rows), tokens=int(real.sum()), started=started)
    return shares


def _batches(engine: Engine, lengths: Sequence[int]) -> Iterator[list[int]]:
    """Row numbers of like length, so many that their attention weights fit in memory."""
    config = engine.lm.model.config
    each = config.num_attention_heads * config.num_hidden_layers
    for batch in engine.batches(lengths):
        rows = max(1, MAX_CELLS // (each * max(lengths[i] for i in batch) ** 2))
        for start in range(0, len(batch), rows):
            yield batch[start : start + rows]
