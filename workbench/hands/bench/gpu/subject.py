"""What `bench gpu` measures: models with random weights, a tokenizer and cases that are made on the spot.

How fast a model runs depends on its shape, not on what its weights say; so nothing is fetched and nothing is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch.nn.init import normal_
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from workbench import models
from workbench.cases import Case
from workbench.cases.sampling import SamplingConfig, sample_cases
from workbench.kg import flow_graph, load_graph
from workbench.models import LanguageModel, dequantised
from workbench.models.checkpoint import release
from workbench.models.lora import Linear4bit, PeftModel
from workbench.models.prompts import ChatTemplate, encode_answer

SPREAD = 0.02  # standard deviation of the random weights, transformers' own `initializer_range`
TOKENS = 3000  # of the tokenizer: 70 facts are then a prompt of some 900 tokens
SPECIAL = ["<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>"]
CHAT = "{{ bos_token }}{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}<|assistant|>"
RANK, ALPHA = 16, 32
HELD = {"4-bit": False, "held": True}  # how weights lie: as loaded, or dequantised beside it
SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def tiny_config() -> PretrainedConfig:
    """Two layers, to see on a processor whether everything runs."""
    return LlamaConfig(
        vocab_size=TOKENS + 8,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )


def smollm2_config() -> PretrainedConfig:
    """The shape of SmolLM2-135M."""
    return AutoConfig.from_pretrained(str(files("workbench") / "data" / "models" / "smollm2-135m.json"))


class World:
    """names: node id -> name of every node of the shipped graph; cases: so many of it, to train on."""

    def __init__(self, *, cases: int, seed: int):
        graph = load_graph().graph
        flow = flow_graph(graph)
        config = SamplingConfig(train=cases, held_out=1, held_out_sequences=0, held_out_tools=0, seed=seed)
        self.names = {node: graph.nodes[node]["name"] for node in flow}
        self.cases = sample_cases(graph, flow, config)["train"]

    def long_case(self, lm: LanguageModel, *, facts: int, answer: int) -> Case:
        """A case of so many facts, those of others joined to its own, whose answer has about `answer` tokens."""
        base = min(self.cases, key=lambda c: abs(len(encode_answer(c, c.path, lm.template, lm.tokenizer)) - answer))
        every = dict.fromkeys(fact for case in (base, *self.cases) for fact in case.facts)
        return replace(base, id="long", facts=tuple(every)[:facts], names=self.names)


def tokenizer_of(names: Mapping[str, str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on the names and on the sentences that state facts."""
    inner = Tokenizer(BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([*names.values(), *ChatTemplate.verbs.values(), ChatTemplate.task], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>", padding_side="left"
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def random_model(config: PretrainedConfig, *, seed: int) -> PreTrainedModel:
    """A model of this shape with random weights, made where it will run and quantised as `models.load` does it."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config)
    rng = torch.Generator(device).manual_seed(seed)

    def values(name: str, shape: torch.Size) -> torch.Tensor:
        if "norm" in name:
            return torch.ones(shape, device=device, dtype=dtype)
        return torch.randn(shape, device=device, dtype=dtype, generator=rng).mul_(SPREAD)

    weights = {name: values(name, weight.shape) for name, weight in empty.named_parameters()}
    return type(empty).from_pretrained(
        None,
        config=config,
        state_dict=weights,
        quantization_config=models.quantisation(),
        dtype=dtype,
        device_map={"": str(device)},
    )


def random_lm(
    config: PretrainedConfig, names: Mapping[str, str], *, name: str, folder: Path, seed: int
) -> LanguageModel:
    """A `LanguageModel` of this shape, its config and tokenizer in `folder`, set up as `models.load` does it."""
    tokenizer = tokenizer_of(names)
    tokenizer.save_pretrained(folder)
    config.save_pretrained(folder)
    model = random_model(config, seed=seed)
    release()
    model.name_or_path = model.config.name_or_path = str(folder)
    models.keep_gradients(model)
    models.suit_threads(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    template = models.chat_template(tokenizer, config.vocab_size, name)
    return LanguageModel(model.eval(), tokenizer, template, dict(names), name)


class Subject:
    """A model without an adapter, a long case of so many facts and answer tokens, cases to train on.

    parameters: of the whole model, and of its 4-bit matrices alone.
    """

    def __init__(self, lm: LanguageModel, world: World, *, facts: int, answer: int = 28):
        self.lm, self.world = lm, world
        self.case = world.long_case(lm, facts=facts, answer=answer)
        self.parameters = lm.model.num_parameters()  # counts what 4-bit weights stand for
        self.matrices = sum(m.in_features * m.out_features for m in lm.model.modules() if isinstance(m, Linear4bit))

    def adapt(self, *, seed: int) -> None:
        """A fresh adapter on q_proj and v_proj that does something: its B is random too."""
        self.bare()
        models.add_adapter(
            self.lm, rank=RANK, alpha=ALPHA, modules=("q_proj", "v_proj"), dropout=0.0, seed=seed
        ).model.eval()
        for name, parameter in self.lm.model.named_parameters():
            if "lora_B" in name:
                normal_(parameter, std=SPREAD)
        dequantised.suit_factors(self.lm.model)

    def bare(self) -> None:
        """Takes the adapter away."""
        if isinstance(self.lm.model, PeftModel):
            self.lm.model = self.lm.model.unload()

    def hold(self, on: bool) -> str:
        """Keeps the weights dequantised beside the 4 bits, or no longer. Says how they then lie, as the keys of `HELD`:
        there may be no room."""
        dequantised.let_go(self.lm.model)
        release()
        if on:
            dequantised.hold_dequantised(models.base_of(self.lm.model))
        layers = [module for module in self.lm.model.modules() if isinstance(module, Linear4bit)]
        return next(name for name, held in HELD.items() if held == all("forward" in vars(m) for m in layers))
