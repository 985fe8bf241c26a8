"""Training rows without padding: the cases of a batch stand one after another in a single row.

Attention stays within each case (block-diagonal and causal), positions start anew at each, and logits are computed only
where the loss looks, at the answers. So nothing leaks from one case to the next, the loss is that of the padded batch,
and no work goes into padding or into the vocabulary at prompt tokens. Krell et al. 2021, arXiv:2107.02027.

What the last layer makes of a prompt token is read by nobody: no layer follows. Its keys and values are read, by the
answers; the rest of it treats every token by itself, so it is done for the answers and left at zero elsewhere. Loss and
gradients stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from workbench.models import LanguageModel, base_of

TOKEN_BY_TOKEN = ("self_attn.q_proj", "self_attn.o_proj", "mlp")  # as Llama, Qwen, Mistral and their kin call them


@contextmanager
def last_layer_at_answers(model: PreTrainedModel) -> Iterator[None]:
    """While the block runs, calls with `logits_to_keep` (positions, see `packing.pack`) skip what is read by nobody.

    Other calls, and models whose last layer has other parts, are as before.
    """
    asked = _Asked()
    with ExitStack() as hooks:
        hooks.enter_context(model.register_forward_pre_hook(asked.note, with_kwargs=True))
        for part in _parts(model):
            hooks.enter_context(part.register_forward_pre_hook(asked.narrow))
            hooks.enter_context(part.register_forward_hook(asked.widen))
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


NAME = "workbench_packed"
IGNORED = -100  # label that the loss skips


def pack(rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
    """One row (1, tokens) of all of `rows`, without padding, as the models of transformers take it.

    Of every row, input_ids and labels in step, -100 where the loss does not look. `logits_to_keep` are the positions
    whose next token has a label, `labels` and `shift_labels` (1, kept) those labels; `cu_seq_lens_q` and `_k` are where
    rows begin and end, int32.
    """
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    ids = torch.tensor([token for row in rows for token in row["input_ids"]])[None]
    following = torch.tensor([label for row in rows for label in (*row["labels"][1:], IGNORED)])
    ends = functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
    kept = (following != IGNORED).nonzero()[:, 0]
    labels = following[kept][None]
    return {
        "input_ids": ids,
        "position_ids": torch.cat([torch.arange(int(n)) for n in lengths])[None],
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": int(lengths.max()),
        "max_length_k": int(lengths.max()),
        "logits_to_keep": kept,
        "labels": labels,
        "shift_labels": labels,
    }


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_more: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each packed case: query (1, heads, tokens, d) -> (1, tokens, heads, d).

    Cases are set side by side, padded on the right, where nothing looks, and back: the work is that of the longest case
    in each row, not of all tokens squared.
    """
    starts, lengths = cu_seq_lens_q[:-1].long(), cu_seq_lens_q.diff().long()
    step = torch.arange(max_length_q, device=query.device)
    real = step < lengths[:, None]  # (cases, longest)
    source = torch.where(real, starts[:, None] + step, 0)
    q, k, v = (x[0][:, source].transpose(0, 1) for x in (query, key, value))  # each (cases, heads, longest, d)
    grouped = q.shape[1] != k.shape[1]
    out = functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=scaling, dropout_p=dropout, enable_gqa=grouped
    )
    return out.transpose(1, 2)[real][None], None


AttentionInterface.register(NAME, attend)


@contextmanager
def packed_attention(lm: LanguageModel) -> Iterator[None]:
    """The model takes packed rows while its block runs. ValueError: see `check_packs`."""
    check_packs(lm)
    model = base_of(lm.model)
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        with last_layer_at_answers(model):
            yield
    finally:
        model.set_attn_implementation(before)


def check_packs(lm: LanguageModel) -> None:
    """ValueError: the model's attention is not plain causal attention, and packing would change what it computes."""
    model = base_of(lm.model)
    config = model.config
    special = [name for name in ("attn_logit_softcapping", "attention_chunk_size") if getattr(config, name, None)]
    window = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    kinds = set(getattr(config, "layer_types", None) or []) - {"full_attention"}
    if special or window or kinds or not getattr(model, "_supports_attention_backend", False):
        raise ValueError(
            f"model {lm.name!r} has attention of its own ({config.model_type}); rows can be packed for plain causal "
            "attention only, so train it with packed=False"
        )
