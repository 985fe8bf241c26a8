"""Cases as rows of token ids: facts drawn to be withheld anew at each sight, loss on the answer alone.

Some rows are there lest the model forget to read: nothing is withheld in them, and names are made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from workbench.cases import Case, mixed, withhold
from workbench.cases.sampling import with_order
from workbench.models import LanguageModel
from workbench.models.prompts import Template, encode, encode_answer
from workbench.train.config import TrainConfig
from workbench.train.madeup import Names
from workbench.train.progress import HELD_OUT_ROWS

GROUP = 8  # batches whose rows are drawn together and sorted by length


class Words(NamedTuple):
    """What of a model makes rows: no weights, so that a worker process can have it."""

    template: Template
    tokenizer: PreTrainedTokenizerBase


class Drawn(NamedTuple):
    """What chance gave a row. case: its number; share: of needed facts withheld; replayed: read under made-up names."""

    case: int
    share: float
    replayed: bool
    number: int


class Views(Dataset):
    """Training rows: a case, some of its facts withheld, the rest in a new order. Row i is the same in every run, and
    whichever process asks for it.

    Rows are drawn `GROUP` batches at a time and come sorted by length, so that a batch holds little padding; which of
    these batches comes first is drawn too. Read them in order.

    Examples:
        >>> from workbench.cases.example_case import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> views = Views([case] * 4, load(names=case.names), config=TrainConfig(steps=2, batch=2))
        >>> len(views), sorted(views[0])
        (4, ['input_ids', 'labels'])
    """

    def __init__(self, cases: Sequence[Case], lm: LanguageModel, *, config: TrainConfig):
        self.cases, self.config = cases, config
        self.words, self.made_up = Words(lm.template, lm.tokenizer), Names.of(lm)
        self._group: tuple[int, list[Drawn]] = (-1, [])  # the last one that was drawn

    def __len__(self) -> int:
        return self.config.steps * self.config.batch

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        group, place = divmod(i, GROUP * self.config.batch)
        if self._group[0] != group:
            self._group = group, self._draw_group(group)
        drawn = self._group[1][place]
        rng = np.random.default_rng([self.config.seed, group, drawn.number])
        shown = with_order(withhold(self.cases[drawn.case], drawn.share, rng=rng), rng)
        return labelled(self.made_up.of_case(shown, rng) if drawn.replayed else shown, self.words)

    def _draw_group(self, group: int) -> list[Drawn]:
        """Every row of a group of batches."""
        rng = np.random.default_rng([self.config.seed, group])
        size, shares = GROUP * self.config.batch, np.array(self.config.shares)
        numbers, shares = rng.integers(len(self.cases), size=size), shares[rng.integers(len(shares), size=size)]
        order = rng.permutation(GROUP)
        replayed = rng.random(size) < self.config.replay
        shares[replayed] = 0.0
        length = [len(self.cases[n].facts) - s * len(self.cases[n].path) for n, s in zip(numbers, shares, strict=True)]
        batches = np.argsort(length, kind="stable").reshape(GROUP, -1)[order]
        return [Drawn(int(numbers[k]), float(shares[k]), bool(replayed[k]), int(k)) for k in batches.ravel()]


def labelled(case: Case, words: Words | LanguageModel) -> dict[str, list[int]]:
    """A case with its answer as a row: input_ids, and labels that are -100 over the prompt.

    Examples:
        >>> from workbench.cases.example_case import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> row = labelled(case, load(names=case.names))
        >>> len(row["input_ids"]) == len(row["labels"]), row["labels"][0]  # the prompt is not learned
        (True, -100)
    """
    prompt = encode(case, words.template, words.tokenizer).ids
    answer = encode_answer(case, case.path, words.template, words.tokenizer)
    return {"input_ids": [*prompt, *answer], "labels": [-100] * len(prompt) + list(answer)}


def held_out_rows(cases: Sequence[Case], lm: LanguageModel, config: TrainConfig) -> list[dict[str, list[int]]]:
    """`HELD_OUT_ROWS` of the cases as rows, with shares of their needed facts withheld as in training.

    Examples:
        >>> from workbench.cases.example_case import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> rows = held_out_rows([case], load(names=case.names), TrainConfig())
        >>> sorted(rows[0])
        ['input_ids', 'labels']
    """
    rng = np.random.default_rng([config.seed, 1, 0, 0])
    some = mixed(cases)[:HELD_OUT_ROWS]
    shares = [config.shares[i % len(config.shares)] for i in range(len(some))]
    return [labelled(with_order(withhold(c, s, rng=rng), rng), lm) for c, s in zip(some, shares, strict=True)]


def longest_rows(cases: Sequence[Case], lm: LanguageModel, *, count: int = 32) -> list[int]:
    """Tokens of the longest cases with their answers: those whose facts have the longest names, all together."""

    def letters(case: Case) -> int:
        return sum(len(case.names[fact.head]) + len(case.names[fact.tail]) for fact in case.facts)

    some = sorted(cases, key=letters, reverse=True)[:count]
    answers = [encode_answer(c, c.path, lm.template, lm.tokenizer) for c in some]
    return [len(encode(c, lm.template, lm.tokenizer).ids) + len(a) for c, a in zip(some, answers, strict=True)]


def collate(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Right-padded batch: input_ids and attention_mask, (rows, longest) int64, and labels where the loss looks.

    `logits_to_keep` (kept,) are the positions whose next token has a label in some row; logits are computed there only,
    which spares the vocabulary at prompt tokens. `labels` and `shift_labels` (rows, kept) are those next tokens; the
    loss skips -100.

    Examples:
        >>> rows = [{"input_ids": [1, 2, 3], "labels": [-100, -100, 3]}, {"input_ids": [4, 5], "labels": [-100, 5]}]
        >>> batch = collate(rows, 0)
        >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist()
        ([[1, 2, 3], [4, 5, 0]], [[1, 1, 1], [1, 1, 0]])
    """
    width = max(len(r["input_ids"]) for r in rows)
    ids = torch.full((len(rows), width), pad)
    following = torch.full((len(rows), width), -100)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for k, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[k, :n], mask[k, :n] = torch.as_tensor(row["input_ids"]), 1
        following[k, : n - 1] = torch.as_tensor(row["labels"][1:])
    kept = (following != -100).any(0).nonzero()[:, 0]
    labels = following[:, kept]
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "logits_to_keep": kept,
        "labels": labels,
        "shift_labels": labels,
    }
