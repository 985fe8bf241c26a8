"""One prompt's keys and values, computed once and used again by every prompt that starts like it.

A prompt with some facts deleted is the full prompt up to the first of them. Its row then only needs its own tokens
from there on: half of the work when single facts are left out of a long prompt, little when half of all facts go. A GPU
reads whole rows as fast. What stands before the first fact is the same for all of a case's prompts, gated ones too, and
its beginning for all cases: these are the `Heads`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from workbench.game.decoding import state_of
from workbench.game.gates import gate_mask
from workbench.models.prompts import Prompt

PAYS_FROM = 256  # tokens of a prompt; below, a small model's tokens cost less than the bookkeeping that saves them
HEAD_FROM, HEADS = 24, 16  # tokens of a head that pays, heads that are kept: some 3 MB each of SmolLM2
LONGER = 1.25  # a head is worth being read where it is so many times as long as the longest that is kept


class SharedPrefix:
    """Teacher-forced logits of prompts that share a start with `prompt`; adapter: on or off, or on at a dose (units,),
    for all of them. engine: an `Engine`, which keeps such prefixes itself.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> whole, less = (engine.prompt(case, np.array(keep)) for keep in ([True] * 3, [True, True, False]))
        >>> SharedPrefix(engine, whole).shared(less) > 0  # tokens that need not be read again
        True
    """

    def __init__(self, engine: Any, prompt: Prompt, *, adapter: bool = True, dose: np.ndarray | None = None):
        self.engine, self.prompt, self.adapter = engine, prompt, adapter
        self.dose = None if dose is None else torch.tensor(dose, dtype=torch.float32)
        started = time.perf_counter()
        head = engine.heads.kept([prompt], adapter=adapter) if dose is None else None
        with engine.switched(adapter, self._doses(1)), torch.no_grad():
            if head:
                result, _ = head.read_on([prompt], [()], logits_to_keep=1)
            else:
                ids = torch.tensor([prompt.ids], device=engine.lm.device)
                result = engine.lm.model(input_ids=ids, use_cache=True, logits_to_keep=1)
        self.cache = result.past_key_values
        engine.book(rows=1, tokens=len(prompt.ids) - (head.shared(prompt) if head else 0), started=started)

    def logits(self, prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Per row (len(answer), vocabulary) float32, equal to `Engine.logits` up to rounding."""
        known = [self.shared(p) for p in prompts]
        rest = [len(p.ids) + len(a) - 1 - k for p, a, k in zip(prompts, answers, known, strict=True)]
        out: list[torch.Tensor] = [torch.empty(0)] * len(prompts)
        # a batch holds the whole prefix once for every row
        for rows in self.engine.batches([n + len(self.prompt.ids) for n in rest]):
            started, longest = time.perf_counter(), max(len(answers[i]) for i in rows)
            given = [prompts[i] for i in rows], [answers[i][:-1] for i in rows]
            with self.engine.switched(self.adapter, self._doses(len(rows))), torch.no_grad():
                result, _ = self.read_on(*given, logits_to_keep=longest)
            self.engine.book(rows=len(rows), tokens=sum(rest[i] for i in rows), started=started)
            for k, i in enumerate(rows):
                out[i] = result.logits[k, longest - len(answers[i]) :].float()
        return out

    def shared(self, prompt: Prompt) -> int:
        """Tokens at the start that are those of the full prompt; one token at least is left to compute."""
        same = next((k for k, (a, b) in enumerate(zip(prompt.ids, self.prompt.ids, strict=False)) if a != b), None)
        return min(len(prompt.ids) - 1, len(self.prompt.ids) if same is None else same)

    def read_on(
        self,
        prompts: Sequence[Prompt],
        answers: Sequence[Sequence[int]],
        *,
        logits_to_keep: int,
        gates: Sequence[torch.Tensor] | None = None,
    ) -> tuple[CausalLMOutputWithPast, torch.Tensor]:
        """One pass over prompts, answers behind them, from where they part from the full prompt: what the model
        returns, and the mask (rows, width) of real tokens, the prefix's included. The model is as it is switched.
        gates: as in `Engine.logits`, of facts behind the prefix."""
        known = [self.shared(p) for p in prompts]
        rest = [(*p.ids[k:], *a) for p, a, k in zip(prompts, answers, known, strict=True)]
        past = max(known)  # what no row needs is not copied
        ids, real = self.engine.padded(rest, max(map(len, rest)))
        shown = torch.tensor(known, device=ids.device)[:, None]
        held = (torch.arange(past, device=ids.device)[None] < shown).long()
        cache = copy.deepcopy(self.cache)
        if past < len(self.prompt.ids):
            cache.crop(past - len(self.prompt.ids))
        cache.batch_repeat_interleave(len(rest))
        mask = seen = torch.cat([held, real], 1)
        if gates is not None:
            seen = self._gated(prompts, rest, gates, mask)
        result = self.engine.lm.model(
            input_ids=ids,
            attention_mask=seen,
            position_ids=(real.cumsum(1) - 1 + shown).clamp(min=0),
            past_key_values=cache,
            logits_to_keep=logits_to_keep,
            use_cache=True,
        )
        return result, mask

    def _gated(
        self,
        prompts: Sequence[Prompt],
        rest: Sequence[Sequence[int]],
        gates: Sequence[torch.Tensor],
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Attention's mask (rows, 1, tokens read, width): the padding stands between prefix and rest."""
        width, facts = mask.shape[1], []
        for prompt, row in zip(prompts, rest, strict=True):
            known = self.shared(prompt)
            own = [*prompt.fact[known:], *[-1] * (len(row) - len(prompt.ids) + known)]
            facts.append([*[-1] * known, *[-2] * (width - known - len(own)), *own])
        past = width - max(map(len, rest))
        return gate_mask(facts, gates, width, dtype=self.engine.lm.model.dtype)[:, :, past:].to(mask.device)

    def _doses(self, rows: int) -> torch.Tensor | None:
        return None if self.dose is None else self.dose.expand(rows, -1)


@dataclass
class Heads:
    """The beginnings of prompts, before their first fact, that several of them share; without doses. engine: see
    `SharedPrefix`."""

    engine: Any
    known: dict[tuple, SharedPrefix] = field(default_factory=dict)
    _whole: bool = False

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Inside the block prompts are read as a whole, for those who listen to the modules."""
        self._whole = True
        try:
            yield
        finally:
            self._whole = False

    def of(self, prompts: Sequence[Prompt], *, adapter: bool, again: bool = False) -> SharedPrefix | None:
        """The longest head that is kept, or one that is read now where that saves much; None where none pays.

        again: these prompts will be asked again, so that one alone pays."""
        if not self.engine.slow or self._whole:
            return None
        kept, common = self.kept(prompts, adapter=adapter), self._common(prompts)
        alone = len(prompts) == 1 and not again
        if alone or common < max(HEAD_FROM, LONGER * (len(kept.prompt.ids) if kept else 0)):
            return kept
        while len(self.known) >= HEADS:
            del self.known[next(iter(self.known))]
        head = Prompt(prompts[0].ids[:common], prompts[0].fact[:common])
        self.known[key := (self._model(adapter), head.ids)] = SharedPrefix(self.engine, head, adapter=adapter)
        return self.known[key]

    def kept(self, prompts: Sequence[Prompt], *, adapter: bool) -> SharedPrefix | None:
        """The longest head that all of these begin with and go on from."""
        common = self._common(prompts) if self.known and not self._whole else 0
        model, ids = self._model(adapter), prompts[0].ids[:common]
        fits = [key for key in self.known if key[0] == model and key[1] == ids[: len(key[1])]]
        if not fits:
            return None
        best = max(fits, key=lambda key: len(key[1]))
        self.known[best] = self.known.pop(best)  # the last one used stands last
        return self.known[best]

    def _model(self, adapter: bool) -> tuple:
        """Tells the model from itself with other weights, as those of an adapter that learns, or another adapter."""
        model = self.engine.lm.model
        return adapter, state_of(model), sum(weight._version for weight in model.parameters())

    @staticmethod
    def _common(prompts: Sequence[Prompt]) -> int:
        """Tokens that all begin with, no fact among them, and one at least behind them."""
        first = prompts[0]
        most = min(next((k for k, fact in enumerate(p.fact) if fact >= 0), len(p.ids) - 1) for p in prompts)
        return next((k for k in range(most) if any(p.ids[k] != first.ids[k] for p in prompts)), most)
