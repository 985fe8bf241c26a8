"""From soft masks to Gc: which elements go, and the case without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from workbench.cases import Case, Fact
from workbench.explain.masks import Masks
from workbench.explain.sets import ElementSet
from workbench.game import Game

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
    "no_flip": "no set was found whose removal changes the toolchain: the element that moves it most was taken",
    "not_certified": "the set is not proved minimal",
}


def removed_elements(case: Case, masks: Masks, threshold: float = 0.5) -> Change:
    """The elements whose degree of removal is above the threshold, highest first; never none (see `FLAGS`).

    ValueError: masks that do not fit the case, a threshold outside [0, 1], or a case without facts.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], not {threshold!r}")
    if not case.facts:
        raise ValueError(f"case {case.id!r} shows no facts; there is nothing to remove")
    sizes = len(case.nodes), len(case.facts)
    if (len(masks.nodes), len(masks.edges)) != sizes:
        raise ValueError(
            f"masks of {len(masks.nodes)} nodes and {len(masks.edges)} edges do not fit case {case.id!r} "
            f"with {sizes[0]} and {sizes[1]}; learn them on this case"
        )
    order = np.argsort(-masks.elements, kind="stable")
    passed = [i for i in order if masks.elements[i] > threshold]
    chosen = passed or [order[0]]
    return change(case, [case.elements[i] for i in chosen], flags=() if passed else ("below_threshold",))


def verified_change(game: Game, masks: Masks) -> Change:
    """The elements of highest degree, no more than it takes: the first that, taken out together, change the decision.

    Every number of them is tried on the rendered text, in one call of the game. Flag `no_flip`: none changes it.
    """
    order = np.argsort(-masks.elements, kind="stable")
    keep = np.ones((game.n, game.n), bool)
    for k in range(game.n):
        keep[k, order[: k + 1]] = False
    values = game(keep)
    flips = np.flatnonzero(values <= 0)
    size = int(flips[0]) + 1 if len(flips) else 1
    return change(game.case, [game.elements[i] for i in order[:size]], flags=() if len(flips) else ("no_flip",))


def certified_change(game: Game, found: ElementSet) -> Change:
    """The change that takes out a flip set; where none was found, the single element that moves the decision most."""
    if found.found:
        flags = () if found.certified else ("not_certified",)
        return change(game.case, [game.elements[i] for i in found.elements], flags=flags)
    values = game(~np.eye(game.n, dtype=bool))
    return change(game.case, [game.elements[int(values.argmin())]], flags=("no_flip", "not_certified"))


def change(case: Case, elements: Iterable[Element], *, flags: tuple[str, ...] = ()) -> Change:
    """The change that takes out `elements`, with the flags that every removal may need."""
    gone = tuple(elements)
    return Change(gone, flags if without(case, gone).facts else (*flags, "nothing_left"))


def without(case: Case, elements: Iterable[Element]) -> Case:
    """The case without these elements: a fact goes with its edge and with either end (no dangling edges).

    Question, answer path and names stay. ValueError: an element that the case does not show.
    """
    gone = set(elements)
    unknown = gone - set(case.elements)
    if unknown:
        raise ValueError(f"case {case.id!r} does not show {min(map(str, unknown))[:200]}; remove what it shows")
    return replace(case, facts=tuple(f for f in case.facts if not gone & {f, f.head, f.tail}))
