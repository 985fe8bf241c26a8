"""Whether a folder holds an adapter of a base model: looked at before a weight of it is loaded, and after.

peft takes what fits and passes over the rest in silence, so an adapter of another model may look as if it worked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from workbench.artifacts.files import folder_files
from workbench.artifacts.provenance import describe_input, load_manifest

CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
PREFIX = "base_model.model."
KINDS = {"A": ("lora_A", 1, "in_features"), "B": ("lora_B", 0, "out_features")}
LARGEST_COMPARED = 1 << 30  # bytes of a local base model whose digest is compared at every load


def fault_before(folder: Path, model: nn.Module, base: str) -> str | None:
    """What speaks against loading the adapter in `folder` onto `model`, in words; None when nothing does.

    base: identifier or folder of the base model. Reads JSON, the head of the safetensors file, and its weights one by
    one; runs nothing.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"there is no {CONFIG} in it; give the folder that training wrote"
    except (OSError, ValueError, RecursionError) as error:
        return f"{CONFIG} cannot be read ({type(error).__name__}); train it again"
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        return f"{CONFIG} describes no LoRA adapter, and only those are read"
    if config.get("megatron_config"):
        return f"{CONFIG} names a library to be loaded (megatron_config), and nothing is run that an adapter names"
    if not (folder / WEIGHTS).is_file():
        pickled = (folder / PICKLED).exists()
        reason = f"its weights are pickled ({PICKLED}), which can run code" if pickled else f"there is no {WEIGHTS}"
        return f"{reason}; save it with safe_serialization=True"
    return other_base(folder, base) or _fault_of_weights(folder / WEIGHTS, model, config)


def other_base(folder: Path, base: str) -> str | None:
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


def _fault_of_weights(path: Path, model: nn.Module, config: Mapping[str, Any]) -> str | None:
    modules = dict(model.named_modules())
    rank = config.get("r")
    try:
        with safe_open(path, framework="pt") as weights:
            names = list(weights.keys())
            if not names:
                return f"{WEIGHTS} is empty"
            ranks = set()
            for name in names:
                fault = _fault_of_shape(name, tuple(weights.get_slice(name).get_shape()), modules)
                if fault:
                    return fault
                ranks.add(_rank(name, tuple(weights.get_slice(name).get_shape())))
            ranks.discard(None)
            if not config.get("rank_pattern") and ranks and ranks != {rank}:
                return (
                    f"{CONFIG} says rank {rank!r}, the weights have {sorted(map(str, ranks))}; one of them was changed"
                )
            return next((fault for name in names if (fault := _fault_of_values(name, weights.get_tensor(name)))), None)
    except (SafetensorError, OSError, ValueError) as error:
        return f"{WEIGHTS} cannot be read ({str(error)[:200]}); copy or train it again"


def _fault_of_shape(name: str, shape: tuple[int, ...], modules: Mapping[str, nn.Module]) -> str | None:
    """A LoRA weight must belong to a module of the model and be as wide as its input, or output."""
    for word, axis, features in KINDS.values():
        owner, found, _ = name.removeprefix(PREFIX).partition(f".{word}.")
        if not found:
            continue
        if owner not in modules:
            return f"{name} belongs to a module that the base model does not have: the adapter is of another model"
        wanted = getattr(modules[owner], features, None)
        if len(shape) != 2 or (isinstance(wanted, int) and shape[axis] != wanted):
            return f"{name} has shape {shape}, but the base model's module has {features} {wanted}: of another model"
    return None


def _rank(name: str, shape: tuple[int, ...]) -> int | None:
    return shape[0] if ".lora_A." in name else shape[1] if ".lora_B." in name and len(shape) == 2 else None


def _fault_of_values(name: str, weight: torch.Tensor) -> str | None:
    if bool(torch.isfinite(weight).all()):
        return None
    return f"{name} holds NaN or infinite numbers: the training diverged or the file was changed; train it again"


def fault_after(folder: Path, model: nn.Module) -> str | None:
    """Whether the loaded `model` has adapter weights that the folder has none for, in words; None when it has not."""
    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        given = {_bare(name) for name in weights.keys()}  # noqa: SIM118 - not a dict
    made = {_bare(name) for name, _ in model.named_parameters() if ".lora_A." in name or ".lora_B." in name}
    lacking = sorted(made - given)
    if not lacking:
        return None
    return (
        f"it has no weights for {len(lacking)} of {len(made)} places where the base model takes them, such as "
        f"{lacking[0]}: it is of another model, or a part is missing"
    )


def _bare(name: str) -> str:
    """A weight's name without what peft puts in for the adapter's own name."""
    return name.removeprefix(PREFIX).replace(".default.", ".")
