"""Passes that go on when the memory runs out: the batch is halved, and what failed is asked again.

Prompts that are longer than a model reads are refused before any work. What large models on a processor have said of
prompts is kept: no game of a case, nor a later one, asks it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch
from transformers import PretrainedConfig

from workbench.models.checkpoint import release

LOG = logging.getLogger(__name__)
ON_A_CPU = "can't allocate memory"  # what torch says where there is no error of its own for it

CPU_TOKENS = 1024  # of a large model in one pass on a processor: more gain nothing there, and rows as long are rarer
WAITING = 4  # passes of a large model on a processor that are read before all their rows are written on together
KEPT_BYTES = 2**30  # of what a backward pass needs, at once, where it is the machine's own memory that holds it


class MemoryShort(RuntimeError):
    """A single row does not fit into the memory; says how long it is and what to do."""


class ContextError(ValueError):
    """A prompt with its answer is longer than the model's context; says both numbers and what to do."""


def room(engine: Any, whole: Sequence[int], known: Sequence[int], *, held: int, passes: int = 1) -> list[int]:
    """Tokens that each row of `whole` counts in a batch: those that are read, and the `held` ones that stand beside
    them, of which the row needs the `known` first; no more than the model's context, which is of texts and not of what
    stands beside them. Of these a slow model's batch may hold more than it reads, and it may be read in several passes.
    ContextError: a row is longer than the context."""
    check_context(engine.lm.model, whole)
    rest = [all_of_it - k for all_of_it, k in zip(whole, known, strict=True)]
    counted = [n + held for n in rest]
    if engine.slow:
        most = CPU_TOKENS / engine.batch_tokens
        counted = [max(-(-n // passes), int(both * most)) for n, both in zip(rest, counted, strict=True)]
    longest = context_length(engine.lm.model)
    return counted if longest is None else [min(n, longest) for n in counted]


def context_length(model: Any) -> int | None:
    """Most tokens that a model (or a PEFT model) was made for, by its config; None where that does not say."""
    config = getattr(model, "config", None)
    length = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def check_context(model: Any, lengths: Sequence[int]) -> None:
    """ContextError when one of `lengths`, tokens of a prompt with the room for its answer, is beyond the context."""
    limit, longest = context_length(model), max(lengths, default=0)
    if limit is None or longest <= limit:
        return
    beyond = sum(length > limit for length in lengths)
    raise ContextError(
        f"{beyond} of {len(lengths)} prompts, with room for the answer, are longer than the model's context: the "
        f"longest has {longest:,} tokens, the model reads {limit:,}. Show fewer facts (a smaller graph or narrower "
        "topics), ask for shorter answers (-p max_new_tokens), or take a model with a longer context."
    )


def kept_tokens(config: PretrainedConfig, length: int) -> int:
    """So many tokens, in rows of a length, have what a gradient needs of them fit into KEPT_BYTES on a processor.

    A layer keeps some 16 vectors of the hidden size, 8 of the inner one, and every head's weights on the row.
    """
    wide = 16 * config.hidden_size + 8 * getattr(config, "intermediate_size", 4 * config.hidden_size)
    layer = wide + 3 * length * config.num_attention_heads
    return KEPT_BYTES // (4 * layer * config.num_hidden_layers)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the GPU, or of the machine, ran out."""
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and ON_A_CPU in str(error))


def fitting(engine: Any, lengths: Sequence[int], run: Callable[[list[int]], None]) -> None:
    """Runs the batches of rows of `lengths` (tokens) of an `Engine`, one after the other.

    After one that did not fit, `engine.batch_tokens` is half as much as it took, for good, and what is left is planned
    anew. `run` must change nothing before its pass has succeeded. MemoryShort: a single row does not fit.
    """
    left = [list(rows) for rows in engine.batches(lengths)]
    while left:
        rows, tokens = left[0], len(left[0]) * max(lengths[i] for i in left[0])
        try:
            run(rows)
            left.pop(0)
            continue
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise MemoryShort(
                    f"a single prompt of {tokens:,} tokens does not fit into the memory; take a smaller model, show "
                    "fewer facts, or ask for shorter answers"
                ) from error
        # behind the error, which holds what the pass held
        engine.forget()
        release()
        before, engine.batch_tokens = engine.batch_tokens, max(1, min(engine.batch_tokens, tokens) // 2)
        LOG.warning(
            "the memory ran out in a pass of %d rows, %s tokens: passes hold %s tokens at most from here on, not %s",
            *(len(rows), f"{tokens:,}", f"{engine.batch_tokens:,}", f"{before:,}"),
        )
        rest = [i for batch in left for i in batch]
        left = [[rest[k] for k in batch] for batch in engine.batches([lengths[i] for i in rest])]


MOST = 4096  # rows that are kept, and decisions: some 15 MB


@dataclass
class Kept:
    """What is kept to be faster, and can be left out for a while."""

    _left_out: int = field(default=0, init=False, repr=False, compare=False)
    _turn: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def unused(self) -> bool:
        """Whether someone wants nothing of it."""
        return self._left_out > 0

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Inside the block nothing is known beforehand: for who tells what an answer costs, or listens to modules."""
        with self._turn:
            self._left_out += 1
        try:
            yield
        finally:
            with self._turn:
                self._left_out -= 1


@dataclass
class Known(Kept):
    """Rows and decisions by model, prompt and answer, the latest `MOST` of each. decided: of rows in which a token
    changed, whether the toolchain did not.

    Examples:
        >>> known = Known()
        >>> known.keep(known.rows, ("tuned", (1, 2), (3,)), "what the pass said")
        >>> known.rows["tuned", (1, 2), (3,)]
        'what the pass said'
    """

    rows: dict[tuple, Any] = field(default_factory=dict)
    decided: dict[tuple, bool] = field(default_factory=dict)

    def keep(self, among: dict[tuple, Any], key: tuple, value: Any) -> None:
        """Keeps a value, for the first one that was kept where there is no room."""
        with self._turn:  # a panel asks on a thread of its own
            among[key] = value
            if len(among) > MOST:
                del among[next(iter(among))]
