"""What a search for a minimal set found, and how far it is proved."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from workbench.meter import Ledger


@dataclass(frozen=True)
class ElementSet:
    """A flip set (removing it undoes the decision) or a sufficient set (keeping only it keeps the decision).

    certified: asked and seen, not inferred: the set holds, and without any one of its members it no longer does; in a
    deterministic game of few members no smaller set within it holds either. In a noisy game the share `confidence` of
    such statements is right, under the conditions that `certificate` states. found: False when no set was seen to
    hold; `elements` is then empty.
    """

    kind: str  # "flip" or "sufficient"
    elements: tuple[int, ...]  # element numbers, ascending
    found: bool
    certified: bool
    calls: int  # mask rows evaluated for this result
    value: float  # the game's value under the set's mask, median of the repeats; nan when nothing was asked
    confidence: float = 1.0  # of the certificate: 1 where the game was taken as deterministic, 0.95 with repeats
    note: str = ""  # why it is not certified, or what else should be known
    ledger: Ledger = field(default_factory=Ledger, compare=False)  # what these calls cost; prompts count once

    def to_dict(self) -> dict:
        """Plain JSON types; a value that is nan becomes None."""
        value = None if math.isnan(self.value) else self.value
        return asdict(self) | {"elements": list(self.elements), "value": value}
