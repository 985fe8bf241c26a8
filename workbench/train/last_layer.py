"""The last layer's work where the loss looks, and nowhere else.

What the last layer makes of a prompt token is read by nobody: no layer follows, and logits are computed at the answers
alone. Its keys and values are read, by the answers; the rest of it treats every token by itself, so it is done for the
answers and left at zero elsewhere. Loss and gradients stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

TOKEN_BY_TOKEN = ("self_attn.q_proj", "self_attn.o_proj", "mlp")  # as Llama, Qwen, Mistral and their kin call them


@contextmanager
def last_layer_at_answers(model: PreTrainedModel) -> Iterator[None]:
    """While the block runs, calls with `logits_to_keep` (positions, see `packing.pack`) skip what is read by nobody.

    Other calls, and models whose last layer has other parts, are as before.
    """
    asked = _Asked()
    with ExitStack() as hooks:
        hooks.callback(model.register_forward_pre_hook(asked.note, with_kwargs=True).remove)
        for part in _parts(model):
            hooks.callback(part.register_forward_pre_hook(asked.narrow).remove)
            hooks.callback(part.register_forward_hook(asked.widen).remove)
        yield


def _parts(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Those of the last layer; none where one is missing, or is more than a plain projection or gated MLP."""
    layers = getattr(model.get_decoder(), "layers", None)
    if not layers:
        return []
    try:
        parts = [layers[-1].get_submodule(name) for name in TOKEN_BY_TOKEN]
    except AttributeError:
        return []
    return parts if hasattr(parts[-1], "down_proj") else []


class _Asked:
    """What the running call asks for. kept: positions, (kept,) int64, or None; tokens: how many there are in all."""

    kept: torch.Tensor | None = None
    tokens = 0

    def note(self, _model: torch.nn.Module, _args: tuple, given: dict[str, Any]) -> None:
        kept = given.get("logits_to_keep")
        self.kept = kept if isinstance(kept, torch.Tensor) else None

    def narrow(self, _part: torch.nn.Module, args: tuple) -> tuple | None:
        """(1, tokens, width) -> (1, kept, width)."""
        if self.kept is None:
            return None
        self.tokens = args[0].shape[1]
        return (args[0].index_select(1, self.kept), *args[1:])

    def widen(self, _part: torch.nn.Module, _args: tuple, found: torch.Tensor) -> torch.Tensor | None:
        """(1, kept, width) -> (1, tokens, width), zero where nothing was asked."""
        if self.kept is None:
            return None
        return found.new_zeros(1, self.tokens, found.shape[-1]).index_copy(1, self.kept, found)
