"""The methods that explain cases, and their settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.artifacts.checks import check_number, check_whole
from workbench.cases import Case, Fact
from workbench.explain.baselines import BASELINES
from workbench.explain.terms import Weights

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
