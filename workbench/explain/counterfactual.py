"""From soft masks to Gc, and what became of it: which elements go, the case without them, and the result, one object a
case and method, saved as JSON and read back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.artifacts.files import atomic_write_json, untimed
from workbench.cases import Case, Fact
from workbench.explain.masks import Masks
from workbench.explain.sets import ElementSet
from workbench.game import Game, values_together
from workbench.stats.games import without_first

BATCH = 2  # numbers of elements tried at once: what is tried beyond the first change is lost

Element = str | Fact
"""A node id or a fact (edge)."""


@dataclass(frozen=True)
class Change:
    """What is taken out of a case. flags: what a reader must know, of `FLAGS`.

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> change(case, case.facts).flags
        ('nothing_left',)
    """

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

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> masks = Masks(np.zeros(4), np.array([0.2, 0.9, 0.6]))
        >>> [case.label(element) for element in removed_elements(case, masks).elements]
        ['FASTQ → star', 'star → BAM']
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
    order = masks.order
    passed = [i for i in order if masks.elements[i] > threshold]
    chosen = passed or [order[0]]
    return change(case, [case.elements[i] for i in chosen], flags=() if passed else ("below_threshold",))


def first_flips(games: Sequence[Any], orders: Sequence[Sequence[int] | np.ndarray]) -> list[int | None]:
    """How many elements each order takes: the least number whose removal, together, changes the decision of its game;
    None where no number of them does.

    The one stopping rule for orders of any origin, whose sizes can then be compared. games: any oracles with `n`.
    orders: numbers of elements, those that go first in front, not necessarily all. Every number up to the answer is
    tried, two at once, those of all games by `values_together`. ValueError: an order of nothing, or with an element
    that is named twice or not there.

    Examples:
        >>> def kept(keep):
        ...     return np.where(keep[:, 0] | keep[:, 1], 1.0, -1.0)
        >>> kept.n = 3
        >>> first_flips([kept, kept], [[2, 1, 0], [2, 1]])  # None: no number of them turns it
        [3, None]
    """
    masks = [without_first(game.n, order, range(1, len(order) + 1)) for game, order in zip(games, orders, strict=True)]
    found: list[int | None] = [None] * len(masks)
    done, left = 0, list(range(len(masks)))
    while left:
        tried = values_together([games[i] for i in left], [masks[i][done : done + BATCH] for i in left])
        for i, values in zip(left, tried, strict=True):
            flips = np.flatnonzero(values <= 0)
            found[i] = done + int(flips[0]) + 1 if len(flips) else None
        done += BATCH
        left = [i for i in left if found[i] is None and done < len(masks[i])]
    return found


def verified_changes(games: Sequence[Game], orders: Sequence[Sequence[int] | np.ndarray]) -> list[Change]:
    """The first elements of every game's order, no more than `first_flips` says on the rendered text.

    Flag `no_flip`: no number of them changes the decision; the first element is taken.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = verified_changes([game], [range(game.n)])
        >>> [game.case.label(element) for element in found.elements]
        ['SRA', 'FASTQ']
    """
    sizes = first_flips(games, orders)
    return [
        change(game.case, [game.elements[i] for i in order[: size or 1]], flags=() if size else ("no_flip",))
        for game, order, size in zip(games, orders, sizes, strict=True)
    ]


def certified_change(game: Game, found: ElementSet) -> Change:
    """The change that takes out a flip set; where none was found, the single element that moves the decision most.

    Examples:
        >>> from workbench.explain import minimal_flip_set
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> certified_change(game, minimal_flip_set(game, game.n)).flags
        ()
    """
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

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> [case.label(fact) for fact in without(case, ["source:sra"]).facts]  # with its edge
        ['FASTQ → star', 'star → BAM']
    """
    gone = set(elements)
    unknown = gone - set(case.elements)
    if unknown:
        raise ValueError(f"case {case.id!r} does not show {min(map(str, unknown))[:200]}; remove what it shows")
    return replace(case, facts=tuple(f for f in case.facts if not gone & {f, f.head, f.tail}))


@dataclass(frozen=True)
class Explanation:
    """What was removed from a case's graph, and the answers before (`full`, on G) and after (`changed`, on Gc).

    answers and toolchains have the keys `tuned_full`, `tuned_changed` and, where the base model was asked, `base_full`,
    `base_changed`.

    Examples:
        >>> from workbench.explain import explain
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> found.flipped, len(found.removed), len(found.changed.facts)
        (True, 1, 2)
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
        plain = {f.name: getattr(self, f.name) for f in fields(self)} | {"case": self.case.to_dict()}
        return json.loads(json.dumps(plain))  # a fact is [head, relation, tail]

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
    """The explanation that `save` wrote.

    Examples:
        >>> import tempfile
        >>> case = Case("one", "a", "b", (Fact("a", "input", "b"),), ("a", "b"), {"a": "A", "b": "B"})
        >>> answers = {"tuned_full": ("a", "b"), "tuned_changed": ("a",)}
        >>> found = Explanation(case, "by hand", (0.0, 0.0, 1.0), case.facts, (), answers, answers, {}, {}, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load(save(Path(folder, "one.json"), found)) == found
        True
    """
    return Explanation.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
