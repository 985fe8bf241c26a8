"""What methods ask: a game of n players, with or without a language model, below meters and restrictions or bare."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from workbench.game import Game, Restricted
from workbench.stats.meter import Meter


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


def able(game: Any, *names: str) -> Any:
    """The game below meters and restrictions, which must have the methods in `names`. ValueError: it has not."""
    found = inner(game)
    for name in names:
        if not callable(getattr(found, name, None)):
            raise ValueError(f"{type(found).__name__} has no {name}(); this method needs a workbench.game.Game")
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
    its decision form, on the passes that the values have paid for.
    """
    values = np.asarray(game(keep))
    found = inner(game)
    if not isinstance(found, Game) or found.form == "decision":
        return values > 0
    return found.view(form="decision", removal="delete", span=None)(whole_masks(game, keep)) > 0


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
