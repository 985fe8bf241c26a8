"""What the workbench needs of peft and bitsandbytes, imported in one place: faster so, at every start of a process.

peft brings bitsandbytes, which hands functions to torch.compile as it is imported. That loads the compiler, a second
for nothing: where a processor or a GPU has kernels of its own these functions are not called, and elsewhere they run as
they are written. And a million objects are made that stay, which Python's collector need not look through.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

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
    "BaseTunerLayer",
    "Linear4bit",
    "LoraConfig",
    "LoraLayer",
    "PeftModel",
    "check_target_module_exists",
    "dequantize_4bit",
    "dequantize_module_weight",
    "get_pattern_key",
    "get_peft_model",
    "quantize_4bit",
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
