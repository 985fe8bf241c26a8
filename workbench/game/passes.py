"""How the rows of a case are asked: every (facts shown, doses, answer) once, the others from memory.

A decision, whether the greedy answer still names the same toolchain, comes from the pass that reads the answer: where
every token of it is the first choice, greedy generation gives that answer. Where one is not, generation goes on from
there, on the pass's own keys and values, to the first command that differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from workbench.cases import Case, toolchain
from workbench.game.doses import as_tensor
from workbench.game.engine import Engine
from workbench.game.prefix import SharedPrefix, pays
from workbench.game.rows import MAX_NEW_TOKENS, Row, by_depth, named_path, row_of
from workbench.models.prompts import Prompt


@dataclass
class Memory:
    """Rows known so far, shared by all views of a game. Keys: removal, which model, which answer, fact mask. decided:
    of rows in which a token changed, whether the toolchain did not.

    Examples:
        >>> Memory().rows
        {}
    """

    rows: dict[tuple, Row] = field(default_factory=dict)
    decided: dict[tuple, bool] = field(default_factory=dict)
    prefixes: dict[tuple, SharedPrefix] = field(default_factory=dict)
    other: tuple[int, ...] = ()

    def same(self, key: tuple) -> bool | None:
        """Whether the toolchain of a row is that of the answer; None: not known."""
        return True if self.stays(key) else self.decided.get(key)

    def stays(self, key: tuple) -> bool:
        """Whether a row is known in which no token changes."""
        return key in self.rows and bool(self.rows[key].margins.min() > 0)


@dataclass(frozen=True)
class Passes:
    """The passes of a `Game`, which says what its fields are: over a case's prompts with some facts removed, tuned or
    base, or the adapter at a dose.

    Facts are keep-masks (m, facts) float64, doses (m, units) float64 or None; see `workbench.game.doses`.
    """

    engine: Engine
    case: Case
    answer: tuple[int, ...]
    form: str = "logprob"
    removal: str = "delete"
    adapter: bool = True
    dose: float | tuple[float, ...] | np.ndarray | None = None
    span: tuple[int, int] | None = None
    shared_prefix: bool | None = None
    max_new_tokens: int = MAX_NEW_TOKENS
    memory: Memory = field(default_factory=Memory, repr=False)

    @cached_property
    def path(self) -> tuple[str, ...]:
        """The answer as node ids, source first."""
        return named_path(self.engine, self.case, self.answer)

    @property
    def pays(self) -> bool:
        """Whether the full prompt's keys and values are kept and used again."""
        if self.shared_prefix is not None:
            return self.shared_prefix
        return pays(self.engine, self.engine.prompt(self.case))

    def rows(self, facts: np.ndarray, answer: tuple[int, ...], doses: np.ndarray | None = None) -> list[Row]:
        """One `Row` a mask; what is known, or equal to another, costs nothing."""
        keys = self.keys(facts, answer, self.models(facts, doses))
        places = self._recalled(keys, facts, answer)
        new = {key: i for i, key in enumerate(keys) if key not in self.memory.rows}
        if new:
            chosen = list(new.values())
            asked = facts[chosen], answer, None if doses is None else doses[chosen]
            found = self._deleted(*asked) if self.removal == "delete" else self._gated(*asked)
            self.memory.rows.update(zip(new, found, strict=True))
            self._told(places, new)
        return [self.memory.rows[key] for key in keys]

    def stays(self, facts: np.ndarray) -> list[bool]:
        """Per mask whether the answer is known, without a pass, to stay as it is token by token."""
        keys = self.keys(facts, self.answer, self.models(facts, None))
        self._recalled(keys, facts, self.answer)
        return list(map(self.memory.stays, keys))

    def rows_of_each(
        self, facts: np.ndarray, answers: Sequence[tuple[int, ...]], doses: np.ndarray | None
    ) -> list[list[Row]]:
        """Per answer one `Row` a mask. Where tokens are dear, a prompt at a dose is read once for all answers."""
        dear = len(facts) and self.engine.slow and self.removal == "delete"
        if dear and doses is not None and (facts == facts[0]).all():
            models = self.models(facts, doses)  # once: all answers share what tells a dose, which is large
            keys = list(zip(*(self.keys(facts, answer, models) for answer in answers), strict=True))
            new = {row[0]: i for i, row in enumerate(keys) if not self.memory.rows.keys() >= {*row}}
            if chosen := list(new.values()):
                prompt, given = self.engine.prompt(self.case, facts[0] > 0), torch.tensor(doses[chosen]).float()
                found = by_depth(self.engine, prompt, answers, given)
                for i, row in zip(chosen, found, strict=True):
                    self.memory.rows.update(zip(keys[i], row, strict=True))
        return [self.rows(facts, answer, doses) for answer in answers]

    def _logits(self, gates: torch.Tensor | None, answer: tuple[int, ...], doses: torch.Tensor | None) -> torch.Tensor:
        """Logits (m, len(answer), vocabulary) of gates (m, facts) and doses (m, units), with the graph that leads back
        to them; at least one of the two is given."""
        some = gates if gates is not None else doses
        assert some is not None
        prompt, count = self.engine.prompt(self.case), len(some)
        how: dict[str, Any] = {"gates": None if gates is None else list(gates), "doses": doses}
        return torch.stack(self.engine.logits([prompt] * count, [answer] * count, adapter=self.adapter, **how))

    def decisions(self, facts: np.ndarray, doses: np.ndarray | None = None) -> np.ndarray:
        """Whether the greedy answer still names the toolchain of the game's: (m,) bool, by deletion."""
        keys = self.keys(facts, self.answer, self.models(facts, doses))
        places = self._recalled(keys, facts, self.answer, self.max_new_tokens)
        new = {key: i for i, key in enumerate(keys) if self.memory.same(key) is None}
        if new:
            chosen = list(new.values())
            self._decide(new, facts[chosen], None if doses is None else doses[chosen])
            self._told(places, new, self.max_new_tokens)
        return np.array([bool(self.memory.same(key)) for key in keys])

    def _decide(
        self, keys: Iterable[tuple], facts: np.ndarray, doses: np.ndarray | None, *, whole: bool = False
    ) -> list[tuple[str, ...]]:
        prefix = self._prefix(None) if doses is None and self.pays else None
        asked = [(self, *one) for one in zip(keys, facts, strict=True)]
        return decide(asked, doses=as_tensor(doses), prefix=prefix, whole=whole)

    def _recalled(
        self, keys: Sequence[tuple], facts: np.ndarray, answer: tuple[int, ...], longest: int = 0
    ) -> dict[tuple, tuple]:
        """Takes over what games of the engine have asked before, and gives what each row that the memory does not hold
        is kept under for those to come. longest: of decisions, the most tokens of an answer."""
        engine, memory, places = self.engine, self.memory, dict[tuple, tuple]()
        if not engine.slow or engine.heads.unused or engine.known.unused or self.removal != "delete":
            return places
        model = {adapter: engine.heads.model(adapter) for adapter in {key[1] for key in keys}}
        for key, mask in zip(keys, facts, strict=True):
            if key in places or (memory.same(key) if longest else memory.rows.get(key)) is not None:
                continue
            place = places[key] = model[key[1]], key[2], engine.prompt(self.case, mask > 0).ids, answer
            if (row := engine.known.rows.get(place)) is not None:
                memory.rows[key] = row
            if (same := engine.known.decided.get((*place, longest))) is not None:
                memory.decided[key] = same
        return places

    def _told(self, places: Mapping[tuple, tuple], keys: Iterable[tuple], longest: int = 0) -> None:
        """Keeps what was asked for other games. Arguments as in `_recalled`."""
        known = self.engine.known
        for key, place in ((key, places[key]) for key in keys if key in places):
            known.keep(known.rows, place, self.memory.rows[key])
            if longest:
                known.keep(known.decided, (*place, longest), self.memory.decided[key])

    def models(self, facts: np.ndarray, doses: np.ndarray | None) -> list[tuple[bool, bytes]]:
        """Per row what tells its model from others: the adapter on or off, and doses that are neither."""
        if doses is None:
            return [(self.adapter, b"")] * len(facts)
        plain = {0.0: (False, b""), 1.0: (True, b"")}
        return [plain[row[0]] if row[0] in plain and (row == row[0]).all() else (True, row.tobytes()) for row in doses]

    def keys(self, facts: np.ndarray, answer: tuple[int, ...], models: Sequence[tuple[bool, bytes]]) -> list[tuple]:
        """What the memory holds the rows of these models under."""
        return [(self.removal, *model, answer, mask.tobytes()) for model, mask in zip(models, facts, strict=True)]

    def _deleted(self, facts: np.ndarray, answer: tuple[int, ...], doses: np.ndarray | None) -> list[Row]:
        prompts = [self.engine.prompt(self.case, f > 0) for f in facts]
        if doses is None:
            return self._read(prompts, answer, prefix=self._prefix(None) if self.pays else None)
        if self.engine.slow and (facts == facts[0]).all():
            given = torch.tensor(doses, dtype=torch.float32)
            return [one for (one,) in by_depth(self.engine, prompts[0], [answer], given)]
        kinds, counts = np.unique(doses, axis=0, return_counts=True)
        if not self.pays or counts.min() <= 2:  # a prefix is a row more
            return self._read(prompts, answer, doses)
        out: dict[int, Row] = {}
        for dose in kinds:
            rows = np.flatnonzero((doses == dose).all(axis=1)).tolist()
            found = self._read([prompts[i] for i in rows], answer, doses[rows], prefix=self._prefix(dose))
            out |= zip(rows, found, strict=True)
        return [out[i] for i in range(len(prompts))]

    def _gated(self, facts: np.ndarray, answer: tuple[int, ...], doses: np.ndarray | None) -> list[Row]:
        prompts = [self.engine.prompt(self.case)] * len(facts)
        return self._read(prompts, answer, doses, gates=[torch.tensor(f) for f in facts])

    @torch.no_grad()
    def _read(
        self, prompts: Sequence[Prompt], answer: tuple[int, ...], doses: np.ndarray | None = None, **how: Any
    ) -> list[Row]:
        how |= {"adapter": self.adapter, "doses": as_tensor(doses), "read": partial(row_of, answer=answer)}
        return self.engine.logits(prompts, [answer] * len(prompts), **how)

    def _prefix(self, dose: np.ndarray | None) -> SharedPrefix:
        """The full prompt's keys and values; of models at a dose only the last is kept, since each is large."""
        key = (self.adapter, b"" if dose is None else dose.tobytes())
        if key not in self.memory.prefixes:
            for other in [k for k in self.memory.prefixes if dose is not None and k[1]]:
                del self.memory.prefixes[other]
            full, heads, plain = self.engine.prompt(self.case), self.engine.heads, dose is None and self.engine.slow
            one = heads.whole(full, adapter=self.adapter) if plain else None
            if one and one in heads.known.values():
                return one  # all games together keep no more than there is room for
            self.memory.prefixes[key] = one or SharedPrefix(self.engine, full, adapter=self.adapter, dose=dose)
        return self.memory.prefixes[key]


def decide(
    asked: Sequence[tuple[Passes, tuple, np.ndarray]],
    *,
    doses: torch.Tensor | None = None,
    prefix: SharedPrefix | None = None,
    whole: bool = False,
) -> list[tuple[str, ...]]:
    """Asks whether greedy answers name the same toolchain as those of their games, keeps what is said in the games'
    memories, and gives the answers as far as they were written, as node ids.

    asked: games that differ in no more than case, answer and memory, each with the memory's key of a decision and its
    facts (facts,). doses, prefix: as in `Engine.generate`. Every answer ends where it has named a command that differs;
    whole: where it can name nothing more.
    """
    if not asked:
        return []
    games, rows = [game for game, _, _ in asked], dict[int, Row]()
    engine, known = games[0].engine, [("", False)] * len(asked)
    template, names = engine.lm.template, engine.lm.ids

    def read(i: int, logits: torch.Tensor) -> None:
        rows[i] = row_of(logits, games[i].answer)

    def differs(i: int, tokens: Sequence[int]) -> bool:
        """Whether row i, as far as it is written, names a command that the game's answer does not have there."""
        if whole:
            return template.over(engine.text([tokens])[0])
        text = template.settled(engine.text([tokens])[0])
        if text != known[i][0]:
            named = toolchain(template.parse(games[i].case, text, names))
            known[i] = text, named != toolchain(games[i].path)[: len(named)]
        return known[i][1]

    texts = engine.generate(
        [engine.prompt(game.case, keep > 0) for game, _, keep in asked],
        drafts=[game.answer[:-1] for game in games],
        adapter=games[0].adapter,
        doses=doses,
        max_new_tokens=games[0].max_new_tokens,
        enough=differs,
        read=read,
        prefix=prefix,
    )
    paths = [named_path(engine, game.case, text) for game, text in zip(games, texts, strict=True)]
    for i, (game, key, _) in enumerate(asked):
        game.memory.rows[key], game.memory.decided[key] = rows[i], toolchain(paths[i]) == toolchain(game.path)
    return paths
