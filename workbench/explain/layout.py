"""What the terms need to know of cases, as padded tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from workbench.cases import Case
from workbench.prompts import Template


@dataclass(frozen=True)
class Layout:
    """C cases padded to V nodes, E edges (facts) and P pairs of edges; padding has weight 0 and `..._real` False."""

    node_real: torch.Tensor  # (C, V) bool
    edge_real: torch.Tensor  # (C, E) bool
    node_weights: torch.Tensor  # (C, V) w_v = 1 / (1 + relevance of the node's lines to the question), in [0.5, 1]
    edge_weights: torch.Tensor  # (C, E) w_rel(e), 1 unless given
    heads: torch.Tensor  # (C, E) int64, index of the edge's head among the nodes
    tails: torch.Tensor  # (C, E) int64
    pairs: torch.Tensor  # (C, P, 2) int64, edges that share a node, each pair once
    pair_real: torch.Tensor  # (C, P) bool
    tools: torch.Tensor  # (C, V) bool: tool and command nodes

    @classmethod
    def of(cls, cases: Sequence[Case], template: Template, *, relations: Mapping[str, float] | None = None) -> Layout:
        """The layout of `cases`, float64. relations: relation -> weight w_rel; 1 for those not named."""
        raise NotImplementedError

    def keep_facts(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Keep-weight of every fact, (C, E): k_f = (1 - m_e)(1 - m_u)(1 - m_v) for its edge e = (u, v); 0 on padding."""
        raise NotImplementedError
