"""Passes that go on when the memory runs out: the batch is halved, and what failed is asked again.

Prompts that are longer than a model reads are refused before any work.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from types import TracebackType
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


class Attempt:
    """One pass: `with attempt as rows: ...`. When the memory runs out in the block, the block is left in silence."""

    def __init__(self, rows: list[int], lengths: Sequence[int]):
        self.rows, self.tokens, self.failed = rows, len(rows) * max(lengths[i] for i in rows), False

    def __enter__(self) -> list[int]:
        return self.rows

    def __exit__(self, _kind: type | None, error: BaseException | None, _trace: TracebackType | None) -> bool:
        if not is_out_of_memory(error):
            return False
        if len(self.rows) == 1:
            raise MemoryShort(
                f"a single prompt of {self.tokens:,} tokens does not fit into the memory; take a smaller model, show "
                "fewer facts, or ask for shorter answers"
            ) from error
        self.failed = True
        return True


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


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that the memory of the GPU, or of the machine, ran out."""
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and ON_A_CPU in str(error))


def fitting(engine: Any, lengths: Sequence[int]) -> Iterator[Attempt]:
    """The batches of rows of `lengths` (tokens) for an `Engine`, one after the other; each is to be entered once.

    After one that did not fit, `engine.batch_tokens` is half as much as it took, for good, and what is left is planned
    anew. A block must change nothing before its pass has succeeded.
    """
    left = [list(rows) for rows in engine.batches(lengths)]
    while left:
        attempt = Attempt(left[0], lengths)
        yield attempt
        if not attempt.failed:
            left.pop(0)
            continue
        engine.forget()
        release()
        before, engine.batch_tokens = engine.batch_tokens, max(1, min(engine.batch_tokens, attempt.tokens) // 2)
        LOG.warning(
            "the memory ran out in a pass of %d rows, %s tokens: passes hold %s tokens at most from here on, not %s",
            *(len(attempt.rows), f"{attempt.tokens:,}", f"{engine.batch_tokens:,}", f"{before:,}"),
        )
        rows = [i for batch in left for i in batch]
        left = [[rows[k] for k in batch] for batch in engine.batches([lengths[i] for i in rows])]
