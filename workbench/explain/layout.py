"""What the terms need to know of cases, as padded tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import ArrayLike

from workbench.cases import Case
from workbench.explain.text import relevance
from workbench.models.prompts import Template

TOOLS = ("tool:", "command:")


@dataclass(frozen=True)
class Layout:
    """C cases padded to V nodes, E edges (facts) and P pairs of edges; padding has weight 0 and `..._real` False.

    Examples:
        >>> from workbench.cases import Fact
        >>> from workbench.models.prompts import ReaderTemplate
        >>> flow = [("source:sra", "download_from", "format_1930"), ("format_1930", "input", "command:star")]
        >>> facts = tuple(Fact(*fact) for fact in [*flow, ("command:star", "output", "format_2572")])
        >>> path = ("source:sra", "format_1930", "command:star", "format_2572")
        >>> case = Case("one", path[0], path[-1], facts, path, dict(zip(path, ["SRA", "FASTQ", "star", "BAM"])))
        >>> layout = Layout.of([case], ReaderTemplate())
        >>> layout.heads.tolist(), layout.pairs.tolist()  # neighbours on the path share a node
        ([[0, 1, 2]], [[[0, 1], [1, 2]]])
    """

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
        weight = relations or {}
        pairs = [neighbours(c) for c in cases]

        def pad(rows: Callable[[Case], ArrayLike]) -> torch.Tensor:
            return _padded([np.asarray(rows(c)) for c in cases])

        return cls(
            node_real=pad(lambda c: [True] * len(c.nodes)),
            edge_real=pad(lambda c: [True] * len(c.facts)),
            node_weights=pad(lambda c: 1 / (1 + relevance(c, template))),
            edge_weights=pad(lambda c: [float(weight.get(f.relation, 1.0)) for f in c.facts]),
            heads=pad(lambda c: [c.nodes.index(f.head) for f in c.facts]),
            tails=pad(lambda c: [c.nodes.index(f.tail) for f in c.facts]),
            pairs=_padded([np.asarray(p, dtype=np.int64).reshape(-1, 2) for p in pairs]),
            pair_real=_padded([np.ones(len(p), dtype=bool) for p in pairs]),
            tools=pad(lambda c: [n.startswith(TOOLS) for n in c.nodes]),
        )

    def keep_facts(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Keep-weights of the facts, (C, E), 0 on padding: k_f = (1 - m_e)(1 - m_u)(1 - m_v) for edge e = (u, v)."""
        keep = 1 - nodes
        return (1 - edges) * keep.gather(1, self.heads) * keep.gather(1, self.tails) * self.edge_real


def neighbours(case: Case) -> list[tuple[int, int]]:
    """Pairs (i < j) of edges that share a node, sorted, each once."""
    touching: dict[str, list[int]] = {}
    for i, fact in enumerate(case.facts):
        for node in {fact.head, fact.tail}:
            touching.setdefault(node, []).append(i)
    return sorted({pair for edges in touching.values() for pair in combinations(edges, 2)})


def _padded(rows: Sequence[np.ndarray]) -> torch.Tensor:
    """Rows (length, ...) of unlike lengths as one tensor (rows, longest, ...), zeros behind the shorter ones."""
    return torch.nn.utils.rnn.pad_sequence([torch.as_tensor(row) for row in rows], batch_first=True)
