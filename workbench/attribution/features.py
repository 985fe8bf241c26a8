"""What a linear surrogate of a game sees: columns that are 1 where all elements of a group are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from workbench.cases import Case


@dataclass(frozen=True)
class Features:
    """Groups of elements out of n; called with keep-masks (m, n), it gives the design matrix (m, groups) float64.

    ValueError: no groups, an empty one, or one with a number that is no element.

    Examples:
        >>> pairs = Features(3, ((0, 1), (2,)))
        >>> pairs(np.array([[True, True, False], [True, False, True]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    n: int
    groups: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        bad = [group for group in self.groups if not group or not all(0 <= i < self.n for i in group)]
        if bad or not self.groups:
            raise ValueError(f"groups must each hold element numbers in 0..{self.n - 1}, not {bad[:1] or 'nothing'}")

    @classmethod
    def of_elements(cls, n: int) -> Features:
        """One column an element."""
        return cls(n, tuple((i,) for i in range(n)))

    @classmethod
    def of_facts(cls, case: Case) -> Features:
        """One column a fact, shown where its edge and both ends are kept: all that the model sees of a mask."""
        return cls(len(case.elements), tuple(fact_groups(case)))

    @property
    def half(self) -> float:
        """The chance of every element to stay at which half of random masks show the smallest group."""
        return 0.5 ** (1 / min(len(group) for group in self.groups))

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Design matrix (m, groups) of masks (m, n)."""
        masks = np.asarray(keep, dtype=bool)
        return np.stack([masks[:, list(group)].all(axis=1) for group in self.groups], axis=1).astype(float)

    def to_elements(self, coefficients: np.ndarray) -> np.ndarray:
        """Scores (n,) of a linear model with these coefficients (groups,): each group's is shared out evenly.

        A column that is 1 where its whole group is kept is a unanimity game, whose Shapley value gives every member the
        same: the scores are the linear model's exact Shapley values (Shapley 1953).
        """
        scores = np.zeros(self.n)
        for group, coefficient in zip(self.groups, coefficients, strict=True):
            scores[list(group)] += coefficient / len(group)
        return scores


def fact_groups(case: Case) -> list[tuple[int, ...]]:
    """Per fact the numbers of the elements it needs: its ends and its edge."""
    number = {node: i for i, node in enumerate(case.nodes)}
    needed: Iterable[set[int]] = (
        {number[fact.head], number[fact.tail], i} for i, fact in enumerate(case.facts, start=len(number))
    )
    return [tuple(sorted(group)) for group in needed]
