"""A LoRA adapter as PEFT saves it: the config, the factors of every module and their scaling, one module at a time.

Only plain LoRA is read, W = W0 + s B A, for the loader and for the account of the change alike. PEFT takes what it
knows and passes over the rest in silence, so an adapter of another model may look as if it worked; here every setting
and every tensor is read as it stands, or refused, and what PEFT has put onto a base model is compared with the folder.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench.artifacts.files import folder_files
from workbench.artifacts.provenance import describe_input, load_manifest
from workbench.models.lora import (
    COMPUTED_IN,
    CONFIG,
    FOREIGN,
    LARGEST,
    WEIGHTS,
    AdapterError,
    BaseTunerLayer,
    check_places,
    read_config,
    scaling_of,
)

PREFIX = "base_model.model."
LARGEST_COMPARED = 1 << 30  # bytes of a local base model whose digest is compared at every load
DTYPES = {"F64", "F32", "F16", "BF16"}
DIVERGED = "the training diverged or the file was changed: train it again"
TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])\.weight")


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
class AdapterFolder:
    """A PEFT LoRA folder: config and shapes are read when it is opened, values of a module when it is asked for.

    scalings: module -> (rank, s), by layer and projection. transposed: whether the base keeps its weights as (in, out),
    as GPT-2 does (`fan_in_fan_out`); the factors are the same either way.

    Examples:
        >>> from workbench.models import shipped
        >>> whole = AdapterFolder.open(shipped("whole"))
        >>> len(whole.scalings), whole.read(next(iter(whole.scalings))).rank
        (210, 16)
    """

    folder: Path
    scalings: Mapping[str, tuple[int, float]] = field(repr=False)
    transposed: bool = False

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> AdapterFolder:
        """Raises AdapterError: a file is missing or broken, or the adapter is something other than plain LoRA."""
        place = Path(folder)
        config = read_config(place)
        shapes = _shapes(place / WEIGHTS)
        order = sorted(shapes, key=lambda module: (layer_of(module), module.rpartition(".")[2], module))
        check_places(place / CONFIG, config, order)
        scalings = {module: scaling_of(config, module, place / CONFIG) for module in order}
        for module, pair in shapes.items():
            _check_pair(place / WEIGHTS, module, pair, scalings[module][0])
        return cls(place, scalings, config.get("fan_in_fan_out", False))

    def tensors(self, module: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A (rank, in) and B (out, rank) of one module, in the type on disk.

        KeyError: the adapter has none on it. AdapterError: a value, or the change itself, is no number of 32 bits.
        """
        rank, scaling = self.scalings[module]
        path = self.folder / WEIGHTS
        with _opened(path) as weights:
            pair = [weights.get_tensor(f"base_model.model.{module}.lora_{factor}.weight") for factor in "AB"]
        largest = [float(factor.abs().max()) for factor in pair]
        if not all(map(math.isfinite, largest)):
            raise AdapterError(f"{path}: {module} holds values that are not finite, NaN or infinite; {DIVERGED}")
        if max(*largest, abs(scaling) * rank * largest[0] * largest[1]) > LARGEST:
            raise AdapterError(
                f"{path}: {module} holds values up to {max(largest):.1g}; they, or the change s B A that they make, "
                f"are beyond {LARGEST:.1e}, the largest number of {COMPUTED_IN}; {DIVERGED}"
            )
        return pair[0], pair[1]

    def read(self, module: str) -> Factors:
        """The factors of one module; errors as in `tensors`."""
        a, b = (factor.to(torch.float64).numpy() for factor in self.tensors(module))
        return Factors(module, layer_of(module), module.rpartition(".")[2], *self.scalings[module], a, b)

    def __iter__(self) -> Iterator[Factors]:
        return (self.read(module) for module in self.scalings)


def read_factors(folder: str | os.PathLike[str]) -> Iterator[Factors]:
    """The factors of every module of a PEFT adapter folder, by layer and projection.

    Config and shapes are checked at once, values are read one module at a time. AdapterError: see `AdapterFolder`.
    """
    return iter(AdapterFolder.open(folder))


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
                why = next((why for part, why in FOREIGN.items() if part in name), "it would be left out")
                raise AdapterError(f"{path}: {name!r} is no factor of a linear layer (lora_A, lora_B); {why}")
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
            "here; load the adapter where you trust it and save it again with PEFT"
        )
    if any(path.parent.glob(f"{path.stem}*-of-*{path.suffix}")) or path.with_name(f"{path.name}.index.json").exists():
        return "the weights lie in several files; save the adapter again as one file (max_shard_size)"
    return "the weights must be saved as safetensors"


def _check_pair(path: Path, module: str, pair: Mapping[str, tuple[int, ...]], rank: int) -> None:
    if lacking := {"A", "B"} - pair.keys():
        raise AdapterError(f"{path}: {module} has no lora_{lacking.pop()}; both factors are needed")
    a, b = pair["A"], pair["B"]
    if len(a) != 2 or len(b) != 2 or 0 in a + b:
        raise AdapterError(f"{path}: A {a} and B {b} of {module} must be matrices; only linear layers are read")
    if not a[0] == b[1] == rank:
        raise AdapterError(
            f"{path}: A {a} and B {b} of {module} must share the rank {rank} that {CONFIG} gives; the two files do not "
            "belong together"
        )


def check_base(adapter: AdapterFolder, model: nn.Module, base: str) -> None:
    """AdapterError: the adapter is of another base than `model`, or holds values that are no numbers.

    base: identifier or folder of the base model. Nothing is loaded; the weights are read one by one.
    """
    if fault := _other_base(adapter.folder, base):
        raise AdapterError(fault)
    modules = dict(model.named_modules())
    for name in adapter.scalings:
        module = modules.get(name)
        if module is None:
            raise AdapterError(f"the base model does not have the module {name}: the adapter is of another model")
        if adapter.transposed and not isinstance(module, Conv1D):
            raise AdapterError(f"fan_in_fan_out is true, and {name} of the base model keeps its weights as (out, in)")
        a, b = adapter.tensors(name)
        for factor, width, features in (("A", a.shape[1], "in_features"), ("B", b.shape[0], "out_features")):
            if getattr(module, features, width) != width:
                raise AdapterError(
                    f"lora_{factor} of {name} is {width} wide, but the base model's module has {features} "
                    f"{getattr(module, features)}: the adapter is of another model"
                )


def _other_base(folder: Path, base: str) -> str | None:
    """Whether the adapter's manifest, where it has one, names another base model than `base`."""
    recorded = ((load_manifest(folder) or {}).get("inputs") or {}).get("model")
    if not recorded:
        return None
    path = Path(base)
    if path.is_dir() and sum(file.stat().st_size for file in folder_files(path).values()) > LARGEST_COMPARED:
        return None
    now = describe_input(folder.parent, "model", base)
    kind = next((kind for kind in ("sha256", "id") if kind in recorded and kind in now), None)
    if kind is None or recorded[kind] == now[kind]:
        return None
    trained, given = (one.get("path") or one.get("id") for one in (recorded, now))
    if trained == given:
        return f"it was trained on {trained} when that held other weights; train it again, or bring those back"
    return f"it was trained on {trained}, not on {given}; give that as the model, or train again"


def check_loaded(adapter: AdapterFolder, model: nn.Module) -> None:
    """AdapterError unless `model` has a LoRA layer for each module of the folder and no other, with that content."""
    layers = {n.removeprefix(PREFIX): m for n, m in model.named_modules() if isinstance(m, BaseTunerLayer)}
    if lacking := sorted(layers.keys() - adapter.scalings):
        raise AdapterError(
            f"it has no weights for {len(lacking)} of {len(layers)} places where the base model takes them, such as "
            f"{lacking[0]}: it is of another model, or a part is missing"
        )
    if unused := sorted(adapter.scalings.keys() - layers):
        raise AdapterError(f"{_some(unused)} would be left out: the adapter is of another model")
    other = [name for name, layer in layers.items() if not _as_on_disk(adapter, name, layer)]
    if other:
        raise AdapterError(f"{_some(other)} came out otherwise than the folder says; save it again with this PEFT")


def _as_on_disk(adapter: AdapterFolder, name: str, layer: BaseTunerLayer) -> bool:
    loaded = [getattr(layer, f"lora_{factor}")["default"].weight.detach().cpu() for factor in "AB"]
    return layer.scaling["default"] == adapter.scalings[name][1] and all(
        torch.equal(one, disk.to(one.dtype)) for one, disk in zip(loaded, adapter.tensors(name), strict=True)
    )


def _some(names: Collection[str]) -> str:
    return f"{len(names)} of its modules, such as {next(iter(names))},"
