"""The one place that loads language models: named or from Hugging Face, 4-bit on GPU and CPU, adapter on or off."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import cached_file

from workbench.models import checkpoint, reader, smollm2
from workbench.models.adapter_folder import AdapterError, AdapterFolder, check_base, check_loaded
from workbench.models.checkpoint import ModelError, first_line, load_config, load_tokenizer, loading, release
from workbench.models.dequantised import (  # fmt: skip
    ALONE_UP_TO,
    hold_dequantised,
    keep_gradients,
    products,
    quantisation,
    suit_factors,
)
from workbench.models.lora import LoraConfig, PeftModel, get_peft_model, trainable_ratio
from workbench.models.prompts import ChatTemplate, ReaderTemplate, Template
from workbench.models.smollm2 import Say, other_values, shipped, shipped_for

__all__ = [
    "READER", "AdapterError", "AdapterFolder", "ChatTemplate", "LanguageModel", "ModelError", "ReaderTemplate",
    "Template", "add_adapter", "base_of", "check_model", "deepseek_8b_config", "load", "place", "quantisation",
    "shipped", "shipped_for", "trainable_ratio",
]  # fmt: skip

READER = "reader"  # the name under which the embedded model is asked for
THREADS = torch.get_num_threads()  # what torch takes by itself


@dataclass
class LanguageModel:
    """A model with what is needed to talk to it. names: node id -> name, of every node that may occur in a prompt.

    Examples:
        >>> lm = load("reader", names={"command:star": "star"})
        >>> lm.name, lm.ids["star"], str(lm.device)[:3] in ("cpu", "cud")
        ('reader', 'command:star', True)
    """

    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    template: Template
    names: Mapping[str, str]
    name: str
    # a panel runs the model on a thread of its own: the adapter must not be switched within another's pass
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        """Where the model's inputs go."""
        return self.model.device

    @property
    def runs_on(self) -> str:
        """What a manifest tells: the device, and what products take where it is another dtype than the model's."""
        taken = products(self.model)
        return f"{self.device}{'' if taken == self.model.dtype else f', products in {taken}'.replace('torch.', '')}"

    @property
    def ids(self) -> dict[str, str]:
        """name -> node id, the inverse of `names`."""
        return {name: node for node, name in self.names.items()}

    @contextlib.contextmanager
    def adapter(self, on: bool) -> Iterator[None]:
        """Runs its block with the adapter on or off; without an adapter both are the base model."""
        with self._turn:
            if on or not isinstance(self.model, PeftModel):
                yield
            else:
                learning = {id(one) for one in self.model.parameters() if one.requires_grad}
                try:
                    with self.model.disable_adapter():
                        yield
                finally:  # peft, as it switches an adapter on, lets it learn
                    for one in self.model.parameters():
                        one.requires_grad_(id(one) in learning)


def load(
    name: str = READER,
    *,
    names: Mapping[str, str],
    adapter: Path | None = None,
    four_bit: bool = True,
    trainable: bool = False,
    thought: bool = False,
    factors: torch.dtype | None = None,
) -> LanguageModel:
    """Loads a base model and, when given, the PEFT adapter in the folder `adapter`.

    name: `reader`, `smollm2` (see there), a Hugging Face id or a local folder. Only safetensors are read and
    no code of the model's is run.
    names: node id -> name of the graph. trainable: whether the adapter's weights take gradients. thought: answers come
    with the thought that a reasoning model writes first (give `max_new_tokens` room for it); else it is closed at once.
    factors: what products with 4-bit weights are taken of, where another dtype than the weights' own is to be:
    torch.bfloat16 is faster on a CPU made for it (AMX), but near decisions may fall the other way, and sets be others.
    Raises ModelError when the model cannot be loaded.

    Examples:
        >>> lm = load("reader", names={"format_1930": "FASTQ", "command:star": "star"})
        >>> lm.ids["star"], lm.model.num_parameters() > 1_000_000
        ('command:star', True)
    """
    # says nothing to a user: a name changes in transformers 6
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    release()  # layers know themselves: a model that nobody holds any more would stay beside the new one
    location = place(name)
    model = base_model(location, name, four_bit=four_bit)
    with loading(name):
        tokenizer = reader.build_tokenizer(names.values()) if name == READER else load_tokenizer(location)
        rows = model.get_input_embeddings().weight.shape[0]
        template = ReaderTemplate() if name == READER else chat_template(tokenizer, rows, name, thought=thought)
    keep_gradients(model)
    rows_on_end(model.get_output_embeddings())
    suit_threads(model)
    hold_dequantised(model, factors)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if adapter is not None:
        model = with_adapter(model, Path(adapter), name, trainable=trainable)
    if adapter is not None and not trainable:
        suit_factors(model)
    return LanguageModel(model.eval(), tokenizer, template, dict(names), name)


def base_model(location: str, name: str, *, four_bit: bool) -> PreTrainedModel:
    """The model in `location`, asked for as `name`, made of every tensor that lies there and of nothing else."""
    config = load_config(location)
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if torch.cuda.is_available() and name != READER else torch.float32
    with loading(name):
        model, found = AutoModelForCausalLM.from_pretrained(
            location,
            config=config,
            quantization_config=quantisation() if four_bit else None,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            device_map={"": device},
            **checkpoint.TOLD,
        )
        checkpoint.check_found(model, found, name)
        folder = Path(cached_file(location, "config.json")).parent  # of an id, where it was put
        checkpoint.check_values(checkpoint.weight_files(folder), dtype, name)
    return model


def check_model(name: str, *, say: Say | None = None) -> None:
    """Refuses a base model before anything else is done, as far as it can be told without reading a weight.

    Looks at config, tokenizer and chat template, and in a local folder at the names and shapes of the weights; `load`
    looks at these again, wherever they come from, and at the values. name: as for `load`. say: takes lines of progress
    where a model is fetched. Raises ModelError.

    Examples:
        >>> check_model("reader")  # ships with the package
        >>> check_model("./none")
        Traceback (most recent call last):
            ...
        workbench.models.checkpoint.ModelError: model './none' has no readable config: there is no such folder - ...
    """
    if name == READER:
        return
    location = place(name, say=say)
    config = load_config(location)
    with loading(name):
        chat_template(load_tokenizer(location), config.get_text_config().vocab_size, name)
        if Path(location).is_dir():
            checkpoint.check_names(Path(location), config, name)


def chat_template(tokenizer: PreTrainedTokenizerBase, rows: int, name: str, *, thought: bool = False) -> ChatTemplate:
    """The prompt's template for the model `name`, whose embedding has so many rows; ModelError when it cannot be."""
    template = ChatTemplate(tokenizer, name, thought=thought)
    checkpoint.check_tokenizer(tokenizer, rows, name, markup=template.opening + template.closing)
    return template


def with_adapter(model: PreTrainedModel, folder: Path, name: str, *, trainable: bool) -> PeftModel:
    """`model`, loaded as `name`, with the adapter in `folder`; ModelError when it is damaged or of another model."""
    try:
        adapter = AdapterFolder.open(folder)
        location = place(name)
        check_base(adapter, model, location)
        tuned = PeftModel.from_pretrained(model, folder, is_trainable=trainable, use_safetensors=True)
        check_loaded(adapter, tuned)
        if said := other_values(folder, Path(cached_file(location, "config.json")).parent, name):
            warnings.warn(said, stacklevel=3)
    except AdapterError as error:
        raise ModelError(f"adapter {folder} cannot be loaded onto {name!r}: {error}") from error
    except Exception as error:  # a config may hold anything
        raise ModelError(
            f"adapter {folder} cannot be loaded onto {name!r}: peft refuses it ({first_line(error)}); its "
            "adapter_config.json was changed, or it is of another model"
        ) from error
    return tuned


def place(name: str, *, say: Say | None = None) -> str:
    """Where a model's files come from: the package's folder for `reader`, that in the user's cache for `smollm2`, which
    is fetched where it is missing (`smollm2.ready`), else the id or folder as given.

    Examples:
        >>> place("someone/a-model")
        'someone/a-model'
    """
    if name == smollm2.NAME:
        return str(smollm2.ready(say))
    return str(reader.folder()) if name == READER else name


def base_of(model: torch.nn.Module) -> Any:
    """The model below an adapter; one without an adapter is itself.

    Examples:
        >>> lm = load("reader", names={"command:star": "star"})
        >>> tuned = add_adapter(lm, rank=2, alpha=2, modules=("q_proj",), dropout=0.0, seed=0)
        >>> type(base_of(tuned.model)).__name__
        'LlamaForCausalLM'
    """
    return model.get_base_model() if isinstance(model, PeftModel) else model


def rows_on_end(head: torch.nn.Module | None) -> None:
    """Has the head take its rows one after another: of the last positions of several prompts, a slice with gaps, torch
    would multiply the vocabulary once for each prompt, which takes longer and says the same.
    """
    if head is not None:
        head.register_forward_pre_hook(lambda _head, given: tuple(rows.contiguous() for rows in given))


def suit_threads(model: PreTrainedModel) -> None:
    """Sets torch's and numpy's threads for a model on a CPU: one where sharing its matrices costs more than it gains.

    Threads that wait for each other keep their cores busy, most of all where another process wants one of them; so do
    those of the rank correlations of elements.
    """
    threads = 1 if model.num_parameters() <= ALONE_UP_TO else THREADS
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")


def add_adapter(
    lm: LanguageModel, *, rank: int, alpha: int, modules: tuple[str, ...], dropout: float, seed: int
) -> LanguageModel:
    """A fresh LoRA adapter on the named projections: W = W0 + (alpha / rank) B A, with B = 0 at the start.

    Examples:
        >>> lm = load("reader", names={"command:star": "star"})
        >>> tuned = add_adapter(lm, rank=4, alpha=8, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
        >>> from workbench.game import adapted_modules, unit_names
        >>> modules = adapted_modules(tuned.model)
        >>> unit_names(modules, "projection"), modules[0].rank
        (('q_proj', 'v_proj'), 4)
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(modules), lora_dropout=dropout, task_type="CAUSAL_LM"
    )
    try:
        lm.model = get_peft_model(lm.model, config)
    except ValueError as error:
        raise ModelError(f"no adapter on {', '.join(modules)} of {lm.name!r}: {first_line(error)}") from error
    return lm


def deepseek_8b_config() -> PretrainedConfig:
    """The config of DeepSeek-R1-Distill-Llama-8B, as shipped with the package.

    Examples:
        >>> deepseek_8b_config().hidden_size
        4096
    """
    return AutoConfig.from_pretrained(str(files("workbench") / "data" / "models" / "deepseek-r1-distill-llama-8b.json"))
