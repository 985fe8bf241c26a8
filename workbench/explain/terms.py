"""The six terms of the mask objective, as named functions in one dict.

    L = L_structure - alpha * D + beta * L_entropy + gamma * L_preserve + delta * L_hard + epsilon * L_smooth

m is the degree of REMOVAL: 1 removed, 0 kept; L is minimised. (After Wang, Chen, Kabir 2025, arXiv 2509.21241; the
signs are this project's convention.) L_structure = lambda_v * (nodes) + lambda_e * (edges) has two weights, so it
stands in the dict as its two parts. A term added to `TERMS` gets a slider, a legend entry and a column by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from workbench.artifacts.checks import check_number
from workbench.cases import Case
from workbench.explain.metrics import relevance
from workbench.game.attention import element_lines
from workbench.models.prompts import Template

TOOLS = ("tool:", "command:")


@dataclass(frozen=True)
class Layout:
    """C cases padded to V nodes, E edges (facts) and P pairs of edges; padding has weight 0 and `..._real` False.

    Examples:
        >>> from workbench.cases import Fact
        >>> from workbench.models.prompts import ReaderTemplate
        >>> from workbench.cases import example_case
        >>> case = example_case()
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

        def pad(rows: Callable[[Case], ArrayLike]) -> torch.Tensor:
            """Rows (length, ...) of unlike lengths as one tensor (cases, longest, ...), zeros behind shorter ones."""
            tensors = [torch.as_tensor(np.asarray(rows(c))) for c in cases]
            return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)

        return cls(
            node_real=pad(lambda c: [True] * len(c.nodes)),
            edge_real=pad(lambda c: [True] * len(c.facts)),
            node_weights=pad(lambda c: 1 / (1 + relevance(c, template))),
            edge_weights=pad(lambda c: [float(weight.get(f.relation, 1.0)) for f in c.facts]),
            heads=pad(lambda c: [c.nodes.index(f.head) for f in c.facts]),
            tails=pad(lambda c: [c.nodes.index(f.tail) for f in c.facts]),
            pairs=pad(lambda c: np.asarray(neighbours(c), dtype=np.int64).reshape(-1, 2)),
            pair_real=pad(lambda c: np.ones(len(neighbours(c)), dtype=bool)),
            tools=pad(lambda c: [n.startswith(TOOLS) for n in c.nodes]),
        )

    def keep_facts(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Keep-weights of the facts, (C, E), 0 on padding: k_f = (1 - m_e)(1 - m_u)(1 - m_v) for edge e = (u, v)."""
        keep = 1 - nodes
        return (1 - edges) * keep.gather(1, self.heads) * keep.gather(1, self.tails) * self.edge_real


def neighbours(case: Case) -> list[tuple[int, int]]:
    """Pairs (i < j) of edges that share a node, sorted, each once."""
    return sorted({pair for edges in element_lines(case) for pair in combinations(edges, 2)})


Value = TypeVar("Value", float, torch.Tensor)

SMALLEST = 1e-12  # the slope of the entropy is infinite at 0


class Sample(NamedTuple):
    """Degrees of removal of C cases, padded, and the divergence they cause.

    Examples:
        >>> Sample(nodes=torch.zeros(1, 2), edges=torch.ones(1, 1), divergence=torch.tensor([0.5])).edges.tolist()
        [[1.0]]
    """

    nodes: torch.Tensor  # (C, V) in [0, 1]
    edges: torch.Tensor  # (C, E) in [0, 1]
    divergence: torch.Tensor  # (C,) >= 0


@dataclass(frozen=True)
class Term:
    """One term: `function(sample, layout) -> (C,)` without its weight, and what a slider needs to show it.

    Examples:
        >>> TERMS["entropy"].weight, TERMS["entropy"].unit
        ('beta', 'nats')
    """

    name: str  # key in TERMS, column in histories
    symbol: str  # the term of the objective it belongs to, as in the formula above
    weight: str  # name of its weight: a field of Weights, or a key of Weights.more
    default: float  # default weight
    sign: int  # +1: a penalty, -1: a reward
    unit: str  # unit of the unweighted value
    tooltip: str  # formula and meaning
    function: Callable[[Sample, Layout], torch.Tensor] = field(repr=False)


def removed_nodes(sample: Sample, layout: Layout) -> torch.Tensor:
    """sum_v w_v m_v, (C,)."""
    return (layout.node_weights * sample.nodes).sum(1)


def removed_edges(sample: Sample, layout: Layout) -> torch.Tensor:
    """sum_e w_rel(e) m_e, (C,)."""
    return (layout.edge_weights * sample.edges).sum(1)


def divergence(sample: Sample, layout: Layout) -> torch.Tensor:
    """D, (C,): computed outside, see `workbench.explain.metrics`."""
    return sample.divergence


def entropy(sample: Sample, layout: Layout) -> torch.Tensor:
    """Mean over all elements of -m log m - (1 - m) log(1 - m), (C,), nats."""

    def one(m: torch.Tensor) -> torch.Tensor:
        return torch.special.entr(m.clamp(min=SMALLEST)) + torch.special.entr((1 - m).clamp(min=SMALLEST))

    return _element_mean(one(sample.nodes), one(sample.edges), layout)


def preserve(sample: Sample, layout: Layout) -> torch.Tensor:
    """max(0, 1 - sum of (1 - m_v) over tool and command nodes), (C,)."""
    kept = ((1 - sample.nodes) * layout.tools).sum(1)
    return (1 - kept).clamp(min=0)


def hard(sample: Sample, layout: Layout) -> torch.Tensor:
    """Mean over all elements of 0.5 - |m - 0.5|, (C,)."""
    return _element_mean(0.5 - (sample.nodes - 0.5).abs(), 0.5 - (sample.edges - 0.5).abs(), layout)


def smooth(sample: Sample, layout: Layout) -> torch.Tensor:
    """Mean of (m_e - m_e')^2 over pairs of edges that share a node, (C,); 0 where there is no pair."""
    first, second = (sample.edges.gather(1, layout.pairs[:, :, end]) for end in (0, 1))
    squares = (first - second).square() * layout.pair_real
    return squares.sum(1) / layout.pair_real.sum(1).clamp(min=1)


def _element_mean(nodes: torch.Tensor, edges: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Mean of per-element values (C, V), (C, E) over the elements that are no padding, (C,)."""
    summed = (nodes * layout.node_real).sum(1) + (edges * layout.edge_real).sum(1)
    return summed / (layout.node_real.sum(1) + layout.edge_real.sum(1)).clamp(min=1)


TERMS: dict[str, Term] = {
    term.name: term
    for term in (
        Term("structure_nodes", "L_structure", "lambda_v", 0.1, 1, "weighted nodes",
             "λ_V · Σ_v w_v m_v: few nodes removed; w_v = 1 / (1 + relevance to the question)", removed_nodes),
        Term("structure_edges", "L_structure", "lambda_e", 0.5, 1, "weighted edges",
             "λ_E · Σ_e w_rel(e) m_e: few edges removed", removed_edges),
        Term("divergence", "D", "alpha", 400.0, -1, "cosine distance, or nats with the model in the loop",
             "−α · D: what is removed changes the output much", divergence),
        Term("entropy", "L_entropy", "beta", 0.05, 1, "nats",
             "β · mean of −m log m − (1−m) log(1−m): masks towards 0 or 1", entropy),
        Term("preserve", "L_preserve", "gamma", 10.0, 1, "tools",
             "γ · max(0, 1 − Σ (1 − m_v) over tools and commands): at least one tool stays", preserve),
        Term("hard", "L_hard", "delta", 10.0, 1, "distance to 0 or 1",
             "δ · mean of (0.5 − |m − 0.5|): across the threshold, not on it", hard),
        Term("smooth", "L_smooth", "epsilon", 5.0, 1, "squared difference of m",
             "ε · mean of (m_e − m_e')² over edges that share a node: neighbours get like masks", smooth),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Weights of the terms (0 or more) and the temperature tau of the binary-concrete sample (above 0).

    Examples:
        >>> few = Weights(alpha=20.0)
        >>> few.to_dict()["alpha"], few == Weights.from_dict({"alpha": 20.0})
        (20.0, True)
    """

    lambda_v: float = TERMS["structure_nodes"].default
    lambda_e: float = TERMS["structure_edges"].default
    alpha: float = TERMS["divergence"].default
    beta: float = TERMS["entropy"].default
    gamma: float = TERMS["preserve"].default
    delta: float = TERMS["hard"].default
    epsilon: float = TERMS["smooth"].default
    tau: float = 0.15
    more: Mapping[str, float] = field(default_factory=dict)  # weights of terms added to TERMS, by weight name

    def __post_init__(self) -> None:
        known = {term.weight for term in TERMS.values()}
        for name in self.more:
            if name not in known:
                raise ValueError(f"no term has a weight {name!r}; the weights are {', '.join(sorted(known))}")
        for term in TERMS.values():
            check_number(f"weight {term.weight}", self.of(term))
        check_number("weight tau", self.tau, without_low=True)

    def of(self, term: Term) -> float:
        """The weight of a term; its default where it is one of its own and `more` does not name it."""
        return self.more.get(term.weight, getattr(self, term.weight, term.default))

    def to_dict(self) -> dict[str, float]:
        """Flat: weight name -> value, every term of TERMS and tau."""
        return {term.weight: float(self.of(term)) for term in TERMS.values()} | {"tau": float(self.tau)}

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Weights:
        """The inverse of `to_dict`; names that are missing keep their defaults. ValueError: a name no term has."""
        own = {name: value for name, value in values.items() if name in cls.__dataclass_fields__ and name != "more"}
        return cls(**own, more={name: value for name, value in values.items() if name not in own})


PRESETS: dict[str, Weights] = {
    "paper": Weights(),
    # what D gains by one more removal is worth less: small changes, which is what a counterfactual is for
    "few removals": Weights(alpha=20.0),
}


def evaluate(sample: Sample, layout: Layout) -> dict[str, torch.Tensor]:
    """Every term of TERMS without its weight: name -> (C,).

    Examples:
        >>> from workbench.cases import Case, Fact
        >>> from workbench.models.prompts import ReaderTemplate
        >>> case = Case("one", "a", "b", (Fact("a", "input", "b"),), ("a", "b"), {"a": "A", "b": "B"})
        >>> sample = Sample(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0]]), torch.tensor([0.5]))
        >>> found = evaluate(sample, Layout.of([case], ReaderTemplate()))
        >>> float(found["structure_edges"]), float(found["divergence"]), float(found["hard"])
        (1.0, 0.5, 0.0)
    """
    return {name: term.function(sample, layout) for name, term in TERMS.items()}


def contributions(values: Mapping[str, Value], weights: Weights) -> dict[str, Value]:
    """What every term adds to the objective: name -> sign * weight * value. Columns that are no terms are left out.

    Examples:
        >>> contributions({**dict.fromkeys(TERMS, 0.0), "divergence": 0.5, "entropy": 0.6}, Weights())["divergence"]
        -200.0
    """
    return {name: term.sign * weights.of(term) * values[name] for name, term in TERMS.items()}


def total(values: Mapping[str, Value], weights: Weights) -> Value:
    """The objective L from unweighted terms; a row of a history will do.

    Examples:
        >>> total({**dict.fromkeys(TERMS, 0.0), "divergence": 0.5, "preserve": 1.0}, Weights(alpha=20.0, gamma=10.0))
        0.0
    """
    first, *rest = contributions(values, weights).values()
    return sum(rest, start=first)
