"""Small things that tests share: a hand-written case, a tiny reader, tiny models of two other architectures."""

import json
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from workbench import kg
from workbench.cases import Case, Fact
from workbench.models import LanguageModel, reader
from workbench.models.prompts import ReaderTemplate, encode, encode_answer, text

COMMANDS = ("command:fetch", "command:align", "command:sort it")
NAMES = {
    "source:s": "SRA", "format_1": "reads", "format_2": "SAM", "format_3": "BAM", "format_4": "stats table",
    "command:fetch": "fetch", "command:align": "align", "command:sort it": "sort it", "command:count": "count",
    "format_0": "archive",
}  # fmt: skip


def chain_case() -> Case:
    """source -> archive -> fetch -> reads -> align -> SAM -> sort it -> BAM, with one dead end."""
    path = ("source:s", "format_0", COMMANDS[0], "format_1", COMMANDS[1], "format_2", COMMANDS[2], "format_3")
    relations = ("download_from", "input", "output", "input", "output", "input", "output")
    facts = [Fact(h, r, t) for h, r, t in zip(path, relations, path[1:], strict=False)]
    facts += [Fact("format_1", "input", "command:count"), Fact("command:count", "output", "format_4")]
    order = (3, 7, 0, 5, 1, 8, 6, 2, 4)
    return Case("tiny", path[0], path[-1], tuple(facts[i] for i in order), path, NAMES)


def tiny_reader(seed: int = 0) -> LanguageModel:
    """A randomly initialised reader in float32, not quantised."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(reader.reader_config(hidden=64, layers=2, heads=2)).eval()
    return LanguageModel(model, reader.build_tokenizer(NAMES.values()), ReaderTemplate(), NAMES, "reader")


def assert_same_tokens_everywhere(case: Case, lm: LanguageModel) -> None:
    """Every name of the case that ends in a letter or digit is one sequence of tokens, in the question, in the lines of
    its facts and in the answer; the answer's first word alone, which begins a line, is another. No prompt ends in a
    space."""
    ids = encode(case, lm.template, lm.tokenizer).ids
    assert not text(case, lm.template).endswith(" ") and not lm.tokenizer.decode(ids[-1:]).endswith(" ")
    row = [*ids, *encode_answer(case, case.path, lm.template, lm.tokenizer)]
    body = text(case, lm.template) + lm.template.answer(case, case.path)
    for name in {case.names[node] for node in (*case.nodes, case.source, case.target)}:
        own = lm.tokenizer.encode(f" {name}", add_special_tokens=False, split_special_tokens=True)
        if name[-1].isalnum():
            found = sum(row[i : i + len(own)] == own for i in range(len(row)))
            assert found == len(re.findall(rf" {re.escape(name)}(?![^\s.?])", body)), name


CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@cache
def graph_words() -> tuple[str, ...]:
    """Names of the shipped graph as they stand within a line: with a tokenizer trained on them most are few tokens."""
    graph = kg.build_graph(kg.read_table())
    return tuple(f" {graph.nodes[node]['name']}" for node in kg.flow_graph(graph))


def save_tiny(folder: Path, kind: str, *, chat: bool = True, words: Collection[str] = ()) -> Path:
    """A tiny Llama or Qwen2 with a byte-level BPE tokenizer, saved as Hugging Face saves them (safetensors).

    words: texts whose parts become tokens; without them a name of the shipped graph takes some fifteen."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400 + 2 * len(words), special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    texts = ["fasterq-dump reads FASTQ and SAM", "Question: which chain leads from", *words]
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    if chat:
        fast.chat_template = CHAT
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(fast), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
    }  # fmt: skip
    model = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**sizes)),
        "qwen": lambda: Qwen2ForCausalLM(Qwen2Config(**sizes)),
    }[kind]()
    model.save_pretrained(folder, safe_serialization=True)
    fast.save_pretrained(folder)
    return folder


def configure(file: Path, **changes: object) -> None:
    """Other settings in a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
