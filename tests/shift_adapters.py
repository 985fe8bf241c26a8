"""Adapter folders as PEFT saves them, with random factors of any shape."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

Shapes = dict[str, tuple[int, int, int]]  # module -> (out, in, rank)


def save_adapter(
    folder: Path, shapes: Shapes, *, seed: int = 0, extra: dict[str, torch.Tensor] | None = None, **config: Any
) -> dict[str, torch.Tensor]:
    """Writes config and weights and returns the tensors by name. config overlays r 4, alpha 8."""
    torch.manual_seed(seed)
    tensors = {}
    for module, (out, into, rank) in shapes.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(rank, into)
        tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(out, rank)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**tensors, **(extra or {})}, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return tensors


def one_module(layer: int = 0, projection: str = "q_proj") -> str:
    """The usual name of an attention projection."""
    return f"model.layers.{layer}.self_attn.{projection}"


def dense(tensors: dict[str, torch.Tensor], module: str, scaling: float) -> np.ndarray:
    a, b = (tensors[f"base_model.model.{module}.lora_{x}.weight"].double().numpy() for x in "AB")
    return scaling * b @ a


def conv_model() -> GPT2LMHeadModel:
    """A tiny model that keeps its weights turned, (in, out)."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50, n_positions=16)).eval()
