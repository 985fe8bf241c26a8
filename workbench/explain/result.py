"""The result of an explanation: one object per case and method, saved as JSON and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.cases import Case
from workbench.explain.counterfactual import Element


@dataclass(frozen=True)
class Explanation:
    """What was removed from a case's graph and what the models answered before (`full`) and after (`changed`)."""

    case: Case
    method: str  # `paper`, `in_loop` or a baseline
    degrees: tuple[float, ...]  # degree of removal per element of case.elements; 0 or 1 for baselines
    removed: tuple[Element, ...]
    flags: tuple[str, ...]
    answers: Mapping[str, tuple[str, ...]]  # tuned_full, tuned_changed, base_full, base_changed -> node path (base: maybe absent)
    toolchains: Mapping[str, tuple[str, ...]]  # the same keys -> commands
    metrics: Mapping[str, float]  # the paper's four, tuned answer on G against tuned answer on Gc
    weights: Mapping[str, float]  # Weights.to_dict(); empty for baselines
    seed: int
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    ledger: Mapping[str, float] = field(default_factory=dict)  # of the whole batch of cases; see `cases` in it

    @property
    def changed(self) -> Case:
        """Gc: the case without what was removed."""
        raise NotImplementedError

    @property
    def flipped(self) -> bool:
        """Whether the tuned model's toolchain changed."""
        raise NotImplementedError

    def record(self) -> dict:
        """One flat row: case, method, flipped, removed (elements), facts_removed, the metrics, flags."""
        raise NotImplementedError

    def to_dict(self) -> dict:
        """Plain JSON types."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping) -> Explanation:
        """The inverse of `to_dict`."""
        raise NotImplementedError


def save(path: Path, explanation: Explanation) -> Path:
    """Writes one explanation as JSON, in one step."""
    raise NotImplementedError


def load(path: Path) -> Explanation:
    """The explanation that `save` wrote."""
    raise NotImplementedError
