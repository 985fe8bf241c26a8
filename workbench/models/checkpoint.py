"""What a base model's files hold: config, tokenizer, names, shapes and values of the weights.

transformers fills what a checkpoint lacks with random numbers and goes on. Whatever an analysis then says is said of
another model, so everything that was not read, or not as it lies there, is refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as library

WEIGHTS, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_config.json"
MOST_LAYERS = 1000  # a config with more is damaged or meant to do harm
NAMED = 3  # tensors named in an error; the others are counted
MASKED = re.compile(r"\.(attn|attention)\.masked_bias$")  # a constant of old causal masks, kept in old files


class ModelError(ValueError):
    """A model that cannot be loaded: says which, why, and what to do.

    Examples:
        >>> from workbench.models import check_model
        >>> check_model("./none")
        Traceback (most recent call last):
            ...
        workbench.models.checkpoint.ModelError: model './none' has no readable config: there is no such folder ...
    """


def release() -> None:
    """Gives what nothing holds any more back to the system, and to the card: it would stand beside what comes next."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # glibc alone has it, and keeps GiBs without it
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def loading(name: str) -> Iterator[None]:
    """Turns whatever goes wrong with the files of the model `name` into a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # a config may hold anything
        raise ModelError(
            f"model {name!r} cannot be loaded: {first_line(error)} - it must be a Hugging Face id that this machine "
            "can reach or a folder with config.json, *.safetensors and a tokenizer"
        ) from error


def load_config(location: str) -> PretrainedConfig:
    """The model's config; refuses a model that would run code of its own, and the folder of an adapter."""
    try:
        config = AutoConfig.from_pretrained(location, trust_remote_code=False)
    except Exception as error:  # it may hold anything
        no_folder = location[:1] in tuple("./~") and not Path(location).is_dir()  # and no id begins so
        why = "there is no such folder" if no_folder else first_line(error)
        raise ModelError(
            f"model {location!r} has no readable config: {why} - give a Hugging Face id or a local folder"
        ) from error
    if getattr(config, "auto_map", None):
        raise ModelError(
            f"model {location!r} wants to run code of its own (auto_map); choose one that transformers knows"
        )
    if (Path(location) / ADAPTER).exists():  # transformers would put it onto the base without a word
        raise ModelError(f"model {location!r} holds {ADAPTER}, and a base model is wanted; give a folder without one")
    if getattr(config, "transformers_weights", None):
        raise ModelError(
            f"model {location!r} names a file of weights (transformers_weights); take that out of config.json"
        )
    layers = getattr(config, "num_hidden_layers", 0)
    if not isinstance(layers, int) or layers > MOST_LAYERS:
        raise ModelError(
            f"model {location!r} asks for {layers!r} layers, and {MOST_LAYERS:,} is the most that is built"
        )
    return config


def load_tokenizer(location: str) -> PreTrainedTokenizerBase:
    """A tokenizer that pads on the left, as batched generation needs."""
    tokenizer = AutoTokenizer.from_pretrained(location, padding_side="left", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.eos_token is None:
        raise ModelError(
            f"the tokenizer of {location!r} has no end-of-sequence token; set eos_token in its tokenizer_config.json"
        )
    return tokenizer


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, rows: int, name: str, *, markup: str) -> None:
    """ModelError when the tokenizer can give ids that the embedding, of so many rows, has none for.

    markup: the text in which special tokens are read. One that neither stands in it nor ends or pads a text is never
    met: facts are tokenised without them.
    """
    met = {tokenizer.eos_token_id, tokenizer.pad_token_id, *tokenizer.encode(markup, add_special_tokens=False)}
    unmet = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special} - met
    ids = {*tokenizer.get_vocab().values(), *met} - unmet
    beyond = sorted(number for number in ids if number >= rows)
    if beyond:
        raise ModelError(
            f"model {name!r} embeds {rows:,} tokens, and its tokenizer gives {len(beyond):,} more, such as "
            f"{tokenizer.convert_ids_to_tokens(beyond[0])!r} ({beyond[0]}); the two do not belong together: bring the "
            "tokenizer that the weights were trained with, or save the model after resize_token_embeddings"
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model's folder, those that transformers takes.

    Raises ModelError: there are none, or the index of several is broken or points out of the folder.
    """
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    try:
        files = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    except FileNotFoundError:
        raise ModelError(
            f"{folder} holds no {WEIGHTS}, and pickled weights are never read; save the model with save_pretrained"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder / INDEX} cannot be read: {first_line(error)}; copy the model again") from error
    for file in files:
        if not isinstance(file, str) or Path(file).name != file:
            raise ModelError(f"{folder / INDEX} names the file {file!r}; the files must lie in the folder itself")
    return [folder / file for file in sorted(files)]


def headers(folder: Path) -> dict[str, tuple[Path, tuple[int, ...]]]:
    """Tensor -> its file and shape, from the heads of a model's files. Raises ModelError: one is missing or broken."""
    found: dict[str, tuple[Path, tuple[int, ...]]] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="pt") as weights:
                found |= {key: (path, tuple(weights.get_slice(key).get_shape())) for key in weights.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path} cannot be read as safetensors: {first_line(error)}; copy it again") from error
    return found


def check_names(folder: Path, config: PretrainedConfig, name: str) -> None:
    """`check_found` from the heads of the files alone: the model is loaded, with no value, on the meta device.

    Says nothing of a checkpoint that is quantised already: its names are known to its quantiser alone.
    """
    tensors = headers(folder)
    if getattr(config, "quantization_config", None):
        return
    with loading(name), silent(), torch.device("meta"):
        empty = {key: torch.empty(shape) for key, (_, shape) in tensors.items()}
        kind = type(AutoModelForCausalLM.from_config(config, trust_remote_code=False))
        model, found = kind.from_pretrained(None, config=config, state_dict=empty, device_map={"": "meta"}, **TOLD)
    check_found(model, found, name)


TOLD: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
"""Lets transformers tell what did not fit, by name, in place of an error that names nothing."""


def check_found(model: PreTrainedModel, found: Mapping[str, Any], name: str) -> None:
    """ModelError when the model was not made of what the checkpoint holds. found: what transformers tells of it.

    Tensors that only another model has, such as a classifier's head, are passed over; those of our own parts are not.
    """
    if model._hf_peft_config_loaded:  # from the hub: a folder that holds one was refused by `load_config`
        raise ModelError(f"model {name!r} is an adapter, and a base model is wanted; give the one it was trained on")
    parts = {part for owner in (model, model.base_model) for part, _ in owner.named_children()}
    odd = [key for key in found["unexpected_keys"] if key.partition(".")[0] in parts and not MASKED.search(key)]
    unlike = [*found["mismatched_keys"], *_quantised_unlike(model)]
    shapes = [f"{key} {tuple(lies)} in place of {tuple(due)}" for key, lies, due in unlike]
    missing = found["missing_keys"] - {key for key, *_ in unlike}
    faults = (
        ("the weights lack", missing),
        ("of another shape than config.json says are", shapes),
        ("config.json has no place for", odd),
    )
    said = "; ".join(f"{what} {_listed(keys)}" for what, keys in faults if keys)
    if said:
        raise ModelError(
            f"model {name!r} cannot be loaded: {said}. It would run on random numbers or without a part of it; copy "
            "it again, or bring the config.json that the weights were saved with"
        )


def _quantised_unlike(model: torch.nn.Module) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """(name, shape, shape due) of 4-bit matrices: transformers quantises whatever it finds, and looks at no shape."""
    for name, module in model.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None and tuple(state.shape) != (due := (module.out_features, module.in_features)):
            yield f"{name}.weight", tuple(state.shape), due


def _listed(keys: Iterable[str]) -> str:
    ordered = sorted(keys)
    more = f" and {len(ordered) - NAMED:,} more" if len(ordered) > NAMED else ""
    return f"{len(ordered):,} tensor{'s' * (len(ordered) > 1)} ({', '.join(ordered[:NAMED])}{more})"


def check_values(files: Iterable[Path], dtype: torch.dtype, name: str) -> None:
    """ModelError for weights that are no numbers in `dtype`. Reads the files once, a tensor at a time."""
    bad = []
    for path in files:
        with loading(name), safe_open(path, framework="pt") as weights:
            bad += [key for key in weights.keys() if not is_finite(weights.get_tensor(key), dtype)]  # noqa: SIM118
    if bad:
        raise ModelError(
            f"model {name!r} cannot be loaded: NaN, infinite or too large for {dtype} are values of {_listed(bad)}; "
            "the training diverged or the file was damaged: copy it again, or take an earlier checkpoint"
        )


def is_finite(values: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether all values are numbers, and still are in `dtype`. Whole numbers are."""
    if not values.is_floating_point() or not values.numel():
        return True
    low, high = torch.aminmax(values if values.element_size() > 1 else values.float())  # NaN goes through both
    return bool(torch.isfinite(torch.stack([low, high])).all()) and max(-low, high) <= torch.finfo(dtype).max


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """transformers neither warns nor draws bars in its block: what it has to say becomes an error of ours."""
    level, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity(library.CRITICAL)
    library.disable_progress_bar()
    try:
        yield
    finally:
        library.set_verbosity(level)
        if bars:
            library.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """The first line of an error's text, shortened.

    Examples:
        >>> first_line(ValueError("first\\nand more"))
        'first'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
