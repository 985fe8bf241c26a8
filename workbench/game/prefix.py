"""One prompt's keys and values, computed once and used again by every prompt that starts like it.

A prompt with some facts deleted is the full prompt up to the first of them. Its row then only needs its own tokens
from there on: half of the work when single facts are left out of a long prompt, little when half of all facts go. A GPU
reads whole rows as fast. What stands before the first fact is the same for all of a case's prompts, gated ones too, and
its beginning for all cases. These, and prompts read lately, which later ones may begin like, are the `Heads`; each row
of a batch goes on from its own.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache

from workbench.game.decoding import agreement, state_of
from workbench.game.memory import Kept
from workbench.models.prompts import Prompt

PAYS_FROM = 256  # tokens of a prompt; below, a small model's tokens cost less than the bookkeeping that saves them
HEAD_FROM = 24  # tokens of a head that pays
LONGER = 1.25  # a head is worth being read where it is so many times as long as what is kept
HEADS_BYTES = 2**28  # of what is kept: 5,800 tokens of SmolLM2


def pays(engine: Any, prompt: Prompt) -> bool:
    """Whether what a prompt leaves behind is worth keeping for others that begin like it."""
    return engine.slow or (len(prompt.ids) >= PAYS_FROM and engine.lm.device.type == "cpu")


class SharedPrefix:
    """What prompts that share a start with `prompt` go on from, see `Engine.logits`.

    adapter: on or off, or on at a dose (units,), for all of them. engine: an `Engine`; it keeps such prefixes itself.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> whole, less = (engine.prompt(case, np.array(keep)) for keep in ([True] * 3, [True, True, False]))
        >>> SharedPrefix(engine, whole).shared(less) > 0  # tokens that need not be read again
        True
    """

    def __init__(
        self,
        engine: Any,
        prompt: Prompt,
        *,
        adapter: bool = True,
        dose: np.ndarray | None = None,
        cache: Cache | None = None,
    ):
        """cache: what a pass over the prompt has left behind; None: it is read now."""
        self.engine, self.prompt = engine, prompt
        self.cache = self._read(adapter, dose) if cache is None else cache

    def _read(self, adapter: bool, dose: np.ndarray | None) -> Cache:
        engine, prompt, started = self.engine, self.prompt, time.perf_counter()
        doses = None if dose is None else torch.tensor(dose, dtype=torch.float32)[None]
        head = engine.heads.of([prompt], adapter=adapter, doses=doses)
        with engine.switched(adapter, doses), torch.no_grad():
            result, _ = engine.forward([prompt], [()], head=head, logits_to_keep=1, use_cache=True)
        engine.book(rows=1, tokens=len(prompt.ids) - (head.shared(prompt) if head else 0), started=started)
        return result.past_key_values

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.cache.layers)

    def shared(self, prompt: Prompt) -> int:
        """Tokens at the start that are those of the full prompt; one token at least is left to compute."""
        return min(len(prompt.ids) - 1, agreement(prompt.ids, self.prompt.ids))

    def begun(self, prompts: Sequence[Prompt], past: int) -> Cache:
        """Keys and values of so many first tokens, a row a prompt."""
        cache = copy.deepcopy(self.cache)
        if past < len(self.prompt.ids):
            cache.crop(past - len(self.prompt.ids))
        cache.batch_repeat_interleave(len(prompts))
        return cache


class Several(SharedPrefix):
    """Prefixes of one model: each prompt goes on from the one that it shares most with."""

    def __init__(self, prefixes: Sequence[SharedPrefix]):
        self.engine, self.prefixes = prefixes[0].engine, prefixes
        self.prompt = max((one.prompt for one in prefixes), key=lambda prompt: len(prompt.ids))
        self._best: dict[tuple[int, ...], tuple[int, SharedPrefix]] = {}

    def best(self, prompt: Prompt) -> tuple[int, SharedPrefix]:
        """Tokens that need not be read, and the prefix that has them."""
        if prompt.ids not in self._best:
            found = [(one.shared(prompt), k) for k, one in enumerate(self.prefixes)]
            self._best[prompt.ids] = max(found)[0], self.prefixes[max(found)[1]]
        return self._best[prompt.ids]

    def shared(self, prompt: Prompt) -> int:
        """See `SharedPrefix`."""
        return self.best(prompt)[0]

    def begun(self, prompts: Sequence[Prompt], past: int) -> Cache:
        rows = [self.best(prompt) for prompt in prompts]
        if len({id(one) for _, one in rows}) == 1:
            return rows[0][1].begun(prompts, past)
        cache = _alike(rows[0][1].cache)
        for layer, *begun in zip(cache.layers, *(one.cache.layers for _, one in rows), strict=True):
            like = layer.keys, layer.values
            layer.keys, layer.values = (x.new_zeros(len(rows), x.shape[1], past, x.shape[3]) for x in like)
            for k, ((known, _), one) in enumerate(zip(rows, begun, strict=True)):
                layer.keys[k, :, :known], layer.values[k, :, :known] = one.keys[0, :, :known], one.values[0, :, :known]
        return cache


def _alike(cache: Cache) -> Cache:
    """A cache whose layers may be given other keys and values."""
    made = copy.copy(cache)
    made.layers = [copy.copy(layer) for layer in cache.layers]
    return made


@dataclass
class Heads(Kept):
    """What prompts begin like, without doses. engine: see `SharedPrefix`."""

    engine: Any
    known: dict[tuple, SharedPrefix] = field(default_factory=dict)  # the one used last stands last
    models: dict[tuple, tuple[tuple, list[torch.Tensor]]] = field(default_factory=dict)

    def of(
        self,
        prompts: Sequence[Prompt],
        *,
        adapter: bool,
        gated: bool = False,
        given: SharedPrefix | None = None,
        doses: Any = None,
    ) -> SharedPrefix | None:
        """What these begin like, as far as it is kept, or is read now, where that saves much; None where nothing pays.

        gated: they go on before their first fact, and will be asked again, so that one alone pays. given: one more,
        and the only one at doses or where tokens cost little."""
        if not self.engine.slow or self.unused or doses is not None:
            return given
        model, common = self.model(adapter), self._common(prompts)
        kept = [one for key, one in self.known.items() if key[0] == model]
        if gated:
            first = prompts[0].ids[:common]
            kept = [one for one in kept if one.prompt.ids == first[: len(one.prompt.ids)]]
        kept += [given] if given else []
        if kept and any(layer.is_sliding for layer in kept[0].cache.layers):
            kept = kept[-1:]  # rows of unlike beginnings cannot be laid beside one another
        found = Several(kept) if kept else None
        least = min(found.shared(prompt) for prompt in prompts) if found else 0
        if (gated or len(prompts) > 1) and common >= max(HEAD_FROM, LONGER * least):
            head = Prompt(prompts[0].ids[:common], prompts[0].fact[:common])
            kept.append(SharedPrefix(self.engine, head, adapter=adapter))
            self._add(model, kept[-1])
            found = Several(kept)
        for one in {id(one): one for one in (found.best(p)[1] for p in prompts)}.values() if found else ():
            key = model, one.prompt.ids
            if key in self.known:
                self.known[key] = self.known.pop(key)
        return found

    def whole(self, prompt: Prompt, *, adapter: bool) -> SharedPrefix:
        """A prompt as such, read now where it is not kept."""
        model = self.model(adapter)
        one = self.known.pop((model, prompt.ids), None) or SharedPrefix(self.engine, prompt, adapter=adapter)
        if not any(layer.is_sliding for layer in one.cache.layers):  # of these rows of other prompts cannot begin alike
            self._add(model, one)
        return one

    def keep(self, prompts: Sequence[Prompt], cache: Cache, real: torch.Tensor, *, adapter: bool, doses: Any) -> None:
        """Keeps what a pass over prompts, answers behind them, has left behind. real: see `Past`."""
        if not self.engine.slow or self.unused or doses is not None or any(layer.is_sliding for layer in cache.layers):
            return
        model = self.model(adapter)
        for k, prompt in enumerate(prompts):
            if (model, prompt.ids) in self.known:
                continue
            row, at = _alike(cache), real[k].nonzero()[: len(prompt.ids), 0]
            alone = len(prompts) == 1 and int(at[-1]) == len(prompt.ids) - 1  # needs no copy
            for layer in row.layers:
                layer.keys, layer.values = (
                    x[k : k + 1, :, slice(len(prompt.ids)) if alone else at] for x in (layer.keys, layer.values)
                )
            self._add(model, SharedPrefix(self.engine, prompt, adapter=adapter, cache=row))

    def _add(self, model: tuple, one: SharedPrefix) -> None:
        if 2 * one.size <= HEADS_BYTES:  # of longer prompts each would push out all others
            self.known[model, one.prompt.ids] = one
        while sum(kept.size for kept in self.known.values()) > HEADS_BYTES:
            del self.known[next(iter(self.known))]

    def model(self, adapter: bool) -> tuple:
        """Tells the model from itself with other weights, as those of an adapter that learns, or another adapter."""
        model = self.engine.lm.model
        found = adapter, state_of(model), sum(weight._version for weight in model.parameters())
        # one object for all that is kept of a model, and its weights with it: others may come to lie where they lay
        return self.models.setdefault(found, (found, [*model.parameters()]))[0]

    @staticmethod
    def _common(prompts: Sequence[Prompt]) -> int:
        """Tokens that all begin with, no fact among them, and one at least behind them."""
        most = min(next((k for k, fact in enumerate(p.fact) if fact >= 0), len(p.ids) - 1) for p in prompts)
        return min(most, *(agreement(prompt.ids, prompts[0].ids) for prompt in prompts))
