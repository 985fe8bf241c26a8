"""The methods that explain cases and their settings, and the paper's seven baselines: removals of the same size, at
random, aligned to what Gc removed, or by attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.artifacts.checks import check_number, check_whole
from workbench.cases import Case, Fact
from workbench.explain.counterfactual import Element
from workbench.explain.terms import Weights
from workbench.game import element_attention

Baseline = Callable[..., list[int]]
"""`f(case, *, reference, rng, attention) -> numbers` of elements, in the order in which they go.

reference: the elements that Gc removed. attention: per fact (facts,), for the two that rank by it.
"""


def random_node(case: Case, *, rng: np.random.Generator, **_) -> list[int]:
    """Nodes, in random order."""
    return rng.permutation(len(case.nodes)).tolist()


def random_edge(case: Case, *, rng: np.random.Generator, **_) -> list[int]:
    """Edges, in random order."""
    return (len(case.nodes) + rng.permutation(len(case.facts))).tolist()


def random_both(case: Case, *, rng: np.random.Generator, **_) -> list[int]:
    """Nodes and edges, in random order."""
    return rng.permutation(len(case.elements)).tolist()


def aligned_node(case: Case, *, reference: Sequence[Element], rng: np.random.Generator, **_) -> list[int]:
    """Nodes, first one of the same type for each element of the reference; an edge counts as one of its ends."""
    ends = [e[2 * int(rng.integers(2))] if isinstance(e, Fact) else e for e in reference]
    return _like(case.nodes, ends, rng)


def aligned_both(case: Case, *, reference: Sequence[Element], rng: np.random.Generator, **_) -> list[int]:
    """First, for each node of the reference one of the same type, for each edge one of the same relation."""
    return _like(case.elements, reference, rng)


def attention_highest(case: Case, *, attention: np.ndarray, **_) -> list[int]:
    """Elements, first those that receive most attention while the tuned model answers."""
    return np.argsort(-element_attention(case, attention), kind="stable").tolist()


def attention_lowest(case: Case, *, attention: np.ndarray, **_) -> list[int]:
    """Elements, first those that receive least attention while the tuned model answers."""
    return np.argsort(element_attention(case, attention), kind="stable").tolist()


BASELINES: dict[str, Baseline] = {
    f.__name__: f
    for f in (random_node, random_edge, random_both, aligned_node, aligned_both, attention_highest, attention_lowest)
}


def node_type(node: str) -> str:
    """Type of a node by its id: `command`, `source`, `format`, `data`, ..."""
    return node.split("_")[0] if ":" not in node else node.split(":")[0]


def element_type(element: Element) -> str:
    """A node's type; an edge's relation, which fixes the types of both ends."""
    return f"edge {element.relation}" if isinstance(element, Fact) else node_type(element)


def _like(pool: Sequence[Element], wanted: Sequence[Element], rng: np.random.Generator) -> list[int]:
    """Numbers of the pool in random order, but first one of the type of each wanted element, as long as there are."""
    left = rng.permutation(len(pool)).tolist()
    taken = []
    for one in wanted:
        match = next((i for i in left if element_type(pool[i]) == element_type(one)), None)
        if match is not None:
            left.remove(match)
            taken.append(match)
    return [*taken, *left]


LEARNED = ("paper", "in_loop")
CERTIFIED = "certified"
METHODS = (*LEARNED, CERTIFIED, *BASELINES)
FACTS, ELEMENTS = "facts", "elements"


@dataclass(frozen=True)
class ExplainConfig:
    """Settings of the explanations.

    Examples:
        >>> ExplainConfig(loop_steps=30).threshold
        0.5
    """

    weights: Weights = field(default_factory=Weights)
    paper_steps: int = 120
    paper_learning_rate: float = 0.3
    loop_steps: int = 60
    loop_learning_rate: float = 0.4
    threshold: float = 0.5  # of the paper's mask: an element goes when its degree of removal is above it
    certified_budget: int = 2000  # most rows asked for the certified set of one case
    sets_of: str = FACTS  # what certified sets are made of; a node takes all its facts out at once, so it says less
    reference: str = "in_loop"  # learned method whose removals give the baselines their size and types
    max_new_tokens: int = 32

    def __post_init__(self) -> None:
        if self.reference not in LEARNED:
            raise ValueError(f"reference must be one of {', '.join(LEARNED)}, not {self.reference!r}")
        if self.sets_of not in (FACTS, ELEMENTS):
            raise ValueError(f"sets_of must be {FACTS} or {ELEMENTS}, not {self.sets_of!r}")
        check_number("threshold", self.threshold, high=1)
        for name in ("paper_steps", "loop_steps", "certified_budget", "max_new_tokens"):
            check_whole(name, getattr(self, name))
        for name in ("paper_learning_rate", "loop_learning_rate"):
            check_number(name, getattr(self, name), without_low=True)

    def members(self, case: Case) -> list[int]:
        """Numbers of the elements that a certified set of the case may have: its facts, or all of its elements."""
        return [i for i, e in enumerate(case.elements) if self.sets_of == ELEMENTS or isinstance(e, Fact)]
