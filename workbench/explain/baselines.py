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
from workbench.game import Engine, attention_received, element_attention

Baseline = Callable[..., tuple[Element, ...]]
"""`f(engine, case, *, size, reference, rng, attention=None) -> elements`.

size: how many elements to take (all there are, where there are fewer). reference: the elements that Gc removed.
attention: per fact (facts,), for the two that rank by it; computed where it is not given.
"""


def random_node(engine: Engine, case: Case, *, size: int, rng: np.random.Generator, **_) -> tuple[Element, ...]:
    """Nodes, drawn without replacement."""
    return _draw(case.nodes, size, rng)


def random_edge(engine: Engine, case: Case, *, size: int, rng: np.random.Generator, **_) -> tuple[Element, ...]:
    """Edges, drawn without replacement."""
    return _draw(case.facts, size, rng)


def random_both(engine: Engine, case: Case, *, size: int, rng: np.random.Generator, **_) -> tuple[Element, ...]:
    """Nodes and edges, drawn without replacement."""
    return _draw(case.elements, size, rng)


def aligned_node(
    engine: Engine, case: Case, *, size: int, reference: Sequence[Element], rng: np.random.Generator, **_
) -> tuple[Element, ...]:
    """Nodes, one of the same type for each element of the reference; a removed edge counts as one of its ends."""
    ends = [e[2 * int(rng.integers(2))] if isinstance(e, Fact) else e for e in reference]
    return _like(case.nodes, [node_type(end) for end in ends], node_type, size, rng)


def aligned_both(
    engine: Engine, case: Case, *, size: int, reference: Sequence[Element], rng: np.random.Generator, **_
) -> tuple[Element, ...]:
    """For each node of the reference one of the same type, for each edge one of the same relation."""
    return _like(case.elements, [element_type(e) for e in reference], element_type, size, rng)


def attention_highest(
    engine: Engine, case: Case, *, size: int, attention: np.ndarray | None = None, **_
) -> tuple[Element, ...]:
    """The elements that receive most attention while the tuned model answers."""
    return _ranked(case, -_attention(engine, case, attention), size)


def attention_lowest(
    engine: Engine, case: Case, *, size: int, attention: np.ndarray | None = None, **_
) -> tuple[Element, ...]:
    """The elements that receive least attention while the tuned model answers."""
    return _ranked(case, _attention(engine, case, attention), size)


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


def _draw(pool: Sequence[Element], size: int, rng: np.random.Generator) -> tuple[Element, ...]:
    chosen = rng.permutation(len(pool))[:size]
    return tuple(pool[i] for i in chosen)


def _like(
    pool: Sequence[Element], wanted: Sequence[str], kind: Callable[..., str], size: int, rng: np.random.Generator
) -> tuple[Element, ...]:
    """`size` elements of the pool, of the wanted types as far as there are enough, then any others."""
    left = list(_draw(pool, len(pool), rng))
    taken = []
    for name in wanted[:size]:
        match = next((e for e in left if kind(e) == name), None)
        if match is not None:
            left.remove(match)
            taken.append(match)
    return (*taken, *left[: size - len(taken)])


def _ranked(case: Case, score: np.ndarray, size: int) -> tuple[Element, ...]:
    """The elements with the lowest score; of equal ones the first."""
    return tuple(case.elements[i] for i in np.argsort(score, kind="stable")[:size])


def _attention(engine: Engine, case: Case, facts: np.ndarray | None) -> np.ndarray:
    return element_attention(case, attention_received(engine, [case])[0] if facts is None else facts)


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
