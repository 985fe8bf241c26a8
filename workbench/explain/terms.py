"""The six terms of the mask objective, as named functions in one dict.

    L = L_structure - alpha * D + beta * L_entropy + gamma * L_preserve + delta * L_hard + epsilon * L_smooth

m is the degree of REMOVAL: 1 removed, 0 kept; L is minimised. (After Wang, Chen, Kabir 2025, arXiv 2509.21241; the
signs are this project's convention.) L_structure = lambda_v * (nodes) + lambda_e * (edges) has two weights, so it
stands in the dict as its two parts. A term added to `TERMS` gets a slider, a legend entry and a column by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from workbench.explain.layout import Layout


class Sample(NamedTuple):
    """Degrees of removal of C cases, padded, and the divergence they cause."""

    nodes: torch.Tensor  # (C, V) in [0, 1]
    edges: torch.Tensor  # (C, E) in [0, 1]
    divergence: torch.Tensor  # (C,) >= 0


@dataclass(frozen=True)
class Term:
    """One term: `function(sample, layout) -> (C,)` without its weight, and what a slider needs to show it."""

    name: str  # key in TERMS, column in histories
    symbol: str  # the term of the objective it belongs to, as in the formula above
    weight: str  # name of its weight: a field of Weights, or a key of Weights.more
    default: float  # default weight
    sign: int  # +1: a penalty, -1: a reward
    unit: str  # unit of the unweighted value
    tooltip: str  # formula and meaning
    function: Callable[[Sample, Layout], torch.Tensor] = field(repr=False)


TERMS: dict[str, Term] = {}


@dataclass(frozen=True)
class Weights:
    """Weights of the terms (0 or more) and the temperature tau of the binary-concrete sample (above 0)."""

    lambda_v: float = 0.1
    lambda_e: float = 0.5
    alpha: float = 400.0
    beta: float = 0.05
    gamma: float = 10.0
    delta: float = 10.0
    epsilon: float = 5.0
    tau: float = 0.15
    more: Mapping[str, float] = field(default_factory=dict)  # weights of terms added to TERMS, by weight name

    def of(self, term: Term) -> float:
        """The weight of a term; its default where it is one of its own and `more` does not name it."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, float]:
        """Flat: weight name -> value, every term of TERMS and tau."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Weights:
        """The inverse of `to_dict`; names that are missing keep their defaults. ValueError: a name no term has."""
        raise NotImplementedError


def evaluate(sample: Sample, layout: Layout) -> dict[str, torch.Tensor]:
    """Every term of TERMS without its weight: name -> (C,)."""
    raise NotImplementedError


def total(values: Mapping[str, torch.Tensor | float], weights: Weights) -> torch.Tensor | float:
    """The objective L from unweighted terms (a row of a history, too): sum of sign * weight * value."""
    raise NotImplementedError
