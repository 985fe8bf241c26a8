"""A game between some of its elements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from workbench.meter import Ledger


@dataclass(frozen=True, eq=False)
class Restricted:
    """The game of `players`, (p,) element numbers: (m, p) masks -> (m,) values. Every other element stays, but for
    those that are `off`: these are gone whatever a mask says, players among them too.

    ValueError: a number that is not one of the game's n elements, or one twice.

    Examples:
        >>> def votes(keep):
        ...     return keep @ np.array([4.0, 2.0, 1.0])
        >>> votes.n = 3
        >>> Restricted(votes, [0, 2], off=[2])(np.ones((1, 2), bool)).tolist()  # 1 stays, 2 is gone
        [6.0]
    """

    game: Any  # an oracle with `.n`
    players: np.ndarray
    off: np.ndarray = field(default_factory=lambda: np.array([], int))

    def __post_init__(self) -> None:
        for name in ("players", "off"):
            numbers = np.asarray(getattr(self, name), int)
            if len(set(numbers)) < len(numbers) or not ((numbers >= 0) & (numbers < self.game.n)).all():
                raise ValueError(f"{name} must be unlike numbers from 0 to {self.game.n - 1}, not {numbers.tolist()}")
            object.__setattr__(self, name, numbers)

    @property
    def n(self) -> int:
        """Number of players."""
        return len(self.players)

    @property
    def ledger(self) -> Ledger:
        """That of the game, where it keeps one."""
        return self.game.ledger

    def whole(self, keep: np.ndarray) -> np.ndarray:
        """Masks (m, p) of the players as masks (m, n) of all elements."""
        keep = np.asarray(keep)
        out = np.ones((len(keep), self.game.n), keep.dtype)
        out[:, self.players] = keep
        out[:, self.off] = 0
        return out

    def view(self, **changes) -> Restricted:
        """The same players in another view of the game; see `Game.view`."""
        return replace(self, game=self.game.view(**changes))

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) of masks (m, p)."""
        return self.game(self.whole(keep))

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and gradients (m, p) in the players' masks; 0 for those that are off."""
        values, slopes = self.game.gradients(self.whole(np.asarray(keep, float)))
        slopes = slopes.copy()
        slopes[:, self.off] = 0
        return values, slopes[:, self.players]
