"""Cases as rows of token ids: facts drawn to be withheld anew at each sight, loss on the answer alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset

from workbench.cases import Case, mixed, withhold
from workbench.models import LanguageModel
from workbench.prompts import encode, encode_answer
from workbench.sampling import with_order
from workbench.train.config import TrainConfig
from workbench.train.progress import HELD_OUT_ROWS

GROUP = 8  # batches whose rows are drawn together and sorted by length


class Views(Dataset):
    """Training rows: a case, some of its facts withheld, the rest in a new order. Row i is the same in every run.

    Rows are drawn `GROUP` batches at a time and come sorted by length, so that a batch holds little padding; which of
    these batches comes first is drawn too. Read them in order.
    """

    def __init__(self, cases: Sequence[Case], lm: LanguageModel, *, config: TrainConfig):
        self.cases, self.lm, self.shares, self.config = cases, lm, config.shares, config
        self._group = lru_cache(maxsize=2)(self._draw_group)

    def __len__(self) -> int:
        return self.config.steps * self.config.batch

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        group, place = divmod(i, GROUP * self.config.batch)
        number, share, draw = self._group(group)[place]
        rng = np.random.default_rng([self.config.seed, group, draw])
        shown = with_order(withhold(self.cases[number], share, rng=rng), rng)
        return labelled(shown, self.lm)

    def _draw_group(self, group: int) -> list[tuple[int, float, int]]:
        """(case, share withheld, number of the draw) of every row of a group of batches."""
        rng = np.random.default_rng([self.config.seed, group])
        size = GROUP * self.config.batch
        numbers, shares = rng.integers(len(self.cases), size=size), rng.integers(len(self.shares), size=size)
        length = [
            len(self.cases[n].facts) - self.shares[s] * len(self.cases[n].path)
            for n, s in zip(numbers, shares, strict=True)
        ]
        batches = np.argsort(length, kind="stable").reshape(GROUP, -1)[rng.permutation(GROUP)]
        return [(int(numbers[k]), self.shares[shares[k]], int(k)) for k in batches.ravel()]


def labelled(case: Case, lm: LanguageModel) -> dict[str, list[int]]:
    """A case with its answer as a row: input_ids, and labels that are -100 over the prompt."""
    prompt = encode(case, lm.template, lm.tokenizer).ids
    answer = encode_answer(case, case.path, lm.template, lm.tokenizer)
    return {"input_ids": [*prompt, *answer], "labels": [-100] * len(prompt) + list(answer)}


def held_out_rows(cases: Sequence[Case], lm: LanguageModel, config: TrainConfig) -> list[dict[str, list[int]]]:
    """`HELD_OUT_ROWS` of the cases as rows, with shares of their needed facts withheld as in training."""
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
    """Right-padded batch: input_ids, attention_mask, labels, each (rows, longest) int64; the loss skips -100."""
    width = max(len(r["input_ids"]) for r in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), -100)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for k, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[k, :n], labels[k, :n], mask[k, :n] = torch.as_tensor(row["input_ids"]), torch.as_tensor(row["labels"]), 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
