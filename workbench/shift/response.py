"""Dose and response: what the tuned model's answer, and every element of the graph, is worth as the adapter is scaled.

Dose 0 is the base, 1 the adapter as trained; beyond 1 it is exaggerated. All through the element game and its engine.
`Settings` is one case with its adapter at some dose and some of its units switched off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from workbench.attribution.inside import path_gradients
from workbench.cases import Case, toolchain
from workbench.game import Engine, ForcedChoice, Game, Memory, ModuleGame, own_decisions
from workbench.shift.element_measures import element_rows
from workbench.shift.switches import unit_place
from workbench.stats.games import alone, losses, without

GRID = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)  # doses of every module at once
STEPS = 8  # midpoints of a path from base to tuned; the sum is then within a per cent of the difference


def contests(engine: Engine, cases: Sequence[Case], *, form: str = "margin") -> list[Game]:
    """Games of what tuning changed: the tuned model's answer against the base's own, or, where both name the same
    toolchain, against the strongest other answer (see `Game.other`). Without `margin` nothing is compared.

    The base's own answer is that of its decision (`game.own_decisions`): of a base that writes no toolchain in any case
    it is the forced choice. A case in which no other toolchain comes up has no margin and is left out. A generation of
    all cases, with `margin` another by the base.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> [one.case.id for one in contests(game.engine, [game.case], form="logprob")]
        ['one']
    """
    tuned = engine.greedy_answers(cases)
    games = [Game(engine, case, ours, form=form) for case, ours in zip(cases, tuned, strict=True)]
    if form != "margin" or not games:
        return games
    own: Sequence[Game | ForcedChoice] = own_decisions([game.view(adapter=False) for game in games])
    found = (_against(game, theirs) for game, theirs in zip(games, own, strict=True))
    return [game for game in found if game]


def _against(game: Game, base: Game | ForcedChoice) -> Game | None:
    """The contest with the base's answer, or with the strongest other one; None where nothing has another toolchain."""
    theirs = base.game.answer if isinstance(base, ForcedChoice) else base.answer
    contest = replace(game, memory=Memory(other=theirs if toolchain(base.path) != toolchain(game.path) else ()))
    try:
        return contest if contest.other else None
    except ValueError:
        return None


def dose_values(games: Iterable[Game], *, grid: Sequence[float] = GRID) -> pd.DataFrame:
    """The whole graph's value with the adapter at each dose of the grid: rows `case, dose, value` (nats).

    One pass a case and dose. ValueError: a dose that is not finite, or a base's game.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> games = [example_game()]
        >>> dose_values(games, grid=(0.0, 1.0))["dose"].tolist()
        [0.0, 1.0]
    """
    rows: list[tuple] = []
    for game in games:
        modules = ModuleGame(game)
        values = modules(np.repeat(np.asarray(grid, float)[:, None], modules.n, axis=1))
        rows += [(game.case.id, float(dose), value) for dose, value in zip(grid, values, strict=True)]
    return pd.DataFrame(rows, columns=["case", "dose", "value"])


def dose_effects(games: Iterable[Game], *, grid: Sequence[float] = GRID) -> pd.DataFrame:
    """Effect of every element at each dose, v(all) - v(all but it): rows `case, dose, element, kind, needed, effect`.

    element: index into `case.elements`; kind: node or fact; needed: whether the case's own answer runs through it;
    effect in nats. One batch a case: len(grid) (n + 1) rows, fewer where masks show the same facts.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> games = [example_game()]
        >>> len(dose_effects(games, grid=(1.0,)))  # a row an element
        7
    """
    tables = []
    for game in games:
        n, case = game.n, game.case
        facts = game.shown(without(n, [(), *alone(n)]))
        units = ModuleGame(game).n
        doses = np.repeat(np.repeat(np.asarray(grid, float), n + 1)[:, None], units, axis=1)
        values = game.values(np.tile(facts, (len(grid), 1)), doses).reshape(len(grid), n + 1)
        rows = element_rows([case])
        effects = zip(grid, values[:, :1] - values[:, 1:], strict=True)  # (n,) a dose
        tables += [rows.assign(dose=float(dose), effect=effect) for dose, effect in effects]
    names = ["case", "dose", "element", "kind", "needed", "effect"]
    return pd.concat(tables, ignore_index=True)[names] if tables else pd.DataFrame(columns=names)


def dose_path(games: Iterable[Game], *, unit: str = "module", steps: int = STEPS) -> np.ndarray:
    """What each unit of the adapter adds on the way from base to tuned: (cases, units), nats.

    The gradient in the unit's dose, mean over `steps` midpoints of doses from 0 to 1 common to all units: integrated
    gradients (Sundararajan et al. 2017, eq. 1) in the doses. A case's row sums to v_tuned - v_base but for the error of
    the midpoint rule. Costs `steps` rows and one backward pass a case, whatever the number of units.

    Means over cases say what carries Delta; means of absolute values what some case needs, a better order for keeping.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> dose_path([game], unit="projection", steps=2).shape  # a case, two projections
        (1, 2)
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps!r}")
    at, weights = (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    return np.array([path_gradients(ModuleGame(game, unit=unit), at, weights) for game in games])


HIGHEST = 1.5  # dose beyond which nothing is offered


@dataclass(frozen=True)
class Answered:
    """What the model answers (a node path) with every module at `dose` but those of `off`, which are at 0.

    value: nats, in the form of `Settings.game`.
    """

    dose: float
    off: tuple[int, ...]
    path: tuple[str, ...]
    value: float

    @property
    def toolchain(self) -> tuple[str, ...]:
        """The commands of the answer."""
        return toolchain(self.path)


class Settings:
    """Doses and switches of one case. What was asked before costs nothing. unit: what counts as one module, of
    `game.UNITS`. ValueError: the model has no adapter."""

    def __init__(self, engine: Engine, case: Case, *, unit: str = "module"):
        self.engine, self.case, self.unit = engine, case, unit
        self._answers: dict[tuple[float, tuple[int, ...]], Answered] = {}
        self._curves: dict[tuple[int, ...], np.ndarray] = {}

    @cached_property
    def game(self) -> Game:
        """The contest of the tuned model's answer with the base's, or with the strongest other one: its form is
        `margin`, the lead over that; without any other, the log-probability of the answer, `logprob`."""
        return (contests(self.engine, [self.case]) or contests(self.engine, [self.case], form="logprob"))[0]

    @cached_property
    def play(self) -> ModuleGame:
        """The same with the modules as players, by name in the order of the model."""
        return ModuleGame(self.game, unit=self.unit)

    @property
    def places(self) -> tuple[tuple[int | str, str], ...]:
        """Layer and projection of every module."""
        return tuple(unit_place(name, self.unit) for name in self.play.names)

    def at(self, dose: float = 1.0, off: Collection[int] = ()) -> Answered:
        """The answer and its value. ValueError: a dose that is not finite, or no such module."""
        key = float(dose), tuple(sorted(set(off)))
        if key not in self._answers:
            row = self._row(*key)
            given = torch.tensor(self.play.doses(row[None]), dtype=torch.float32)
            (path,) = self.engine.answers([self.case], doses=given)
            self._answers[key] = Answered(*key, path, float(self.play(row[None])[0]))
        return self._answers[key]

    def curve(self, off: Collection[int] = ()) -> np.ndarray:
        """Values (len(GRID),) over the doses of `GRID`, nats, with some modules off."""
        gone = tuple(sorted(set(off)))
        if gone not in self._curves:
            self._curves[gone] = self.play(np.array([self._row(dose, gone) for dose in GRID]))
        return self._curves[gone]

    @cached_property
    def losses(self) -> np.ndarray:
        """v(as trained) - v(one module off): (modules,), nats; what goes with each module alone."""
        return losses(self.play, self.play.n)

    def _row(self, dose: float, off: Sequence[int]) -> np.ndarray:
        if not np.isfinite(dose):
            raise ValueError(f"a dose must be a finite number, not {dose!r}")
        wrong = [k for k in off if not 0 <= k < self.play.n]
        if wrong:
            raise ValueError(f"modules are numbered 0 to {self.play.n - 1}, not {wrong[0]!r}")
        row = np.full(self.play.n, float(dose))
        row[list(off)] = 0.0
        return row
