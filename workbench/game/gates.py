"""Gates: keep-degrees of facts as an additive attention mask, exact at 0 and with gradients at every degree.

A gate adds log k to the attention scores of every other token onto the tokens of a fact, which multiplies what they
weigh before the softmax norms it: k exp(s) / sum. At k = 0 the weight must be 0 whatever the scores, and those of tuned
models lie tens of nats apart, so no number chosen beforehand stands for log 0: the mask holds the most negative number
of its dtype there, as it does for padding. That is exact, since every row sees itself: exp underflows to 0. Above 0 the
log has no floor; what a removed fact still weighs falls with k until floats end.

The weight has a slope at k = 0, but through a weight of 0 nothing flows back. So gradients below `FLOOR` are those at
`FLOOR`, from a pass of their own, while the values stay those of the degrees as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

FLOOR = math.exp(-64)
"""Keep-degree, 1.6e-28, below which gradients are those at this one: small enough to hide scores 47 nats above all
others (their weight is e-17, float32 rounding), large enough to leave a weight 23 nats below them a float32 that is
normal. Its log is exact in every dtype."""


def gated(
    run: Callable[[torch.Tensor], torch.Tensor],
    facts: Sequence[Sequence[int]],
    gates: Sequence[torch.Tensor],
    *,
    width: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """What `run` gives for the mask of `gates`, see `gate_mask`; gradients flow to the gates that ask for them.

    Two passes where one asks for a gradient at a degree below `FLOOR`, else one.
    """
    asked = [g.detach() for g in gates if g.requires_grad] if torch.is_grad_enabled() else []
    if not any((g.double() < FLOOR).any() for g in asked):
        return run(gate_mask(facts, gates, width, dtype=dtype))
    with torch.no_grad():
        value = run(gate_mask(facts, gates, width, dtype=dtype))
    slope = run(gate_mask(facts, gates, width, dtype=dtype, floor=FLOOR))
    return value + (slope - slope.detach())


def gate_mask(
    facts: Sequence[Sequence[int]],
    gates: Sequence[torch.Tensor],
    width: int,
    *,
    dtype: torch.dtype = torch.float32,
    floor: float = 0.0,
) -> torch.Tensor:
    """Additive attention mask (rows, 1, width, width): causal, padding hidden, log-keep onto gated facts.

    facts: per row the fact index of every token (-1: none), padded on the left to `width`. gates: per row (facts,).
    dtype: the model's; with another one some attention kernels compute something else and do not complain.
    floor: degrees below it count as it, their gradient included; at a degree of 0 without a floor there is none.
    """
    never = torch.finfo(dtype).min
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    out = []
    for row, gate in zip(facts, gates, strict=True):
        fact = torch.full((width,), -2)  # -2: padding
        fact[width - len(row) :] = torch.as_tensor(row)
        log_keep = _log(gate, floor).clamp(min=never).to(torch.promote_types(dtype, torch.float32))
        log_keep = torch.cat([log_keep, log_keep.new_zeros(1)])[fact.clamp(min=-1)]
        own = fact[:, None] == fact[None, :]
        bias = torch.where(own, 0.0, log_keep[None, :].expand(width, width))
        # a padding row sees itself, so that its softmax is defined
        seen = causal & ((fact != -2)[None, :] | torch.eye(width, dtype=torch.bool))
        out.append(torch.where(seen, bias.to(dtype), never))
    return torch.stack(out)[:, None]


def _log(gate: torch.Tensor, floor: float) -> torch.Tensor:
    """Log of the degrees (facts,), float64, so that none above 0 is lost; the slope below `floor` is that at it."""
    keep = gate.cpu().double()
    return (keep + (keep.clamp(min=floor) - keep).detach()).log()
