"""A LoRA adapter as it lies on disk: the two factors of every module and the scaling, read one module at a time.

Only plain LoRA is read, W = W0 + s B A. Whatever else an adapter can hold (DoRA, trained biases, starts that rewrite
W0, ...) would make `s B A` a wrong account of the change, so it is refused.
"""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from safetensors import SafetensorError, safe_open

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
DTYPES = {"F64", "F32", "F16", "BF16"}
LARGEST = 1e100  # of a value in a factor: beyond, products of the two overflow
TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])\.weight")

READ = {"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights"}
SILENT = set(
    "auto_mapping base_model_name_or_path corda_config ensure_weight_tying eva_config exclude_modules fan_in_fan_out "
    "inference_mode layers_pattern layers_to_transform loftq_config lora_dropout lora_ga_config megatron_core "
    "peft_version qalora_group_size revision runtime_config target_modules task_type".split()
)
"""Settings that leave the change at s B A, whatever they are; any other one must be off, or PEFT's default."""

PLAIN_STARTS = ("gaussian", "eva", "orthogonal")  # names of starts that leave W0 as it was


FOREIGN = {
    "lora_embedding_": "; it changes an embedding table, which looks rows up and multiplies nothing",
    "lora_magnitude_vector": "; it belongs to DoRA, which also rescales the columns of W0",
    ".modules_to_save.": "; it replaces a layer of the base (modules_to_save)",
    ".lora_B.bias": "; it changes a bias of the base",
}
"""Part of a tensor's name -> what such a tensor is."""


class AdapterError(ValueError):
    """An adapter that cannot be read as s B A: names the file, the rule and what was found."""


@dataclass(frozen=True)
class Factors:
    """The change of one module's weights, s B A, as its factors.

    module: dotted name in the base model. layer: the first whole number in that name, -1 without one. A: (rank, in)
    and B: (out, rank), float64. scaling: s.
    """

    module: str
    layer: int
    projection: str
    rank: int
    scaling: float
    A: np.ndarray = field(repr=False)
    B: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Adapter:
    """A PEFT LoRA folder: config and shapes are read when it is opened, values of a module when it is asked for.

    scalings: module -> (rank, s), by layer and projection. transposed: whether the base keeps its weights as (in, out),
    as the Conv1D layers of GPT-2 do (`fan_in_fan_out`); the factors are the same either way.
    """

    folder: Path
    scalings: Mapping[str, tuple[int, float]] = field(repr=False)
    transposed: bool = False

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Adapter:
        """Raises AdapterError: a file is missing or broken, or the adapter is something other than plain LoRA."""
        place = Path(folder)
        config = read_config(place)
        shapes = _shapes(place / WEIGHTS)
        order = sorted(shapes, key=lambda module: (layer_of(module), module.rpartition(".")[2], module))
        scalings = {module: _scaling(config, module, place / CONFIG) for module in order}
        for module, pair in shapes.items():
            _check_pair(place / WEIGHTS, module, pair, scalings[module][0])
        return cls(place, scalings, bool(config.get("fan_in_fan_out")))

    def read(self, module: str) -> Factors:
        """The factors of one module. KeyError: the adapter has none on it. AdapterError: values that are not finite."""
        rank, scaling = self.scalings[module]
        path, name = self.folder / WEIGHTS, f"base_model.model.{module}.lora_"
        with _opened(path) as weights:
            a, b = (weights.get_tensor(f"{name}{factor}.weight").to(torch.float64).numpy() for factor in "AB")
        for factor in (a, b):
            if not np.isfinite(factor).all():
                raise AdapterError(f"{path}: {module} holds values that are not finite; the training diverged")
            if np.abs(factor).max() > LARGEST:
                raise AdapterError(f"{path}: {module} holds values beyond {LARGEST:g}; the training diverged")
        return Factors(module, layer_of(module), module.rpartition(".")[2], rank, scaling, a, b)

    def __iter__(self) -> Iterator[Factors]:
        return (self.read(module) for module in self.scalings)


def read_factors(folder: str | os.PathLike[str]) -> Iterator[Factors]:
    """The factors of every module of a PEFT adapter folder, by layer and projection.

    Config and tensor shapes are checked at once; the values are read as the iterator gets to them, one module in
    memory at a time. Raises AdapterError as `Adapter.open` does.
    """
    return iter(Adapter.open(folder))


def read_config(folder: Path) -> dict[str, Any]:
    """`adapter_config.json`, once it is known to describe plain LoRA.

    Raises:
        AdapterError: it is missing, no JSON object, or holds a setting under which the change is not s B A.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(f"{path} does not exist; give the folder that PEFT saved the adapter in") from None
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{path} must hold a JSON object, not a {type(config).__name__}")
    for name, wrong in _refusals(config):
        raise AdapterError(
            f"{path}: {name} is {reprlib.repr(config.get(name))}; {wrong}. Only plain LoRA, W0 + s B A, is understood"
        )
    return config


def _refusals(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings under which the change is not s B A, each with the reason."""
    if config.get("peft_type") != "LORA":
        yield "peft_type", "it must be LORA"
    if config.get("use_dora"):
        yield "use_dora", "DoRA also rescales the columns of W0"
    if config.get("bias", "none") != "none":
        yield "bias", "the biases of the base were trained too"
    start = config.get("init_lora_weights", True)
    if not isinstance(start, bool) and str(start).lower() not in PLAIN_STARTS:
        yield "init_lora_weights", "this start rewrites W0; let PEFT convert the adapter to plain LoRA when saving it"
    usual = LoraConfig().to_dict()
    for name, value in config.items():
        if name not in READ | SILENT and value not in (None, False, [], {}, "", usual.get(name)):
            yield name, "what it does to the weights is not known here"


def layer_of(module: str) -> int:
    """The first whole number among the parts of a dotted name; -1 without one."""
    return next((int(part) for part in module.split(".") if part.isdecimal()), -1)


def _shapes(path: Path) -> dict[str, dict[str, tuple[int, ...]]]:
    """module -> factor ("A", "B") -> shape, from the file's header alone."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    with _opened(path) as weights:
        for name in weights.keys():  # noqa: SIM118 - this object is no mapping
            found, tensor = TENSOR.fullmatch(name), weights.get_slice(name)
            if not found:
                why = next((why for part, why in FOREIGN.items() if part in name), "")
                raise AdapterError(
                    f"{path}: tensor {name!r} is no factor of a linear layer (lora_A.weight, lora_B.weight){why}"
                )
            if tensor.get_dtype() not in DTYPES:
                raise AdapterError(
                    f"{path}: tensor {name!r} is of the type {tensor.get_dtype()}, not one of "
                    f"{', '.join(sorted(DTYPES))}; save the adapter in one of these"
                )
            shapes.setdefault(found["module"], {})[found["factor"]] = tuple(tensor.get_shape())
    if not shapes:
        raise AdapterError(f"{path} holds no tensors, so there is no adapter in it")
    return shapes


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise AdapterError(f"{path} does not exist; {_instead(path)}") from None
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} cannot be read as safetensors: {error}") from error


def _instead(path: Path) -> str:
    """What a folder without the weights file may hold instead, and what to do."""
    if path.with_suffix(".bin").exists():
        return (
            f"{path.with_suffix('.bin').name} is a pickle, which can run code when it is read and is never opened "
            "here; load the adapter where you trust it and save it again with PEFT, which writes safetensors"
        )
    if any(path.parent.glob(f"{path.stem}*-of-*{path.suffix}")) or path.with_name(f"{path.name}.index.json").exists():
        return "the weights lie in several files; save the adapter again as one file (max_shard_size)"
    return "the weights must be saved as safetensors"


def _scaling(config: Mapping[str, Any], module: str, path: Path) -> tuple[int, float]:
    """(rank, s) of a module: alpha / rank, or alpha / sqrt(rank) under rsLoRA (Kalajdzievski 2023)."""
    rank = _setting(config, "r", "rank_pattern", module)
    alpha = _setting(config, "lora_alpha", "alpha_pattern", module)
    if type(rank) is not int or rank < 1:
        raise AdapterError(f"{path}: the rank of {module} must be a whole number of 1 or more, not {rank!r}")
    if type(alpha) not in (int, float) or not math.isfinite(alpha):
        raise AdapterError(f"{path}: lora_alpha of {module} must be a finite number, not {alpha!r}")
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _setting(config: Mapping[str, Any], name: str, pattern_name: str, module: str) -> Any:
    """A setting, or what the first pattern that matches the end of the module's name says instead."""
    for pattern, value in (config.get(pattern_name) or {}).items():
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        except re.error as error:
            raise AdapterError(
                f"{CONFIG}: {pattern_name} has the key {pattern!r}, which is no pattern: {error}"
            ) from error
    return config.get(name)


def _check_pair(path: Path, module: str, pair: Mapping[str, tuple[int, ...]], rank: int) -> None:
    for factor in "AB":
        if factor not in pair:
            raise AdapterError(f"{path}: {module} has no lora_{factor}; both factors are needed")
        if len(pair[factor]) != 2:
            raise AdapterError(
                f"{path}: lora_{factor} of {module} has the shape {pair[factor]}; only linear layers are read"
            )
        if 0 in pair[factor]:
            raise AdapterError(f"{path}: lora_{factor} of {module} is empty, of the shape {pair[factor]}")
    if not pair["A"][0] == pair["B"][1] == rank:
        raise AdapterError(
            f"{path}: A {pair['A']} and B {pair['B']} of {module} must share the rank {rank} that {CONFIG} gives; "
            "the two files do not belong together"
        )
