"""One prompt's keys and values, computed once and used again by every prompt that starts like it.

A prompt with some facts deleted is the full prompt up to the first of them. Its row then only needs its own tokens
from there on: half of the work when single facts are left out of a long prompt, little when half of all facts go. A GPU
reads whole rows as fast.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from workbench.game.engine import Engine
from workbench.models.prompts import Prompt

PAYS_FROM = 256  # tokens of a prompt; below, a small model's tokens cost less than the bookkeeping that saves them


class SharedPrefix:
    """Teacher-forced logits of prompts that share a start with `prompt`; adapter: on or off, or on at a dose (units,),
    for all of them.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.game import Engine
        >>> from workbench.models import load
        >>> case = example_case()
        >>> engine = Engine(load(names=case.names))
        >>> whole, less = (engine.prompt(case, np.array(keep)) for keep in ([True] * 3, [True, True, False]))
        >>> SharedPrefix(engine, whole).shared(less) > 0  # tokens that need not be read again
        True
    """

    def __init__(self, engine: Engine, prompt: Prompt, *, adapter: bool = True, dose: np.ndarray | None = None):
        self.engine, self.prompt, self.adapter = engine, prompt, adapter
        self.dose = None if dose is None else torch.tensor(dose, dtype=torch.float32)
        started = time.perf_counter()
        ids = torch.tensor([prompt.ids], device=engine.lm.device)
        with engine.switched(adapter, self._doses(1)), torch.no_grad():
            self.cache = engine.lm.model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        engine.book(rows=1, tokens=len(prompt.ids), started=started)

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
        self, prompts: Sequence[Prompt], answers: Sequence[Sequence[int]], *, logits_to_keep: int
    ) -> tuple[CausalLMOutputWithPast, torch.Tensor]:
        """One pass over prompts, answers behind them, from where they part from the full prompt: what the model
        returns, and the mask (rows, width) of real tokens, the prefix's included. The model is as it is switched."""
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
        mask = torch.cat([held, real], 1)
        result = self.engine.lm.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(real.cumsum(1) - 1 + shown).clamp(min=0),
            past_key_values=cache,
            logits_to_keep=logits_to_keep,
            use_cache=True,
        )
        return result, mask

    def _doses(self, rows: int) -> torch.Tensor | None:
        return None if self.dose is None else self.dose.expand(rows, -1)
