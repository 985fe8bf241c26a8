"""Scores of the elements of a game with what says how far to believe them, what a linear surrogate of it sees, and what
methods ask: a game of n players, with or without a language model, below meters and restrictions or bare."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from workbench.cases import Case
from workbench.game import Game, Restricted
from workbench.stats import spearman
from workbench.stats.games import Ledger, Meter


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
        number = {node: i for i, node in enumerate(case.nodes)}
        groups = ({number[fact.head], number[fact.tail], i} for i, fact in enumerate(case.facts, start=len(number)))
        return cls(len(case.elements), tuple(tuple(sorted(group)) for group in groups))

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


@dataclass(frozen=True, eq=False)
class Attribution:
    """What every method gives: scores (n,) of the elements, a higher one saying that the element matters more.

    Those of a game's values are in its unit and make, with the intercept, a linear model of it; `attribution` tries it.
    completeness_error: |sum of scores - (v(all) - v(none))|. lds: rank correlation of that model on its own features
    with the game on masks that were not fitted; NaN where one of the two is constant, or where no masks were held out.
    lds_elements: the same with the scores of the kept elements added up, which is `lds` where the features are the
    elements. gap: what a fitted line had left over of v(all) - v(none) before it was made complete. stderr (n,):
    standard errors of sampled scores. calls: masks asked; ledger: what they cost.

    Examples:
        >>> Attribution("by hand", np.array([2.0, 1.0]), intercept=0.5).to_dict()["scores"]
        [2.0, 1.0]
    """

    method: str
    scores: np.ndarray
    intercept: float = 0.0
    completeness_error: float = float("nan")
    lds: float = float("nan")
    lds_elements: float = float("nan")
    calls: int = 0
    gap: float = 0.0
    stderr: np.ndarray | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def to_dict(self) -> dict:
        """Plain JSON types; what is NaN becomes None."""
        names = ("intercept", "completeness_error", "lds", "lds_elements", "gap")
        numbers = {name: float(getattr(self, name)) for name in names}
        plain = asdict(self) | {name: value if np.isfinite(value) else None for name, value in numbers.items()}
        stderr = None if self.stderr is None else self.stderr.tolist()
        return plain | {"scores": self.scores.tolist(), "stderr": stderr}


def attribution(
    method: str,
    features: Features,
    coefficients: np.ndarray,
    intercept: float,
    *,
    difference: float,
    held_out: tuple[np.ndarray, np.ndarray],
    meter: Meter,
    **rest,
) -> Attribution:
    """An `Attribution` of a linear model on features, tried on masks (m, n) and values (m,) that it has not seen.

    difference: v(all) - v(none). meter: through which the game was asked.
    """
    scores = features.to_elements(coefficients)
    masks, values = held_out
    return Attribution(
        method=method,
        scores=scores,
        intercept=float(intercept),
        completeness_error=abs(float(scores.sum() - difference)),
        lds=agreement(features(masks) @ coefficients, values),
        lds_elements=agreement(masks @ scores, values),
        calls=meter.calls,
        ledger=meter.ledger,
        **rest,
    )


def agreement(predicted: np.ndarray, values: np.ndarray) -> float:
    """Spearman correlation; NaN without values, or where one of the two is constant."""
    # sums in another order differ in their last digits: that must not make ranks of equal predictions
    return spearman(np.round(predicted, 12), np.round(values, 12)) if len(values) else float("nan")


class Oracle(Protocol):
    """Any callable: keep-masks (m, n) bool -> values (m,). The decision is kept where the value is above 0.

    Examples:
        >>> def majority(keep):
        ...     return keep.sum(axis=1) - 1.5
        >>> majority.n = 3
        >>> majority(np.array([[True, True, False], [True, False, False]])).tolist()
        [0.5, -0.5]
    """

    @property
    def n(self) -> int:
        """Number of players."""

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) float64 of masks (m, n)."""


def inner(game: Any) -> Any:
    """The game itself, below meters and restrictions."""
    while isinstance(game, Meter | Restricted):
        game = game.game
    return game


def able(game: Any, method: str) -> Any:
    """The game below meters and restrictions, which must have this method. ValueError: it has not."""
    found = inner(game)
    if not callable(getattr(found, method, None)):
        raise ValueError(f"{type(found).__name__} has no {method}(); this method needs a workbench.game.Game")
    return found


def player_indices(game: Any) -> np.ndarray:
    """Where the players of a game stand among those of the game below meters and restrictions, (players,) int."""
    players = np.arange(game.n)
    while isinstance(game, Meter | Restricted):
        players = game.players[players] if isinstance(game, Restricted) else players
        game = game.game
    return players


def kept(game: Any, keep: np.ndarray) -> np.ndarray:
    """(m,) bool: which masks keep the decision. A log-probability has no sign that says so: there the game is asked in
    its decision form; values and decision share their passes.
    """
    found = inner(game)
    if not isinstance(found, Game) or found.form == "decision":
        return np.asarray(game(keep)) > 0
    decision = found.view(form="decision", removal="delete", span=None)
    if found is game and found.engine.slow and found.removal == "delete":  # nobody counts what a budget allows
        decision(keep)  # the pass that decides pays for the values, and not the other way round
    game(keep)
    return decision(whole_masks(game, keep)) > 0


def whole_masks(game: Any, keep: np.ndarray) -> np.ndarray:
    """Masks of a game as masks of the game below meters and restrictions."""
    while isinstance(game, Meter | Restricted):
        keep = game.whole(keep) if isinstance(game, Restricted) else keep
        game = game.game
    return keep


def ends(game: Oracle) -> tuple[float, float]:
    """Values with nothing kept and with everything kept."""
    empty, full = game(np.array([[False] * game.n, [True] * game.n]))
    return float(empty), float(full)


def answer_tokens(game: Any) -> int:
    """Answer tokens that the value adds up; 1 where the game is not one of log-probabilities."""
    found = inner(game)
    if not (isinstance(found, Game) and found.form == "logprob"):
        return 1
    start, stop = found.span or (0, len(found.answer))
    return stop - start
