"""LoRA through peft: what the workbench needs of peft and bitsandbytes, and what an adapter's config says of it.

peft brings bitsandbytes, which hands functions to torch.compile as it is imported. That loads the compiler, a second
for nothing: where a processor or a GPU has kernels of its own these functions are not called, and elsewhere they run as
they are written. And a million objects are made that stay, which Python's collector need not look through. So both are
imported here alone: faster so, at every start of a process.

`adapter_config.json` is read where it says plain LoRA, W = W0 + s B A; all else is refused. PEFT takes what it knows
and passes over the rest in silence; here every setting is read as it stands.
"""

from __future__ import annotations

import gc
import json
import math
import re
import reprlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig


@contextmanager
def _in_one_go() -> Iterator[None]:
    collects, choose = gc.isenabled(), getattr(torch.compiler, "set_default_backend", lambda name: None)  # torch 2.11
    gc.disable()
    choose("eager")
    try:
        yield
    finally:
        choose(None)
        gc.freeze()
        if collects:
            gc.enable()


with _in_one_go():
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    from bitsandbytes.nn import Linear4bit
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.tuners.lora import LoraLayer
    from peft.tuners.tuners_utils import BaseTunerLayer, check_target_module_exists
    from peft.utils.integrations import dequantize_module_weight
    from peft.utils.other import get_pattern_key

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "AdapterError",
    "BaseTunerLayer",
    "Linear4bit",
    "LoraConfig",
    "LoraLayer",
    "PeftModel",
    "check_places",
    "check_target_module_exists",
    "dequantize_4bit",
    "dequantize_module_weight",
    "get_pattern_key",
    "get_peft_model",
    "quantize_4bit",
    "read_config",
    "scaling_of",
    "trainable_ratio",
]


def trainable_ratio(config: PretrainedConfig, *, rank: int, modules: tuple[str, ...]) -> tuple[int, int]:
    """(trainable, total) parameters of a model with a LoRA adapter, counted on the meta device: no weights are made.

    Examples:
        >>> from workbench.models import deepseek_8b_config
        >>> trainable, total = trainable_ratio(deepseek_8b_config(), rank=16, modules=("q_proj",))
        >>> trainable == 32 * 16 * (4096 + 4096)
        True
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        tuned = get_peft_model(model, LoraConfig(r=rank, target_modules=list(modules), task_type="CAUSAL_LM"))
    trainable, total = tuned.get_nb_trainable_parameters()
    return int(trainable), int(total)


CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
COMPUTED_IN = torch.float32  # PEFT holds factors in 32 bits, whatever type they were saved in
LARGEST = torch.finfo(COMPUTED_IN).max

PLACES = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")  # what PEFT finds modules by
READ = {
    *PLACES,
    *("peft_type", "task_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"),
    *("bias", "init_lora_weights", "fan_in_fan_out"),
}
SILENT = set(
    "auto_mapping base_model_name_or_path corda_config eva_config inference_mode loftq_config lora_dropout "
    "lora_ga_config megatron_core peft_version qalora_group_size revision runtime_config".split()
)
"""Settings that say nothing of what a trained adapter computes, whatever they are. Those in neither set must be off."""

PLAIN_STARTS = ("gaussian", "eva", "orthogonal")  # names of starts that leave W0 as it was
DORA = "DoRA also rescales the columns of W0"
FOREIGN = {
    "use_dora": DORA,
    "megatron_config": "it names a library to be loaded, and nothing is run that an adapter names",
    "modules_to_save": "it replaces a layer of the base",
    "lora_embedding_": "it changes an embedding table, which looks rows up and multiplies nothing",
    "lora_magnitude_vector": DORA,
    "lora_B.bias": "it changes a bias of the base",
    ".base_layer.": "a layer of the base was saved with it; save with save_embedding_layers=False",
}
"""A setting, or a part of a tensor's name -> why it is not read."""


class AdapterError(ValueError):
    """An adapter that cannot be read as s B A: names the file, the rule and what was found.

    Examples:
        >>> from workbench.models import AdapterFolder
        >>> AdapterFolder.open("none")
        Traceback (most recent call last):
            ...
        workbench.models.lora.AdapterError: none... does not exist; give the folder that PEFT saved ...
    """


def read_config(folder: Path) -> dict[str, Any]:
    """`adapter_config.json`. AdapterError: missing, no JSON object, or with a setting that makes it no plain LoRA."""
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
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        yield "task_type", "it must be CAUSAL_LM"
    if config.get("bias", "none") != "none":
        yield "bias", "the biases of the base were trained too"
    start = config.get("init_lora_weights", True)
    if not isinstance(start, bool) and str(start).lower() not in PLAIN_STARTS:
        yield "init_lora_weights", "this start rewrites W0; let PEFT convert the adapter to plain LoRA when saving it"
    for name in ("use_rslora", "fan_in_fan_out"):
        if not isinstance(config.get(name, False), bool):
            yield name, "it must be true or false"
    for name in ("rank_pattern", "alpha_pattern"):
        if not isinstance(config.get(name) or {}, dict):
            yield name, "it must be an object, pattern of module names -> number"
    usual = LoraConfig().to_dict()
    for name, value in config.items():
        if name not in READ | SILENT and value not in (None, False, [], {}, "", usual.get(name)):
            yield name, FOREIGN.get(name, "what it does to the weights is not known here")


def check_places(path: Path, config: Mapping[str, Any], modules: Collection[str]) -> None:
    """PEFT puts an adapter where these settings say, and drops the tensors of any other module."""
    given = {name: config.get(name) for name in PLACES}
    if given["target_modules"] in (None, "all-linear"):  # then the kind of the base says which
        given["target_modules"] = [module.rpartition(".")[2] for module in modules]
    try:
        places = LoraConfig(**given)
        left = [module for module in modules if not check_target_module_exists(places, module)]
    except Exception as error:  # they may hold anything
        raise AdapterError(f"{path}: {', '.join(PLACES)}: peft refuses them ({error})") from error
    if left:
        said = ", ".join(f"{name} {reprlib.repr(value)}" for name, value in given.items() if value)
        raise AdapterError(
            f"{path}: {said} leave out {len(left)} of {len(modules)} modules that {WEIGHTS} has factors for, such as "
            f"{left[0]}; the two files do not belong together"
        )


def scaling_of(config: Mapping[str, Any], module: str, path: Path) -> tuple[int, float]:
    """(rank, s) of a module: alpha / rank, or alpha / sqrt(rank) under rsLoRA (Kalajdzievski 2023)."""
    rank = _setting(config, "r", "rank_pattern", module)
    alpha = _setting(config, "lora_alpha", "alpha_pattern", module)
    if type(rank) is not int or rank < 1:
        raise AdapterError(f"{path}: the rank of {module} must be a whole number of 1 or more, not {rank!r}")
    if type(alpha) not in (int, float) or not abs(alpha) <= LARGEST:
        raise AdapterError(f"{path}: lora_alpha of {module} must be a finite number, not {alpha!r}")
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _setting(config: Mapping[str, Any], name: str, pattern_name: str, module: str) -> Any:
    """A setting, or what the first pattern that matches the end of the module's name says instead."""
    patterns = config.get(pattern_name) or {}
    try:
        return patterns.get(get_pattern_key(patterns, module), config.get(name))
    except re.error as error:
        said = reprlib.repr(patterns)
        raise AdapterError(f"{CONFIG}: {pattern_name} {said} has a key that is no pattern: {error}") from error
