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

from workbench.game.engine import Engine
from workbench.prompts import Prompt

PAYS_FROM = 256  # tokens of a prompt; below, the bookkeeping costs more than the tokens saved


class SharedPrefix:
    """Teacher-forced logits of prompts that share a start with `prompt`; adapter: on or off, or on at a dose (units,),
    for all of them."""

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
        rest = [(*p.ids[k:], *a[:-1]) for p, a, k in zip(prompts, answers, known, strict=True)]
        out: list[torch.Tensor] = [torch.empty(0)] * len(prompts)
        # a batch holds the whole prefix once for every row
        for rows in self.engine.batches([len(r) + len(self.prompt.ids) for r in rest]):
            block = self._pass([rest[i] for i in rows], [known[i] for i in rows], [len(answers[i]) for i in rows])
            for i, logits in zip(rows, block, strict=True):
                out[i] = logits
        return out

    def shared(self, prompt: Prompt) -> int:
        """Tokens at the start that are those of the full prompt; one token at least is left to compute."""
        same = next((k for k, (a, b) in enumerate(zip(prompt.ids, self.prompt.ids, strict=False)) if a != b), None)
        return min(len(prompt.ids) - 1, len(self.prompt.ids) if same is None else same)

    def _doses(self, rows: int) -> torch.Tensor | None:
        return None if self.dose is None else self.dose.expand(rows, -1)

    def _pass(self, rest: list[tuple[int, ...]], known: list[int], lengths: list[int]) -> list[torch.Tensor]:
        started, past = time.perf_counter(), len(self.prompt.ids)
        width = max(map(len, rest))
        ids, real = self.engine.padded(rest, width)
        held = torch.arange(past, device=ids.device)[None] < torch.tensor(known, device=ids.device)[:, None]
        positions = (real.cumsum(1) - 1 + torch.tensor(known, device=ids.device)[:, None]).clamp(min=0)
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(len(rest))
        with self.engine.switched(self.adapter, self._doses(len(rest))), torch.no_grad():
            result = self.engine.lm.model(
                input_ids=ids,
                attention_mask=torch.cat([held.long(), real], 1),
                position_ids=positions,
                past_key_values=cache,
                logits_to_keep=max(lengths),
            )
        self.engine.book(rows=len(rest), tokens=int(real.sum()), started=started)
        return [result.logits[k, max(lengths) - n :].float() for k, n in enumerate(lengths)]
