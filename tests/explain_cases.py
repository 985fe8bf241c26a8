"""Small cases made by hand, and a reader of random weights, for the tests of explanations."""

from functools import cache

import numpy as np
import torch
from transformers import LlamaForCausalLM

from workbench.cases import Case, Fact
from workbench.game import Engine
from workbench.models import LanguageModel, add_adapter
from workbench.models.prompts import ReaderTemplate
from workbench.models.reader import build_tokenizer, reader_config

NAMES = {
    "source:sra": "SRA",
    "source:ena": "ENA archive",
    "format_1930": "FASTQ",
    "format_2573": "SAM",
    "format_2572": "BAM",
    "format_2306": "GTF",
    "command:fasterq-dump": "fasterq-dump",
    "command:hisat2": "hisat2",
    "command:samtools sort": "samtools sort",
    "command:stringtie": "stringtie",
    "data_1276": "Nucleic acid features",
}
CHAIN = (
    Fact("source:ena", "download_from", "format_1930"),
    Fact("format_1930", "input", "command:hisat2"),
    Fact("command:hisat2", "output", "format_2573"),
    Fact("format_2573", "input", "command:samtools sort"),
    Fact("command:samtools sort", "output", "format_2572"),
)
MORE = (Fact("format_2572", "input", "command:stringtie"), Fact("command:stringtie", "output_data", "data_1276"))


def case(facts: tuple[Fact, ...] = CHAIN, *, id: str = "one") -> Case:
    """A question whose facts are given, from ENA to BAM or, with all facts, to features."""
    path = tuple(dict.fromkeys(end for f in facts for end in (f.head, f.tail)))
    names = {node: NAMES[node] for node in path}
    return Case(id=id, source=path[0], target=path[-1], facts=facts, path=path, names=names)


def cases() -> list[Case]:
    """Three cases of unlike length."""
    return [case(), case(CHAIN + MORE, id="two"), case((*CHAIN[1:3], CHAIN[0]), id="three")]


class Planted:
    """A case's game that is lost when all elements of a group are gone. asked: rows so far."""

    def __init__(self, *groups: set[int], case: Case):
        self.groups, self.case, self.asked = groups, case, 0
        self.elements, self.n = case.elements, len(case.elements)

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        self.asked += len(keep)
        left = [np.ones(len(keep)), *(keep[:, sorted(group)].mean(1) for group in self.groups)]
        return np.min(left, axis=0) - 0.1 * (~keep).mean(1)


@cache
def model() -> LanguageModel:
    """A reader of random weights, float32, not quantised, with an adapter that does something."""
    torch.manual_seed(0)
    reader = LlamaForCausalLM(reader_config(hidden=64, layers=2, heads=2)).eval()
    for name, parameter in reader.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.15)  # large enough that attention is uneven
        parameter.requires_grad_(False)
    lm = LanguageModel(reader, build_tokenizer(NAMES.values()), ReaderTemplate(), NAMES, "tiny")
    add_adapter(lm, rank=4, alpha=8, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
    for name, parameter in lm.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
        parameter.requires_grad_(False)
    lm.model.eval()
    return lm


def engine() -> Engine:
    """A fresh ledger over the same model."""
    return Engine(model())
