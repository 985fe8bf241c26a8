"""Whether an adapter is of this base model, and whether PEFT has put onto it what lies in the folder and nothing else.

PEFT takes what fits and passes over the rest in silence, so an adapter of another model may look as if it worked.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench.artifacts.files import folder_files
from workbench.artifacts.provenance import describe_input, load_manifest
from workbench.models.adapter_folder import AdapterError, AdapterFolder
from workbench.models.lora import BaseTunerLayer

PREFIX = "base_model.model."
LARGEST_COMPARED = 1 << 30  # bytes of a local base model whose digest is compared at every load


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
