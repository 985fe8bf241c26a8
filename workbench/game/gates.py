"""Gates: keep-degrees of facts as an additive attention mask, exact at 0 and with gradients at every degree.

A gate adds log k to the attention scores of every other token onto the tokens of a fact, which multiplies what they
weigh before the softmax norms it: k exp(s) / sum. At k = 0 the weight must be 0 whatever the scores, and those of tuned
models lie tens of nats apart, so no number chosen beforehand stands for log 0: the mask holds the most negative number
of its dtype there, as it does for padding. That is exact, since every row sees itself: exp underflows to 0. Above 0 the
log has no floor; what a removed fact still weighs falls with k until floats end.

The weight has a slope at k = 0, but through a weight of 0 nothing flows back. So gradients below `FLOOR` are those at
`FLOOR`: a gate that asks for its gradient is held there, and `Engine.logits` takes the values of such rows from a
second pass, at the degrees as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

FLOOR = math.exp(-64)
"""Keep-degree, 1.6e-28, below which gradients are those at this one: small enough to hide scores 47 nats above all
others (their weight is e-17, float32 rounding), large enough to leave a weight 23 nats below them a float32 that is
normal. Its log is exact in every dtype."""


def beneath(gates: Sequence[torch.Tensor]) -> list[int]:
    """Row numbers of the gates (facts,) that ask for a gradient at a degree below `FLOOR`."""
    return [i for i, gate in enumerate(gates) if gate.requires_grad and bool((gate.detach().double() < FLOOR).any())]


def gate_mask(
    facts: Sequence[Sequence[int]], gates: Sequence[torch.Tensor], width: int, *, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Additive attention mask (rows, 1, width, width): causal, padding hidden, log-keep onto gated facts.

    facts: per row the fact index of every token (-1: none, -2: padding), padded on the left to `width`. gates: per row
    (facts,). dtype: the model's; with another one some attention kernels compute something else and do not complain.

    Examples:
        >>> mask = gate_mask([[0, -1]], [torch.tensor([0.5])], 2)  # a token of fact 0, then one of the question
        >>> mask[0, 0, 1].exp().tolist()  # the question sees the fact by half
        [0.5, 1.0]
    """
    never = torch.finfo(dtype).min
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    out = []
    for row, gate in zip(facts, gates, strict=True):
        fact = torch.full((width,), -2)  # -2: padding
        fact[width - len(row) :] = torch.as_tensor(row)
        log_keep = _log(gate).clamp(min=never).to(torch.promote_types(dtype, torch.float32))
        log_keep = torch.cat([log_keep, log_keep.new_zeros(1)])[fact.clamp(min=-1)]
        own = fact[:, None] == fact[None, :]
        bias = torch.where(own, 0.0, log_keep[None, :].expand(width, width))
        # a padding row sees itself, so that its softmax is defined
        seen = causal & ((fact != -2)[None, :] | torch.eye(width, dtype=torch.bool))
        out.append(torch.where(seen, bias.to(dtype), never))
    return torch.stack(out)[:, None]


def _log(gate: torch.Tensor) -> torch.Tensor:
    """Log of the degrees (facts,), float64, so that none above 0 is lost; see `FLOOR` for those with a gradient."""
    keep, floor = gate.cpu().double(), FLOOR if gate.requires_grad else 0.0
    return (keep + (keep.clamp(min=floor) - keep).detach()).log()
