"""How much text a model can read, and a refusal of what is longer, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ContextError(ValueError):
    """A prompt with its answer is longer than the model's context; says both numbers and what to do."""


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
