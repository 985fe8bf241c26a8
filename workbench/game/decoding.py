"""Greedy decoding, a step for all rows of a batch at a time, on keys and values that stand in fixed places.

A step writes one token. On a processor a large model's step takes as long for several, since it is the weights that it
waits for; there each row guesses how it goes on, by what stood behind the same tokens before, and what greedy choice
gives of that is written in one step (Saxena 2023, prompt lookup decoding; Leviathan et al. 2023).

Every tensor that a step reads or writes stays where it is, so that on a GPU a step can be recorded as a CUDA graph and
played again: launching some thousand small kernels one by one takes much longer than running them. Recorded or not, on
a GPU or a CPU, it is the same step.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, StaticLayer

from workbench.models.dequantised import held_weights
from workbench.models.lora import LoraLayer

LOG = logging.getLogger(__name__)
LENGTHS = 64  # slots of a decoder are a multiple of it, so that prompts of like length share one
KEPT = 4  # decoders on a GPU, each with the keys and values of a whole batch
PLAIN_STEPS = 2  # before one is recorded: what libraries set up at a first call cannot be
WIDE, MOST_READ = 8, 32  # tokens of a row that are read in a step where guesses pay, and of all rows together
Part = tuple["Past", Mapping[int, int]]  # of a pass the rows that go on: number of a text -> its row there
LIKE, LOOKED_AT = 32, 4  # texts that are kept for guesses; tokens before a guess, at most, by which it is found


class Past(NamedTuple):
    """What a pass over a batch leaves behind: keys and values, and where no padding is, (rows, width), 1 and 0."""

    cache: Cache
    real: torch.Tensor


def agreement(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens at the start in which two rows are the same."""
    unlike = (k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(unlike, min(len(first), len(second)))


@dataclass
class Texts:
    """Answers that are being written: their tokens so far, end-of-sequence included, and when each has ended.

    prompts: what each is an answer to. drafts: what each may begin with. like: other texts that they may go on like.
    ends: tokens that end one. longest: most tokens. enough: see `Engine.generate`. wide: most tokens of one in a step.
    """

    prompts: Sequence[tuple[int, ...]]
    drafts: Sequence[Sequence[int]]
    like: Collection[tuple[int, ...]]
    ends: Set[int]
    longest: int
    enough: Callable[[int, Sequence[int]], bool] | None
    wide: int

    def __post_init__(self) -> None:
        self.tokens: list[list[int]] = [[] for _ in self.drafts]

    def begin(self, i: int, logits: torch.Tensor) -> None:
        """Text i as far as greedy choice gives its draft, and what it gives there instead, or behind it. logits:
        (1 + len(draft), vocabulary), in the place of each token of the draft and behind the last."""
        said = logits.argmax(-1).tolist()
        self.tokens[i] = said[: 1 + agreement(self.drafts[i], said)]

    def wrong(self, i: int) -> int:
        """Tokens of draft i that greedy choice does not give, as text i begins."""
        return 1 + len(self.drafts[i]) - len(self.tokens[i])

    def guess(self, i: int, most: int) -> tuple[int, ...]:
        """How text i may go on, so many tokens at most: what stands behind its last ones in its draft, in texts that it
        may be like, or in its prompt. Longer matches go first, and further."""
        prompt = self.prompts[i]
        said = (*prompt[-LOOKED_AT:], *self.tokens[i])
        for count in range(LOOKED_AT if most > 0 else 0, 0, -1):
            last = said[-count:]
            for text in (tuple(self.drafts[i]), *self.like, prompt):
                for at in range(len(text) - count):
                    if text[at : at + count] == last:
                        return text[at + count : at + count + min(most, 2 * count)]
        return ()

    def write(self, i: int, tokens: Iterable[int]) -> None:
        """Goes on with these tokens, to where text i ends."""
        for token in tokens:
            self.tokens[i].append(token)
            if self.ended(i):
                break

    def ended(self, i: int) -> bool:
        """Whether text i is whole, or as much of it as is wanted."""
        whole = len(self.tokens[i]) >= self.longest or not self.ends.isdisjoint(self.tokens[i])
        return whole or (self.enough is not None and self.enough(i, self.tokens[i]))

    def whole(self) -> list[tuple[int, ...]]:
        """The texts without what ends them."""
        return [tuple(takewhile(lambda t: t not in self.ends, text[: self.longest])) for text in self.tokens]


class Slots(StaticLayer):
    """Keys and values (rows, heads, slots, features) of one layer; what comes goes to slots `at`, int64."""

    def __init__(self, like: Any, at: torch.Tensor, *, rows: int, slots: int):
        super().__init__(max_cache_len=slots)
        self.keys, self.values = (x.new_zeros(rows, x.shape[1], slots, x.shape[3]) for x in (like.keys, like.values))
        self.at, self.is_initialized = at, True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Some tokens a row in, all out; the attention mask hides what is not there yet."""
        at = self.at[: key_states.shape[2]]
        self.keys.index_copy_(2, at, key_states)
        self.values.index_copy_(2, at, value_states)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Nothing rests on it: every step is given its positions and its mask."""
        return 0


class Decoder:
    """Room for so many rows of so many tokens. like: the cache of a pass of the same model. wide: most tokens of a row
    in a step. record: whether steps, of one token, are to be recorded; `failed`: this could not be done."""

    def __init__(
        self, model: torch.nn.Module, like: Cache, *, rows: int, slots: int, wide: int = 1, record: bool = False
    ):
        first = like.layers[0].keys
        self.model, self.dtype, self.steps = model, first.dtype, 0
        self.record, self.failed = record, False
        self.tokens = torch.zeros(rows, wide, dtype=torch.long, device=first.device)
        self.said = torch.zeros_like(self.tokens)
        self.positions = torch.zeros_like(self.tokens[:, :1])
        self.at = torch.arange(wide, device=first.device)
        self.places = torch.arange(slots, device=first.device)
        self.hidden = torch.ones(rows, slots, dtype=torch.bool, device=first.device)
        self.cache = Cache(layers=[Slots(layer, self.at, rows=rows, slots=slots) for layer in like.layers])
        self.graph: torch.cuda.CUDAGraph | None = None

    def load(self, parts: Sequence[Part], *, wrong: torch.Tensor) -> None:
        """Takes over rows of passes, pass by pass. wrong: how many of a row's last tokens do not count, (rows, 1)."""
        width, count = max(past.real.shape[1] for past, _ in parts), 0
        self.hidden.fill_(True)
        self.positions.zero_()
        for past, rows in parts:
            own, at, chosen = past.real.shape[1], slice(count, count + len(rows)), list(rows.values())
            for slot, layer in zip(self.cache.layers, past.cache.layers, strict=True):
                slot.keys[at, :, :own] = layer.keys[chosen]
                slot.values[at, :, :own] = layer.values[chosen]
            seen = past.real[chosen].bool() & (self.places[:own] < own - wrong[at])
            self.hidden[at, :own] = ~seen
            self.positions[at] = seen.sum(1, keepdim=True)
            count += len(rows)
        self.at += width - self.at[:1]
        self.left = len(self.places) - width

    def write_on(self, texts: Texts, rows: Sequence[int]) -> int:
        """Writes the texts of the rows, in the order in which they were loaded, to their ends; gives the number of
        tokens read for it."""
        going, read = list(enumerate(rows)), 0
        last = [texts.tokens[i][-1] for i in rows]
        self.tokens[: len(last), 0] = torch.tensor(last, device=self.tokens.device)
        while going:
            spare = self.left - texts.longest + min(len(texts.tokens[i]) for _, i in going)
            most = min(self.tokens.shape[1], MOST_READ // len(going), spare) - 1
            by_row = {k: texts.guess(i, most) for k, i in going}
            guesses = [by_row.get(k, ()) for k in range(len(self.tokens))]
            said = self(guesses)
            read += sum(1 + len(guesses[k]) for k, _ in going)
            for k, i in going:
                texts.write(i, said[k])
            going = [(k, i) for k, i in going if not texts.ended(i)]
        return read

    def __call__(self, guesses: Sequence[Sequence[int]]) -> list[list[int]]:
        """Reads the last token of every row and what may follow it, per row; gives what does follow: as much of that as
        greedy choice gives, and what it gives then, which the next call reads."""
        count = 1 + max(map(len, guesses))
        for k, guess in enumerate(guesses):
            self.tokens[k, 1 : 1 + len(guess)] = torch.tensor(guess, dtype=torch.long, device=self.tokens.device)
        if self.record and self.graph is None and self.steps >= PLAIN_STEPS:
            self._record()
        if self.graph is None:
            self._step(count)
        else:
            self.graph.replay()
        self.steps += 1
        said = self.said[:, :count].tolist()
        agreed = list(map(agreement, guesses, said))
        if any(agreed):
            self._agree(torch.tensor(agreed, device=self.tokens.device)[:, None])
        self.left -= 1 + max(agreed)
        return [row[: 1 + k] for row, k in zip(said, agreed, strict=True)]

    def _step(self, count: int = 1) -> None:
        """What is recorded: nothing in it waits for the GPU, and every result goes to where the last one was."""
        at = self.at[:count, None]
        self.hidden.logical_and_(self.places != at[0])
        behind = (self.places > at[0]) & (self.places <= at)  # guesses see those before them, (count, slots)
        hidden = self.hidden[:, None] & ~behind
        mask = torch.zeros(hidden.shape, dtype=self.dtype, device=hidden.device)
        result = self.model(
            input_ids=self.tokens[:, :count],
            attention_mask=mask.masked_fill(hidden, torch.finfo(self.dtype).min)[:, None],
            position_ids=self.positions + self.at[:count] - self.at[:1],
            past_key_values=self.cache,
            logits_to_keep=count,
            use_cache=True,
        )
        self.said[:, :count].copy_(result.logits[:, -count:].argmax(-1))
        self.tokens[:, :1].copy_(self.said[:, :1])
        self.positions.add_(1)
        self.at.add_(1)

    def _agree(self, agreed: torch.Tensor) -> None:
        """Goes on behind so many guesses of each row, (rows, 1): these stand in the slots from `at` on."""
        self.tokens[:, :1] = self.said.gather(1, agreed)
        self.positions += agreed
        self.hidden &= (self.places < self.at[0]) | (self.places >= self.at[0] + agreed)
        self.at += agreed.max()

    def _record(self) -> None:
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
            self.record, self.failed = False, True
            LOG.warning("a decoding step cannot be recorded as a CUDA graph, so that decoding is slow: %s", error)


@dataclass
class Decoders:
    """Where decoders come from. On a GPU they are kept, and used again while nothing about the model has changed."""

    kept: dict[tuple, Decoder] = field(default_factory=dict)
    can_record: bool = True
    device: str = "cuda"  # the type of those that record
    written: deque[tuple[int, ...]] = field(default_factory=lambda: deque(maxlen=LIKE))  # texts, the last one first
    said: dict[tuple[bool, str], tuple[int, ...]] = field(default_factory=dict)  # adapter and case -> the last answer

    def learn(self, texts: Texts) -> None:
        """Keeps texts that others may be like."""
        self.written.extendleft(one for one in dict.fromkeys(map(tuple, texts.tokens)) if one not in self.written)

    def take(self, model: torch.nn.Module, parts: Sequence[Part], texts: Texts, *, alone: bool) -> Decoder:
        """A decoder that goes on from passes. alone: the model is altered for these rows only."""
        if any(one.failed for one in self.kept.values()):
            self.can_record = False
            self.kept.clear()
        (past, _), going, wide = parts[0], [i for _, rows in parts for i in rows], texts.wide
        count, written = len(going), min(len(texts.tokens[i]) for i in going)
        room = max(one.real.shape[1] for one, _ in parts) + texts.longest - written
        slots = -(-(room + wide - 1) // LENGTHS) * LENGTHS
        if alone or not self.can_record or past.real.device.type != self.device:
            decoder = Decoder(model, past.cache, rows=count, slots=slots, wide=wide)
        else:
            count = 1 << (count - 1).bit_length()
            key = (count, slots, *state_of(model))
            if key not in self.kept:
                while len(self.kept) >= KEPT:
                    del self.kept[next(iter(self.kept))]
                self.kept[key] = Decoder(model, past.cache, rows=count, slots=slots, record=True)
            decoder = self.kept[key] = self.kept.pop(key)  # the last one used stands last
        decoder.load(parts, wrong=torch.tensor([[texts.wrong(i)] for i in going], device=past.real.device))
        return decoder


def state_of(model: torch.nn.Module) -> tuple:
    """What a recorded step depends on beside its inputs: where the weights lie, and which adapters are on."""
    adapters = tuple(
        (layer.disable_adapters, layer.merged, tuple(layer.active_adapters), tuple(layer.scaling.items()))
        for layer in model.modules()
        if isinstance(layer, LoraLayer)
    )
    weights = [*model.parameters(), *held_weights(model)]
    return id(model), model.training, adapters, tuple(weight.data_ptr() for weight in weights)
