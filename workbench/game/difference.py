"""The difference game: what tuning changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.cases import Case
from workbench.game.case_game import Game
from workbench.meter import Ledger


@dataclass(frozen=True)
class Difference:
    """Delta(S) = v_tuned(S) - v_base(S): one answer, the same masks, one quantised base, the adapter on and off.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> from workbench.game import Engine, Game
        >>> untuned = Game.of(Engine(load(names=case.names)), case, form="logprob")
        >>> Difference(untuned)(np.ones((1, 7), bool)).tolist()  # without an adapter nothing changed
        [0.0]
    """

    game: Game

    @property
    def tuned(self) -> Game:
        """The game with the adapter on."""
        return self.game.view(adapter=True)

    @property
    def base(self) -> Game:
        """The game with the adapter off."""
        return self.game.view(adapter=False)

    @property
    def case(self) -> Case:
        """The case played on."""
        return self.game.case

    @property
    def n(self) -> int:
        """Number of elements."""
        return self.game.n

    @property
    def ledger(self) -> Ledger:
        """What the engine has spent so far."""
        return self.game.ledger

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Delta (m,) float64 of masks (m, n)."""
        return self.tuned(keep) - self.base(keep)

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Delta (m,) of the gated games, and its gradients (m, n) in the masks."""
        parts = [game.view(removal="gate").gradients(keep) for game in (self.tuned, self.base)]
        return parts[0][0] - parts[1][0], parts[0][1] - parts[1][1]
