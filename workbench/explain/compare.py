"""Explaining cases by a method, and comparing methods over many cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workbench.cases import Case
from workbench.explain.baselines import BASELINES
from workbench.explain.result import Explanation
from workbench.explain.terms import Weights
from workbench.game import Engine

LEARNED = ("paper", "in_loop")
METHODS = (*LEARNED, *BASELINES)


@dataclass(frozen=True)
class ExplainConfig:
    """Settings of the explanations."""

    weights: Weights = field(default_factory=Weights)
    paper_steps: int = 200
    paper_learning_rate: float = 0.1
    loop_steps: int = 60
    loop_learning_rate: float = 0.3
    threshold: float = 0.5  # an element goes when its degree of removal is above it
    reference: str = "in_loop"  # learned method whose removals give the baselines their size and types
    max_new_tokens: int = 32


Progress = Callable[[str, dict[str, float]], None]
"""Called with a method and a row: of a learning step (see `masks.Listener`), or {"done": 1.0} when the method is through."""


def explain(
    engine: Engine,
    cases: Sequence[Case],
    method: str = "in_loop",
    *,
    seed: int = 0,
    config: ExplainConfig | None = None,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Explanations of `cases` by one method; answers on Gc are generated anew from the re-rendered text, tuned and base.

    ValueError: an unknown method, or no cases.
    """
    raise NotImplementedError


def explain_all(
    engine: Engine,
    cases: Sequence[Case],
    *,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    config: ExplainConfig | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Explanation]]:
    """Method -> explanations of `cases`. Answers on G are generated once; the base model answers only for learned methods."""
    raise NotImplementedError


def compare(
    engine: Engine,
    cases: Sequence[Case],
    *,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    config: ExplainConfig | None = None,
    progress: Progress | None = None,
) -> list[dict]:
    """One record per method and case: `records(explain_all(...))`."""
    raise NotImplementedError


def records(explanations: Mapping[str, Sequence[Explanation]]) -> list[dict]:
    """`Explanation.record()` of every explanation."""
    raise NotImplementedError


def summarise(records: Iterable[Mapping], *, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """method -> metric -> {mean, low, high, n}: metrics are the paper's four, `flipped` (share), `removed`, `facts_removed`."""
    raise NotImplementedError
