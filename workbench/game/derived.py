"""Games made from a case's game: between some of its elements, of what tuning changed, between an adapter's modules.

And the games of many cases asked in shared batches: small cases are answered several times as fast together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from workbench.cases import Case
from workbench.game.case_game import Game
from workbench.game.doses import Adapted, adapted_modules, unit_doses, unit_index, unit_names, unit_parameters
from workbench.game.passes import decide
from workbench.stats.games import Ledger


@dataclass(frozen=True)
class Derived:
    """What a game made from another one shares with it."""

    game: Any  # an oracle with `.n`; of a case, a `Game`

    @property
    def n(self) -> int:
        """Number of players."""
        return self.game.n

    @property
    def case(self) -> Case:
        """The case played on."""
        return self.game.case

    @property
    def ledger(self) -> Ledger:
        """What the engine has spent so far, where the game keeps a ledger."""
        return self.game.ledger

    def view(self, **changes) -> Self:
        """The same players in another view of the game; see `Game.view`."""
        return replace(self, game=self.game.view(**changes))


@dataclass(frozen=True, eq=False)
class Restricted(Derived):
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

    def whole(self, keep: np.ndarray) -> np.ndarray:
        """Masks (m, p) of the players as masks (m, n) of all elements."""
        keep = np.asarray(keep)
        out = np.ones((len(keep), self.game.n), keep.dtype)
        out[:, self.players] = keep
        out[:, self.off] = 0
        return out

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) of masks (m, p)."""
        return self.game(self.whole(keep))

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and gradients (m, p) in the players' masks; 0 for those that are off."""
        values, slopes = self.game.gradients(self.whole(np.asarray(keep, float)))
        slopes = slopes.copy()
        slopes[:, self.off] = 0
        return values, slopes[:, self.players]


@dataclass(frozen=True)
class Difference(Derived):
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

    @property
    def tuned(self) -> Game:
        """The game with the adapter on."""
        return self.game.view(adapter=True)

    @property
    def base(self) -> Game:
        """The game with the adapter off."""
        return self.game.view(adapter=False)

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Delta (m,) float64 of masks (m, n)."""
        return self.tuned(keep) - self.base(keep)

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Delta (m,) of the gated games, and its gradients (m, n) in the masks."""
        parts = [game.view(removal="gate").gradients(keep) for game in (self.tuned, self.base)]
        return parts[0][0] - parts[1][0], parts[0][1] - parts[1][1]


@dataclass(frozen=True)
class ModuleGame(Derived):
    """v(keep): doses (m, p) of an adapter's units -> (m,) values of a case's answer, float64, nats.

    What a value is, is the element game's form. unit: `module`, `layer` or `projection`, which take many modules at
    once, or `part`, the rank-one parts of every module's update, module by module. keep may be bool, or floats of any
    size: 1 is the unit as trained, 0 without it. All masks are one batch. A dose of the game's own multiplies. For
    another graph take the game of that case, with the answer given. Every explainer of the element game plays it as it
    is. ValueError: another unit; the base's game; no adapter.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = ModuleGame(example_game(), unit="projection")
        >>> game.names, len(set(game(np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()))  # untrained, either way the same
        (('q_proj', 'v_proj'), 1)
    """

    unit: str = "module"

    def __post_init__(self) -> None:
        if not self.game.adapter:
            raise ValueError("the base has no adapter to take apart; give the tuned model's game, adapter=True")
        unit_names(self.modules, self.unit)

    @cached_property
    def modules(self) -> tuple[Adapted, ...]:
        """The adapted modules, in the order of the model."""
        return adapted_modules(self.game.engine.lm.model)

    @property
    def names(self) -> tuple[str, ...]:
        """Of every player, see `unit_names`."""
        return unit_names(self.modules, self.unit)

    @property
    def parameters(self) -> np.ndarray:
        """Numbers (p,) int64 that a player holds in the adapter's factors."""
        return unit_parameters(self.modules, self.unit)

    @property
    def n(self) -> int:
        """Number of players."""
        return len(self.names)

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) float64 of doses (m, p)."""
        doses = self.doses(keep)
        return self.game.values(np.ones((len(doses), len(self.case.facts))), doses)

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and their gradients (m, p) in the doses (m, p), by as few backward passes as the memory allows.

        At doses of 1 the gradient is <s B A, d v / d W> of every module, the first-order effect of its update.
        """
        values, slopes = self.game.dose_gradients(self.doses(keep))
        own = slopes * self._scale
        return values, own if self.unit == "part" else self.summed(own)

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sums (m, p) over each player's modules of values (m, modules)."""
        member = unit_index(self.modules, self.unit) == np.arange(self.n)[:, None]
        return values @ member.T if self.n < len(self.modules) else values

    @property
    def _scale(self) -> np.ndarray:
        """The game's own dose, (modules,), (parts,) or (1,)."""
        if self.game.dose is None:
            return np.ones(1)
        dose, modules = np.asarray(self.game.dose), len(self.modules)
        if self.unit == "part" and len(dose) == modules:
            return np.repeat(dose, [m.rank for m in self.modules])
        if self.unit != "part" and len(dose) != modules:
            raise ValueError(f"the game's dose is of {len(dose)} rank-one parts; play it with unit='part'")
        return dose

    def doses(self, keep: np.ndarray) -> np.ndarray:
        """Players' doses (m, p) as doses (m, modules) or (m, parts) float64, the game's own multiplied in.

        ValueError: another shape, or not finite.
        """
        doses = np.asarray(keep, float)
        if doses.ndim != 2 or doses.shape[1] != self.n:
            raise ValueError(f"doses must be of shape (m, {self.n}), one a {self.unit}, not {doses.shape}")
        if not np.isfinite(doses).all():
            raise ValueError(f"doses must be finite, not {float(doses[~np.isfinite(doses)][0])}")
        return unit_doses(self.modules, self.unit, doses) * self._scale


def values_together(games: Sequence[Any], keeps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per game the values (m,) of its masks (m, n), as `game(keep)` gives them; a game may come more than once.

    Decision games by deletion, of one engine, of the tuned model and without doses or spans, are decided together;
    others, and those whose rows go on from keys and values that are kept, are asked one by one.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> game = Game.of(engine, case, form="decision")
        >>> keeps = [np.ones((1, 7), bool), np.zeros((1, 7), bool)]
        >>> together = values_together([game, game], keeps)
        >>> [bool((game(keep) > 0) == (values > 0)) for keep, values in zip(keeps, together)]
        [True, True]
    """
    pairs = list(zip(games, keeps, strict=True))
    _decide([(game, mask) for game, keep in pairs if _plain(game) for mask in game.shown(keep)])
    return [game(keep) for game, keep in pairs]


def _plain(game: Any) -> bool:
    decides = isinstance(game, Game) and game.whole_decision
    return decides and game.adapter and game.dose is None and not game.pays


def _decide(asked: Sequence[tuple[Game, np.ndarray]]) -> None:
    """Decisions about fact masks (facts,), into the memories of their games."""
    keys = [game.keys(mask[None], game.answer, game.models(mask[None], None))[0] for game, mask in asked]
    new = {(id(game.memory), key): (game, key, mask) for key, (game, mask) in zip(keys, asked, strict=True)}
    unknown = [one for one in new.values() if one[0].memory.same(one[1]) is None]
    for longest in {game.max_new_tokens for game, _, _ in unknown}:
        decide([one for one in unknown if one[0].max_new_tokens == longest])
