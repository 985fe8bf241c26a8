"""The result of an explanation: one object per case and method, saved as JSON and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.artifacts.files import atomic_write_json, untimed
from workbench.cases import Case, Fact
from workbench.explain.counterfactual import Element, without


@dataclass(frozen=True)
class Explanation:
    """What was removed from a case's graph, and the answers before (`full`, on G) and after (`changed`, on Gc).

    answers and toolchains have the keys `tuned_full`, `tuned_changed` and, where the base model was asked, `base_full`,
    `base_changed`.
    """

    case: Case
    method: str  # `paper`, `in_loop`, `certified` or a baseline
    degrees: tuple[float, ...]  # degree of removal per element of case.elements; 0 or 1 for the others
    removed: tuple[Element, ...]
    flags: tuple[str, ...]  # of `counterfactual.FLAGS`
    answers: Mapping[str, tuple[str, ...]]  # node paths, source first
    toolchains: Mapping[str, tuple[str, ...]]  # their commands
    metrics: Mapping[str, float]  # the paper's four, tuned answer on G against tuned answer on Gc
    weights: Mapping[str, float]  # Weights.to_dict(); empty for baselines
    seed: int
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    # cost of all cases of this batch; `cases` says how many
    ledger: Mapping[str, float] = field(default_factory=dict, compare=False)
    certificate: Mapping[str, Any] = field(default_factory=dict)  # ElementSet.to_dict() of a certified set, else empty
    thoughts: Mapping[str, str] = field(default_factory=dict)  # of answers that a thought stood before, what it said

    @property
    def changed(self) -> Case:
        """Gc: the case without what was removed."""
        return without(self.case, self.removed)

    @property
    def flipped(self) -> bool:
        """Whether the tuned model's toolchain changed."""
        return self.toolchains["tuned_full"] != self.toolchains["tuned_changed"]

    @property
    def elements_taken(self) -> int:
        """How many elements were taken out; all of the case, where no number of them changes the toolchain: flag
        `no_flip`, which stands for a number that is not known and larger than any that was tried."""
        return len(self.case.elements) if "no_flip" in self.flags else len(self.removed)

    @property
    def facts_taken(self) -> int:
        """How many facts went with them; all of the case, where no number of elements changes the toolchain."""
        return len(self.case.facts) - (0 if "no_flip" in self.flags else len(self.changed.facts))

    def record(self) -> dict:
        """One flat row: case, method, flipped, removed (elements), facts_removed, metrics, flags, both toolchains."""
        return {
            "case": self.case.id,
            "method": self.method,
            "flipped": self.flipped,
            "removed": len(self.removed),
            "facts_removed": len(self.case.facts) - len(self.changed.facts),
            **self.metrics,
            "flags": list(self.flags),
            "toolchain_full": list(self.toolchains["tuned_full"]),
            "toolchain_changed": list(self.toolchains["tuned_changed"]),
        }

    def to_dict(self) -> dict:
        """Plain JSON types."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        paths = {name: {k: list(v) for k, v in plain[name].items()} for name in ("answers", "toolchains")}
        numbers = {name: dict(plain[name]) for name in ("metrics", "weights", "ledger", "certificate", "thoughts")}
        lists = {name: list(plain[name]) for name in ("degrees", "flags", "history")}
        return plain | paths | numbers | lists | {"case": self.case.to_dict(), "removed": to_lists(self.removed)}

    @classmethod
    def from_dict(cls, data: Mapping) -> Explanation:
        """The inverse of `to_dict`; KeyError or TypeError name a field that is missing."""
        paths = {name: {k: tuple(v) for k, v in data[name].items()} for name in ("answers", "toolchains")}
        tuples = {name: tuple(data[name]) for name in ("degrees", "flags")}
        removed = tuple(e if isinstance(e, str) else Fact(*e) for e in data["removed"])
        return cls(**{**data, **paths, **tuples, "case": Case.from_dict(data["case"]), "removed": removed})


def to_lists(elements: Iterable[Element]) -> list[str | list[str]]:
    """Elements as JSON: a node is its id, a fact is [head, relation, tail]."""
    return [list(e) if isinstance(e, Fact) else e for e in elements]


def save(path: Path, explanation: Explanation) -> Path:
    """Writes one explanation as JSON, in one step; ValueError names a number that is not finite.

    The seconds it took are left out: equal explanations are equal files.

    Examples:
        >>> import tempfile
        >>> from workbench.cases import Case, Fact
        >>> case = Case("one", "a", "b", (Fact("a", "input", "b"),), ("a", "b"), {"a": "A", "b": "B"})
        >>> answers = {"tuned_full": ("a", "b"), "tuned_changed": ("a",)}
        >>> found = Explanation(case, "by hand", (0.0, 0.0, 1.0), case.facts, (), answers, answers, {}, {}, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load(save(Path(folder, "one.json"), found)).removed == found.removed
        True
    """
    return atomic_write_json(path, untimed(explanation.to_dict()))


def load(path: Path) -> Explanation:
    """The explanation that `save` wrote."""
    return Explanation.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
