"""The embedded graph reader: a small Llama that reads any graph, since it knows no names, only anonymous entities.

A graph's names are mapped onto a pool of entity tokens when its tokenizer is built: one token per name. The weights
ship with the package; `python -m workbench.pretrain` makes them again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from workbench.artifacts.files import DATA

RELATIONS = (
    "download_from", "input", "output", "output_data", "input_data", "command_of", "performs", "has_topic",
    "licensed_under", "encodes", "format_is_a", "data_is_a", "operation_is_a", "topic_is_a",
)  # fmt: skip
PAD, BOS, EOS, UNKNOWN = "<pad>", "<s>", "</s>", "<unknown>"
RESERVED = (PAD, BOS, EOS, UNKNOWN, "to", "from", ":", "?", *RELATIONS)
POOL = 1024  # anonymous entity tokens
FIRST_ENTITY = 32  # token id of the first of them; the ids between the reserved words and it stay free


def folder() -> Path:
    """Where the shipped weights, config and card lie."""
    return DATA / "reader"


def card() -> dict:
    """The shipped card: seed, data, training and held-out figures."""
    return json.loads((folder() / "card.json").read_text(encoding="utf-8"))


def reader_config(*, hidden: int, layers: int, heads: int) -> LlamaConfig:
    """The architecture. hidden is a multiple of 64, which NF4 on a CPU asks for."""
    if hidden % 64:
        raise ValueError(f"hidden must be a multiple of 64 (the NF4 block size), not {hidden}")
    return LlamaConfig(
        vocab_size=FIRST_ENTITY + POOL,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=RESERVED.index(PAD),
        bos_token_id=RESERVED.index(BOS),
        eos_token_id=RESERVED.index(EOS),
    )


def word(name: str) -> str:
    """A name as one word: white space becomes `_`; what only formats or controls text is dropped."""
    clean = "".join(c for c in name if c.isprintable() or c.isspace())
    return re.sub(r"\s+", "_", clean.strip()) or "_"


@lru_cache(maxsize=1 << 14)
def reader_word(name: str) -> str:
    """`word`, kept apart from the reader's reserved words (`to`, `?`, `</s>`, relation names) by a leading dot."""
    plain = word(name)
    return f"·{plain}" if plain.lstrip("·") in RESERVED else plain


def build_tokenizer(names: Iterable[str]) -> PreTrainedTokenizerFast:
    """A word-level tokenizer that gives each name one entity token, in sorted order; tokens to spare get made-up words.

    Raises ValueError when two names are one word to the reader, or when there are more names than entity tokens.
    """
    words: dict[str, str] = {}
    for name in sorted(set(names)):
        other = words.setdefault(reader_word(name), name)
        if other != name:
            raise ValueError(f"names {other[:80]!r} and {name[:80]!r} are one word to the reader; rename one of them")
    if len(words) > POOL:
        raise ValueError(
            f"the reader has {POOL} entity tokens, the graph has {len(words)} names; build it on fewer nodes"
        )
    made_up = (w for w in map("made-up-{}".format, range(2 * POOL)) if w not in words)
    entities = [*words, *islice(made_up, POOL - len(words))]
    vocabulary = {w: i for i, w in enumerate(RESERVED)} | {w: FIRST_ENTITY + i for i, w in enumerate(entities)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(Regex(r"\s+"), behavior="removed")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD, unk_token=UNKNOWN, padding_side="left"
    )


def entity_words(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """All words that stand for entities: names of the graph, and the made-up words of tokens to spare."""
    return {word for word, token in tokenizer.get_vocab().items() if token >= FIRST_ENTITY}
