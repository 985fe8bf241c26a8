"""Weights in 4 bits, and as passes use them where the memory allows it: dequantised, and with an adapter's update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import psutil
import torch
from torch import nn
from torch.nn import functional
from transformers import BitsAndBytesConfig, PreTrainedModel

from workbench.models.lora import Linear4bit, LoraLayer, PeftModel, dequantize_4bit

ALONE_UP_TO = 20_000_000  # parameters: a thread by itself runs such a model on a CPU faster than several together
HELD_UP_TO = 0.25  # of the free memory: the rest is for passes, their keys and values, and a training's gradients
TURNED_FROM = 100_000  # numbers of a matrix; on a CPU few tokens times more are faster if columns lie together


def quantisation() -> BitsAndBytesConfig:
    """NF4 with double quantisation (Dettmers et al. 2023, QLoRA); computes in bf16 on a GPU, in fp32 on a CPU.

    Examples:
        >>> quantisation().bnb_4bit_quant_type
        'nf4'
    """
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
    )


def keep_gradients(model: PreTrainedModel) -> None:
    """Stops 4-bit layers on a CPU from repacking their weights for inference.

    A repacked layer (AVX512-BF16, eval mode, input without gradient) passes no gradient from then on and computes other
    numbers than it did in training.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def hold_dequantised(model: PreTrainedModel | PeftModel, dtype: torch.dtype | None = None) -> None:
    """Keeps the weights of 4-bit layers beside the 4 bits in the dtype that they compute in, if all of them together
    take `HELD_UP_TO` of the free memory at most: dequantising them costs much of every pass.

    On a CPU the numbers, gradients included, are the same to the last bit: there bitsandbytes, too, dequantises and
    then multiplies. On a GPU it may multiply in another order. dtype: another one for the factors of these products,
    whose sums, and all else, stay in the model's.
    """
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    size = sum(
        module.weight.quant_state.shape.numel() * (dtype or _compute_dtype(module)).itemsize for module in layers
    )
    if size <= HELD_UP_TO * free_memory(model.device):
        for module in layers:
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state)
            weight = _laid(weight.to(dtype or _compute_dtype(module)))
            module.forward = partial(_linear, weight=weight, bias=module.bias)


def products(model: torch.nn.Module) -> torch.dtype:
    """The dtype of the factors in the products with weights that are held, else the model's."""
    held = held_weights(model)
    return held[0].dtype if held else next(model.parameters()).dtype


def held_weights(model: torch.nn.Module) -> list[torch.Tensor]:
    """What `hold_dequantised` keeps."""
    held = (vars(module).get("forward") for module in model.modules())
    return [one.keywords["weight"] for one in held if isinstance(one, partial) and one.func is _linear]


def let_go(model: torch.nn.Module) -> None:
    """Undoes `hold_dequantised`: 4-bit layers as they were loaded."""
    for module in model.modules():
        if isinstance(module, Linear4bit):
            vars(module).pop("forward", None)


class Merged:
    """The forward of a LoRA layer as one product with W0 + s B A, which is kept, and made anew where a factor changed.

    The layer's own forward is taken where one product is not what is asked for: the adapter is off or not plain, the
    factors learn, or something listens to them, as doses do, or to the base layer, as shifts do. A change through a
    factor's `.data` is not seen.
    """

    def __init__(self, layer: LoraLayer):
        self.layer, self.apart = layer, layer.forward
        self.state: tuple[Any, ...] = ()
        self.factors: tuple[torch.Tensor, ...] = ()
        self.weight: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor, *given: Any, **how: Any) -> torch.Tensor:
        """As the layer's own, up to rounding."""
        name = self._one_adapter()
        if name is None or given or how or x.dtype != self.layer.lora_A[name].weight.dtype:
            return self.apart(x, *given, **how)
        factors = self.layer.lora_A[name].weight, self.layer.lora_B[name].weight
        state = self.layer.scaling[name], *((one.data_ptr(), one._version) for one in factors)
        # the factors themselves are kept: another that comes in the place of one may have its address
        if state != self.state or any(a is not b for a, b in zip(factors, self.factors, strict=True)):
            update = self.layer.scaling[name] * (factors[1] @ factors[0]).detach()
            self.state, self.factors = state, factors
            held = _held(self.layer.base_layer)
            assert held is not None  # `hold_merged` takes no others
            self.weight = _laid((held + update).to(held.dtype))
        return _linear(x, weight=self.weight, bias=self.layer.base_layer.bias)

    def _one_adapter(self) -> str | None:
        layer = self.layer
        active = [name for name in layer.active_adapters if name in layer.lora_A]
        if layer.disable_adapters or layer.merged or layer.training or len(active) != 1 or layer.lora_variant:
            return None
        pair = layer.lora_A[active[0]], layer.lora_B[active[0]]
        learns = any(one.weight.requires_grad or one.bias is not None for one in pair)
        listened = any(one._forward_hooks for one in (*pair, layer.base_layer))
        return None if learns or listened else active[0]


def hold_merged(model: PeftModel) -> None:
    """Lets LoRA layers whose base weights are there in full compute one product in the place of three, if the sums of
    weights and updates take `HELD_UP_TO` of the free memory at most; they are made at the first pass."""
    found = [(one, _held(one.base_layer)) for one in model.modules() if isinstance(one, LoraLayer)]
    layers = {one: weight.nbytes for one, weight in found if weight is not None}
    if sum(layers.values()) <= HELD_UP_TO * free_memory(model.device):
        for layer in layers:
            layer.forward = Merged(layer)


def suit_factors(model: PeftModel) -> None:
    """An adapter that learns no more as passes are fast with it: on a GPU its weights have the model's dtype, in which
    a training multiplies them too; beside a large model on a CPU its update is added to weights that are held.

    PEFT holds them in 32 bits: every layer's input would be turned into 32 bits, and its update back.

    Examples:
        >>> from workbench.models import add_adapter, load
        >>> lm = load("reader", names={"command:star": "star"})
        >>> tuned = add_adapter(lm, rank=2, alpha=2, modules=("q_proj",), dropout=0.0, seed=0)
        >>> suit_factors(tuned.model)
        >>> {one.dtype for name, one in tuned.model.named_parameters() if "lora_" in name}
        {torch.float32}
    """
    if model.device.type != "cpu":
        for name, one in model.named_parameters():
            if "lora_" in name:
                one.data = one.data.to(model.dtype)
    elif model.num_parameters() > ALONE_UP_TO:
        hold_merged(model)


def _held(base: nn.Module) -> torch.Tensor | None:
    """A linear layer's weight in full; None where it is not at hand."""
    forward = vars(base).get("forward")
    if isinstance(forward, partial) and forward.func is _linear:
        return forward.keywords["weight"]
    return base.weight if type(base) is nn.Linear else None


def _laid(weight: torch.Tensor) -> torch.Tensor:
    """The same matrix as it lies best, see `TURNED_FROM`."""
    turned = weight.device.type == "cpu" and weight.numel() >= TURNED_FROM
    return weight.t().contiguous().t() if turned else weight


@contextlib.contextmanager
def as_loaded(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Runs its block without the weights that are held; afterwards they are held again, if there is room then."""
    held = [weight.dtype for weight in held_weights(model)]
    let_go(model)
    try:
        yield
    finally:
        if held:
            torch.cuda.empty_cache()  # else what the block no longer needs would count as taken
            hold_dequantised(model, held[0])


def _compute_dtype(module: Linear4bit) -> torch.dtype:
    return module.compute_dtype or module.weight.quant_state.dtype


def _linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x W' + b in the dtype of the weight, as a 4-bit layer computes it."""
    bias = None if bias is None else bias.to(weight.dtype)
    taken = x.to(weight.dtype)
    if weight.dtype != x.dtype and x.device.type == "cpu" and x.numel() == x.shape[-1]:
        two = taken.expand(*x.shape[:-2], 2, -1)  # a vector in bfloat16 takes longer than two rows of it
        return functional.linear(two, weight, bias)[..., :1, :].to(x.dtype)
    return functional.linear(taken, weight, bias).to(x.dtype)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU, or in the machine."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
