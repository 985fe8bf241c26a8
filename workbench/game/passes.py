"""How the rows of a case are asked: every (facts shown, doses, answer) once, the others from memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from workbench.cases import Case, toolchain
from workbench.game.engine import Engine
from workbench.game.prefix import PAYS_FROM, SharedPrefix
from workbench.game.rows import Row, row_of


@dataclass
class Memory:
    """Rows known so far, shared by all views of a game. Keys: removal, which model, which answer, fact mask."""

    rows: dict[tuple, Row] = field(default_factory=dict)
    decided: dict[tuple, bool] = field(default_factory=dict)
    prefixes: dict[tuple, SharedPrefix] = field(default_factory=dict)
    other: tuple[int, ...] = ()


@dataclass(frozen=True)
class Passes:
    """Passes over a case's prompts with some facts removed, tuned or base, or the adapter at a dose.

    Facts are keep-masks (m, facts) float64, doses (m, units) float64 or None; see `workbench.game.doses`.
    """

    engine: Engine
    case: Case
    removal: str
    adapter: bool
    shared_prefix: bool | None
    memory: Memory

    @property
    def pays(self) -> bool:
        """Whether the full prompt's keys and values are kept and used again."""
        long = len(self.engine.prompt(self.case).ids) >= PAYS_FROM
        return long if self.shared_prefix is None else self.shared_prefix

    def rows(self, facts: np.ndarray, answer: tuple[int, ...], doses: np.ndarray | None = None) -> list[Row]:
        """One `Row` a mask; what is known, or equal to another, costs nothing."""
        models = self._models(facts, doses)
        keys = [self.row_key(f, answer, model) for model, f in zip(models, facts, strict=True)]
        new = {key: i for i, key in enumerate(keys) if key not in self.memory.rows}
        if new:
            chosen = list(new.values())
            asked = facts[chosen], answer, None if doses is None else doses[chosen]
            logits = self._deleted(*asked) if self.removal == "delete" else self._gated(*asked)
            self.memory.rows.update(zip(new, (row_of(z, answer) for z in logits), strict=True))
        return [self.memory.rows[key] for key in keys]

    def graph(self, gates: torch.Tensor | None, answer: tuple[int, ...], doses: torch.Tensor | None) -> torch.Tensor:
        """Logits (m, len(answer), vocabulary) of gates (m, facts) and doses (m, units), with the graph that leads back
        to them; at least one of the two is given."""
        some = gates if gates is not None else doses
        assert some is not None
        prompt, count = self.engine.prompt(self.case), len(some)
        how = {"gates": None if gates is None else list(gates), "doses": doses}
        return torch.stack(self.engine.logits([prompt] * count, [answer] * count, adapter=self.adapter, **how))

    def same_toolchain(
        self, facts: np.ndarray, doses: np.ndarray | None, path: Sequence[str], *, max_new_tokens: int
    ) -> list[bool]:
        """Whether the greedy answer still names the toolchain of `path`, node ids, one a mask."""
        models = self._models(facts, doses)
        keys = [self.decision_key(f, model) for model, f in zip(models, facts, strict=True)]
        new = {key: i for i, key in enumerate(keys) if key not in self.memory.decided}
        if new:
            chosen = list(new.values())
            paths = self.engine.answers(
                [self.case] * len(new),
                keeps=[facts[i] > 0 for i in chosen],
                adapter=self.adapter,
                doses=_tensors(doses, chosen),
                max_new_tokens=max_new_tokens,
            )
            self.memory.decided.update(zip(new, (toolchain(p) == toolchain(path) for p in paths), strict=True))
        return [self.memory.decided[key] for key in keys]

    def row_key(self, mask: np.ndarray, answer: tuple[int, ...], model: tuple[bool, bytes] | None = None) -> tuple:
        """What the memory holds a row under. model: see `_models`; None: without doses."""
        return (self.removal, *(model or (self.adapter, b"")), answer, mask.tobytes())

    def decision_key(self, mask: np.ndarray, model: tuple[bool, bytes] | None = None) -> tuple:
        """What the memory holds a decision under."""
        return (*(model or (self.adapter, b"")), mask.tobytes())

    def _models(self, facts: np.ndarray, doses: np.ndarray | None) -> list[tuple[bool, bytes]]:
        """Per row what tells its model from others: the adapter on or off, and doses that are neither."""
        if doses is None:
            return [(self.adapter, b"")] * len(facts)
        plain = {0.0: (False, b""), 1.0: (True, b"")}
        return [plain[row[0]] if row[0] in plain and (row == row[0]).all() else (True, row.tobytes()) for row in doses]

    def _deleted(self, facts: np.ndarray, answer: tuple[int, ...], doses: np.ndarray | None) -> list[torch.Tensor]:
        prompts = [self.engine.prompt(self.case, f > 0) for f in facts]
        answers = [answer] * len(prompts)
        if self.pays and (doses is None or (doses == doses[0]).all()):
            return self._prefix(None if doses is None else doses[0]).logits(prompts, answers)
        with torch.no_grad():
            return self.engine.logits(prompts, answers, adapter=self.adapter, doses=_tensors(doses))

    def _prefix(self, dose: np.ndarray | None) -> SharedPrefix:
        """The full prompt's keys and values; of models at a dose only the last is kept, since each is large."""
        key = (self.adapter, b"" if dose is None else dose.tobytes())
        if key not in self.memory.prefixes:
            for other in [k for k in self.memory.prefixes if dose is not None and k[1]]:
                del self.memory.prefixes[other]
            full = self.engine.prompt(self.case)
            self.memory.prefixes[key] = SharedPrefix(self.engine, full, adapter=self.adapter, dose=dose)
        return self.memory.prefixes[key]

    def _gated(self, facts: np.ndarray, answer: tuple[int, ...], doses: np.ndarray | None) -> list[torch.Tensor]:
        gates = [torch.tensor(f) for f in facts]
        prompt, how = self.engine.prompt(self.case), {"gates": gates, "doses": _tensors(doses)}
        return self.engine.logits([prompt] * len(gates), [answer] * len(gates), adapter=self.adapter, **how)


def _tensors(doses: np.ndarray | None, rows: Sequence[int] | None = None) -> torch.Tensor | None:
    """Doses of some rows, or of all, as a tensor."""
    return None if doses is None else torch.tensor(doses if rows is None else doses[list(rows)], dtype=torch.float32)
