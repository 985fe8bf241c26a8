"""From soft masks to Gc: which elements go, and the case without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.cases import Case, Fact
from workbench.explain.masks import Masks

Element = str | Fact
"""A node id or a fact (edge)."""


@dataclass(frozen=True)
class Change:
    """What is taken out of a case. flags: what a reader must know, of `FLAGS`."""

    elements: tuple[Element, ...]
    flags: tuple[str, ...] = ()


FLAGS = {
    "below_threshold": "no element passed the threshold: the one with the highest degree of removal was taken",
    "nothing_left": "no fact is left in Gc",
}


def removed_elements(case: Case, masks: Masks, threshold: float = 0.5) -> Change:
    """The elements whose degree of removal is above the threshold, highest first; never none (see `FLAGS`)."""
    raise NotImplementedError


def without(case: Case, elements: Iterable[Element]) -> Case:
    """The case without these elements: a fact goes with its edge and with either end (no dangling edges).

    Question, answer path and names stay. ValueError: an element that the case does not show.
    """
    raise NotImplementedError
