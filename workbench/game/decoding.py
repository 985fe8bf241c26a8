"""Greedy decoding, one token a step for all rows of a batch, on keys and values that stand in fixed places.

Every tensor that a step reads or writes stays where it is, so that on a GPU a step can be recorded as a CUDA graph and
played again: launching some thousand small kernels one by one takes much longer than running them. Recorded or not, on
a GPU or a CPU, it is the same step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from peft.tuners.lora import LoraLayer
from transformers.cache_utils import Cache, StaticLayer

LOG = logging.getLogger(__name__)
LENGTHS = 64  # slots of a decoder are a multiple of it, so that prompts of like length share one
KEPT = 4  # decoders on a GPU, each with the keys and values of a whole batch
PLAIN_STEPS = 2  # before one is recorded: what libraries set up at a first call cannot be


class Past(NamedTuple):
    """What a pass over a batch leaves behind: keys and values, and where no padding is, (rows, width), 1 and 0."""

    cache: Cache
    real: torch.Tensor


class Slots(StaticLayer):
    """Keys and values (rows, heads, slots, features) of one layer; what comes goes to slot `at`, (1,) int64."""

    def __init__(self, like: Any, at: torch.Tensor, *, rows: int, slots: int):
        super().__init__(max_cache_len=slots)
        self.keys, self.values = (x.new_zeros(rows, x.shape[1], slots, x.shape[3]) for x in (like.keys, like.values))
        self.at, self.is_initialized = at, True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One token a row in, all out; the attention mask hides what is not there yet."""
        self.keys.index_copy_(2, self.at, key_states)
        self.values.index_copy_(2, self.at, value_states)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Nothing rests on it: every step is given its positions and its mask."""
        return 0


class Decoder:
    """Room for so many rows of so many tokens. like: the cache of an ordinary pass of the same model. owner: whether
    steps may be recorded; None: never."""

    def __init__(self, model: torch.nn.Module, like: Cache, *, rows: int, slots: int, owner: Decoders | None = None):
        first = like.layers[0].keys
        self.model, self.dtype, self.owner, self.steps = model, first.dtype, owner, 0
        self.tokens = torch.zeros(rows, 1, dtype=torch.long, device=first.device)
        self.positions = torch.zeros_like(self.tokens)
        self.at = torch.zeros(1, dtype=torch.long, device=first.device)
        self.places = torch.arange(slots, device=first.device)
        self.hidden = torch.ones(rows, slots, dtype=torch.bool, device=first.device)
        self.cache = Cache(layers=[Slots(layer, self.at, rows=rows, slots=slots) for layer in like.layers])
        self.graph: torch.cuda.CUDAGraph | None = None

    def load(self, past: Past, wrong: Mapping[int, int]) -> None:
        """Takes over some rows of a pass: row number -> how many of its last tokens do not count."""
        count, width, device = len(wrong), past.real.shape[1], past.real.device
        rows = torch.tensor(list(wrong), device=device)
        for slot, layer in zip(self.cache.layers, past.cache.layers, strict=True):
            slot.keys[:count, :, :width] = layer.keys[rows]
            slot.values[:count, :, :width] = layer.values[rows]
        ends = width - torch.tensor(list(wrong.values()), device=device)
        seen = past.real[rows].bool() & (self.places[:width] < ends[:, None])
        self.hidden.fill_(True)
        self.hidden[:count, :width] = ~seen
        self.positions.zero_()
        self.positions[:count] = seen.sum(1, keepdim=True)
        self.at.fill_(width)

    def write_on(self, texts: Sequence[list[int]], ended: Callable[[int], bool]) -> int:
        """Appends to the texts of the rows, each until it has ended(its number); the number of tokens read for it."""
        going, read = list(range(len(texts))), 0
        self.tokens[: len(texts), 0] = torch.tensor([text[-1] for text in texts], device=self.tokens.device)
        while going:
            said = self()
            read += len(going)
            for k in going:
                texts[k].append(said[k])
            going = [k for k in going if not ended(k)]
        return read

    def __call__(self) -> list[int]:
        """Reads the token of every row; the first choices for the next, which the next call reads."""
        if self.owner and self.owner.can_record and self.graph is None and self.steps >= PLAIN_STEPS:
            self._record(self.owner)
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()
        self.steps += 1
        return self.tokens[:, 0].tolist()

    def _step(self) -> None:
        """What is recorded: nothing in it waits for the GPU, and every result goes to where the last one was."""
        self.hidden.logical_and_(self.places != self.at)
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
        """Records the step, without running it. Where that fails, all steps stay plain, and slow."""
        stream = None
        try:
            stream, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step()
            self.graph = graph
        except Exception as error:  # whatever a driver, a kernel or a model has against it
            if stream is not None:
                torch.cuda.set_stream(stream)  # a recording that fails leaves its own behind
            owner.can_record = False
            LOG.warning("a decoding step cannot be recorded as a CUDA graph, so that decoding is slow: %s", error)


@dataclass
class Decoders:
    """Where decoders come from. On a GPU they are kept, and used again while nothing about the model has changed."""

    kept: dict[tuple, Decoder] = field(default_factory=dict)
    can_record: bool = True

    def take(self, model: torch.nn.Module, past: Past, wrong: Mapping[int, int], *, room: int, alone: bool) -> Decoder:
        """A decoder with some rows of a pass, see `Decoder.load`, and room for so many tokens more. alone: the model is
        altered for this batch only."""
        rows, slots = len(wrong), -(-(past.real.shape[1] + room) // LENGTHS) * LENGTHS
        if alone or not self.can_record or past.real.device.type != "cuda":
            decoder = Decoder(model, past.cache, rows=rows, slots=slots)
        else:
            rows = 1 << (rows - 1).bit_length()
            key = (rows, slots, *state_of(model))
            decoder = self.kept.pop(key, None) or Decoder(model, past.cache, rows=rows, slots=slots, owner=self)
            self.kept[key] = decoder  # the last one used stands last
            while len(self.kept) > KEPT:
                del self.kept[next(iter(self.kept))]
        decoder.load(past, wrong)
        return decoder


def confirmed(draft: Sequence[int], logits: torch.Tensor) -> list[int]:
    """The tokens of a draft that greedy choice gives as well, and the one that it gives behind them. logits:
    (1 + len(draft), vocabulary), in the place of each and behind the last."""
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
