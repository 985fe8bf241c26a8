"""The tuned model on one case with its adapter at some dose and some of its units switched off: answer and margin."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from workbench.cases import Case, toolchain
from workbench.game import Engine, Game, ModuleGame
from workbench.game.rows import MAX_NEW_TOKENS
from workbench.keeps import losses
from workbench.shift.dose import GRID, contests
from workbench.shift.switches import unit_place

HIGHEST = 1.5  # dose beyond which nothing is offered


@dataclass(frozen=True)
class Answered:
    """What the model answers (a node path) with every module at `dose` but those of `off`, which are at 0.

    value: nats, see `Settings.form`.
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

    def __init__(self, engine: Engine, case: Case, *, unit: str = "module", max_new_tokens: int = MAX_NEW_TOKENS):
        self.engine, self.case, self.unit, self.max_new_tokens = engine, case, unit, max_new_tokens
        self._answers: dict[tuple[float, tuple[int, ...]], Answered] = {}
        self._curves: dict[tuple[int, ...], np.ndarray] = {}

    @cached_property
    def game(self) -> Game:
        """The contest of the tuned model's answer with the base's, or with the strongest other one; without any other,
        the log-probability of the answer."""
        return (contests(self.engine, [self.case]) or contests(self.engine, [self.case], form="logprob"))[0]

    @property
    def form(self) -> str:
        """What `value` is: `margin`, the lead of the tuned model's own answer over the other one; or `logprob`."""
        return self.game.form

    @cached_property
    def play(self) -> ModuleGame:
        """The same with the modules as players."""
        return ModuleGame(self.game, unit=self.unit)

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the units, in the order of the model: of modules dotted ones."""
        return self.play.names

    @property
    def places(self) -> tuple[tuple[int | str, str], ...]:
        """Layer and projection of every module."""
        return tuple(unit_place(name, self.unit) for name in self.modules)

    def at(self, dose: float = 1.0, off: Collection[int] = ()) -> Answered:
        """The answer and its value. ValueError: a dose that is not finite, or no such module."""
        key = float(dose), tuple(sorted(set(off)))
        if key not in self._answers:
            row = self._row(*key)
            given = torch.tensor(self.play.doses(row[None]), dtype=torch.float32)
            (path,) = self.engine.answers([self.case], doses=given, max_new_tokens=self.max_new_tokens)
            self._answers[key] = Answered(*key, path, float(self.play(row[None])[0]))
        return self._answers[key]

    def curve(self, off: Collection[int] = (), *, grid: Sequence[float] = GRID) -> np.ndarray:
        """Values (len(grid),) over the doses, nats, with some modules off."""
        gone = tuple(sorted(set(off)))
        if gone not in self._curves:
            self._curves[gone] = self.play(np.array([self._row(dose, gone) for dose in grid]))
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
