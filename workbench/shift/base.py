"""The weights that an adapter was put on, one module at a time: from a loaded model, dequantised, or from its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench import models
from workbench.models import LanguageModel
from workbench.models.adapter_folder import AdapterError, AdapterFolder, Factors
from workbench.models.checkpoint import ModelError, headers
from workbench.models.lora import BaseTunerLayer, dequantize_4bit, dequantize_module_weight, quantize_4bit

Weights: TypeAlias = Callable[[str], np.ndarray]
"""module -> W0 (out, in), float64."""
Base: TypeAlias = LanguageModel | nn.Module | str | os.PathLike[str] | Weights

DTYPES = {"F64", "F32", "F16", "BF16"}


def base_weights(base: Base, *, transposed: bool = False, four_bit: bool = False) -> Weights:
    """How to get the base weight of a module by its dotted name, (out, in) float64, without its adapter.

    base: a model, loaded (4- and 8-bit weights are dequantised); or `reader`, or a folder with safetensors, of which
    one tensor at a time is read. For a folder: transposed, whether its weights lie as (in, out)
    (`AdapterFolder.transposed`); four_bit, whether each is rounded to NF4 and back, as a 4-bit training did.

    Raises:
        ModelError: here for a folder without weights; on call for a module that is not there or is not a matrix.
    """
    if isinstance(base, LanguageModel):
        base = base.model
    if isinstance(base, nn.Module):
        loaded = models.base_of(base)
        return lambda module: _of_model(loaded, module)
    if callable(base):
        return base
    folder = Path(models.place(os.fspath(base)))
    files = {key.removesuffix(".weight"): path for key, (path, _) in headers(folder).items() if key.endswith(".weight")}
    return lambda module: _of_folder(folder, files, module, transposed=transposed, four_bit=four_bit)


def matching_weights(adapter: AdapterFolder, base: Base) -> Callable[[Factors], np.ndarray]:
    """The base weight of a module by its factors. AdapterError on call: the shapes do not belong together."""
    weights = base_weights(base, transposed=adapter.transposed)

    def weight(factors: Factors) -> np.ndarray:
        found, wanted = weights(factors.module), (factors.B.shape[0], factors.A.shape[1])
        if found.shape != wanted:
            raise AdapterError(
                f"{adapter.folder}: the change of {factors.module} is {wanted[0]} x {wanted[1]}, the base weight "
                f"{' x '.join(map(str, found.shape))}; give the base model that the adapter was trained on"
            )
        return found

    return weight


def _of_model(model: nn.Module, name: str) -> np.ndarray:
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise ModelError(f"the model has no module {name}; give the base that the adapter was trained on") from None
    if isinstance(module, BaseTunerLayer):
        if module.merged_adapters:
            raise ModelError(f"an adapter is merged into {name}, so its base weight is gone; unmerge it first")
        module = module.get_base_layer()
    if not isinstance(getattr(module, "weight", None), torch.Tensor):
        raise ModelError(f"{name} is a {type(module).__name__} and has no weight")
    weight = dequantize_module_weight(module).detach()
    return _matrix(weight.T if isinstance(module, Conv1D) else weight, name)


def _matrix(weight: torch.Tensor, name: str) -> np.ndarray:
    if weight.ndim != 2:
        raise ModelError(f"the weight of {name} has the shape {tuple(weight.shape)}; only matrices are compared")
    return weight.to("cpu", torch.float64).numpy()


def _of_folder(folder: Path, files: dict[str, Path], name: str, *, transposed: bool, four_bit: bool) -> np.ndarray:
    # some checkpoints leave out the first part of a name (`h.0.attn` for `transformer.h.0.attn`)
    found = [key for key in files if key == name] or [key for key in files if name.endswith(f".{key}")]
    if len(found) != 1:
        raise ModelError(f"{folder} holds no weight of {name}; give the base that the adapter was trained on")
    path = files[found[0]]
    try:
        with safe_open(path, framework="pt") as weights:
            kind = weights.get_slice(f"{found[0]}.weight").get_dtype()
            if kind not in DTYPES:
                raise ModelError(f"{path}: {name} is packed ({kind}); give the loaded model, which is dequantised")
            weight = weights.get_tensor(f"{found[0]}.weight")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors: {models.first_line(error)}") from error
    matrix = _matrix(rounded_to_nf4(weight) if four_bit else weight, name)
    return matrix.T if transposed else matrix


def rounded_to_nf4(weight: torch.Tensor) -> torch.Tensor:
    """A weight after 4-bit quantisation and back, with the settings of `models.quantisation`."""
    settings = models.quantisation()
    packed, state = quantize_4bit(
        weight, quant_type=settings.bnb_4bit_quant_type, compress_statistics=settings.bnb_4bit_use_double_quant
    )
    return dequantize_4bit(packed, state)
