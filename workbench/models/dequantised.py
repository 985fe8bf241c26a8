"""4-bit weights that are kept dequantised beside their 4 bits, where the memory allows it: a pass then costs less."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import psutil
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from workbench.models.lora import Linear4bit, PeftModel, dequantize_4bit

HELD_UP_TO = 0.25  # of the free memory: the rest is for passes, their keys and values, and a training's gradients


def hold_dequantised(model: PreTrainedModel | PeftModel) -> None:
    """Keeps the weights of 4-bit layers beside the 4 bits in the dtype that they compute in, if all of them together
    take `HELD_UP_TO` of the free memory at most: dequantising them costs much of every pass.

    On a CPU the numbers, gradients included, are the same to the last bit: there bitsandbytes, too, dequantises and
    then multiplies. On a GPU it may multiply in another order.
    """
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    size = sum(module.weight.quant_state.shape.numel() * _compute_dtype(module).itemsize for module in layers)
    if size <= HELD_UP_TO * free_memory(model.device):
        for module in layers:
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state).to(_compute_dtype(module))
            module.forward = partial(_linear, weight=weight, bias=module.bias)


def held_weights(model: torch.nn.Module) -> list[torch.Tensor]:
    """What `hold_dequantised` keeps."""
    held = (vars(module).get("forward") for module in model.modules())
    return [one.keywords["weight"] for one in held if isinstance(one, partial) and one.func is _linear]


def let_go(model: torch.nn.Module) -> None:
    """Undoes `hold_dequantised`: 4-bit layers as they were loaded."""
    for module in model.modules():
        if isinstance(module, Linear4bit):
            vars(module).pop("forward", None)


@contextlib.contextmanager
def as_loaded(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Runs its block without the weights that are held; afterwards they are held again, if there is room then."""
    held = bool(held_weights(model))
    let_go(model)
    try:
        yield
    finally:
        if held:
            torch.cuda.empty_cache()  # else what the block no longer needs would count as taken
            hold_dequantised(model)


def _compute_dtype(module: Linear4bit) -> torch.dtype:
    return module.compute_dtype or module.weight.quant_state.dtype


def _linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x W' + b in the dtype of the weight, as a 4-bit layer computes it."""
    bias = None if bias is None else bias.to(weight.dtype)
    return functional.linear(x.to(weight.dtype), weight, bias).to(x.dtype)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU, or in the machine."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
