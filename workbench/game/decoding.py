"""Greedy decoding, one token a step for all rows of a batch, on keys and values that stand in fixed places.

Every tensor that a step reads or writes stays where it is, so that on a GPU a step can be recorded as a CUDA graph and
played again: launching some thousand small kernels one by one takes much longer than running them. Recorded or not, on
a GPU or a CPU, it is the same step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from transformers.cache_utils import Cache, StaticLayer

LOG = logging.getLogger(__name__)
LENGTHS = 64  # a decoder's slots are a multiple, so that prompts of like length share one; alignment asks for 8
KEPT = 4  # recorded decoders at a time: each holds keys and values of a whole batch
PLAIN_STEPS = 2  # before one is recorded, for what the libraries set up at a first call


class Slots(StaticLayer):
    """Keys and values (rows, heads, slots, features) of one layer; what comes goes to slot `at`, (1,) int64."""

    def __init__(self, like: StaticLayer, at: torch.Tensor, *, rows: int, slots: int):
        super().__init__(max_cache_len=slots)
        self.keys, self.values = (
            x.new_zeros(rows, x.shape[1], slots, x.shape[3]) for x in (like.keys, like.values)
        )
        self.at, self.is_initialized = at, True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One token a row in, everything out; the attention mask hides what is not there yet."""
        self.keys.index_copy_(2, self.at, key_states)
        self.values.index_copy_(2, self.at, value_states)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Nothing counts on it: positions and mask are given to every step."""
        return 0


class Decoder:
    """Room for `rows` rows of up to `slots` tokens. like: a cache of the same model, filled by an ordinary pass. owner:
    says whether its steps may be recorded; None: never."""

    def __init__(
        self, model: torch.nn.Module, like: Cache, *, rows: int, slots: int, owner: Decoders | None = None
    ):
        device = like.layers[0].keys.device
        self.model, self.rows, self.dtype = model, rows, like.layers[0].keys.dtype
        self.tokens = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self.positions = torch.zeros_like(self.tokens)
        self.at = torch.zeros(1, dtype=torch.long, device=device)
        self.hidden = torch.ones(rows, slots, dtype=torch.bool, device=device)
        self.cache = Cache(layers=[Slots(layer, self.at, rows=rows, slots=slots) for layer in like.layers])
        self.graph: torch.cuda.CUDAGraph | None = None
        self.owner, self.steps = owner, 0

    def load(
        self, past: Cache, real: torch.Tensor, rows: Sequence[int], *, tokens: Sequence[int], stale: Sequence[int]
    ) -> None:
        """Takes over some rows of a pass's cache. real: (all rows, width), 1 where no padding is. Of the chosen rows:
        the token to read next, and how many at the end of the pass do not count."""
        count, width, device = len(rows), real.shape[1], real.device
        chosen = torch.tensor(list(rows), device=device)
        for slot, layer in zip(self.cache.layers, past.layers, strict=True):
            slot.keys[:count, :, :width] = layer.keys[chosen]
            slot.values[:count, :, :width] = layer.values[chosen]
        ends = width - torch.tensor(list(stale), device=device)
        seen = real[chosen].bool() & (torch.arange(width, device=device) < ends[:, None])
        self.hidden.fill_(True)
        self.hidden[:count, :width] = ~seen
        self.positions[:count] = seen.sum(1, keepdim=True)
        self.tokens[:count, 0] = torch.tensor(list(tokens), device=device)
        self.at.fill_(width)

    def write_on(self, texts: Sequence[list[int]], ended: Callable[[int], bool]) -> int:
        """Appends to the rows' texts, each until it has ended(its number); gives the number of tokens read for it."""
        going, read = list(range(len(texts))), 0
        while going:
            said = self()
            read += len(going)
            for k in going:
                texts[k].append(said[k])
            going = [k for k in going if not ended(k)]
        return read

    def __call__(self) -> list[int]:
        """Reads every row's token; gives the first choices for the next, which the next call reads."""
        if self.owner and self.owner.can_record and self.graph is None and self.steps >= PLAIN_STEPS:
            self._record(self.owner)
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()
        self.steps += 1
        return self.tokens[:, 0].tolist()

    def _step(self) -> None:
        """What is recorded: nothing here waits for the GPU, and every result goes to where the last one was."""
        self.hidden.index_fill_(1, self.at, False)
        mask = torch.zeros(self.hidden.shape, dtype=self.dtype, device=self.hidden.device)
        result = self.model(
            input_ids=self.tokens,
            attention_mask=mask.masked_fill(self.hidden, torch.finfo(self.dtype).min)[:, None, None],
            position_ids=self.positions,
            past_key_values=self.cache,
            logits_to_keep=1,
            use_cache=True,
        )
        self.tokens.copy_(result.logits[:, -1].argmax(-1, keepdim=True))
        self.positions.add_(1)
        self.at.add_(1)

    def _record(self, owner: Decoders) -> None:
        """Records the step; where that fails, this one and all others stay plain, and slow."""
        stream, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step()
            self.graph = graph
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a recording that fails leaves its own behind
            owner.can_record = False
            LOG.warning("a decoding step cannot be recorded as a CUDA graph, so that decoding is slow: %s", error)


@dataclass
class Decoders:
    """Where decoders come from; on a GPU they are kept, and used again while nothing about the model has changed."""

    kept: dict[tuple, Decoder] = field(default_factory=dict)
    can_record: bool = True

    def take(self, model: torch.nn.Module, like: Cache, *, rows: int, slots: int, alone: bool) -> Decoder:
        """A decoder with room for so many rows and tokens, or more. alone: the model is altered for this pass only, so
        that no other can use it.
        """
        slots = -(-slots // LENGTHS) * LENGTHS
        if alone or not self.can_record or like.layers[0].keys.device.type != "cuda":
            return Decoder(model, like, rows=rows, slots=slots)
        rows = 1 << (rows - 1).bit_length()
        key = (rows, slots, *state_of(model))
        found = self.kept.pop(key, None) or Decoder(model, like, rows=rows, slots=slots, owner=self)
        self.kept[key] = found  # the last one used stands last
        while len(self.kept) > KEPT:
            del self.kept[next(iter(self.kept))]
        return found


def confirmed(draft: Sequence[int], logits: torch.Tensor) -> list[int]:
    """The tokens of a draft that greedy choice gives as well, and the one that it gives behind them. logits:
    (1 + len(draft), vocabulary), before and behind each of them."""
    said = logits.argmax(-1).tolist()
    agreed = next((k for k, token in enumerate(draft) if said[k] != token), len(draft))
    return [*draft[:agreed], said[agreed]]


def state_of(model: torch.nn.Module) -> tuple:
    """What a recorded step depends on beside its inputs: where the weights lie, and which adapters are on."""
    adapters = tuple(
        (layer.disable_adapters, layer.merged, tuple(layer.active_adapters), tuple(layer.scaling.items()))
        for layer in model.modules()
        if isinstance(layer, LoraLayer)
    )
    return id(model), model.training, adapters, tuple(p.data_ptr() for p in model.parameters())
