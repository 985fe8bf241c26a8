"""Cases as rows of token ids: facts drawn to be withheld anew at each sight, loss on the answer alone.

A model that is trained to remember forgets to read what it does not know. Rows with nothing withheld and made-up names,
others at each sight, keep it reading: what such a row asks for can be read, and cannot be remembered. The embedded
reader has tokens that no name of the graph uses; any other model gets names in the shape of those that they stand for,
of pronounceable words or of words that the graph's own names are made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from workbench.cases import Case, mixed, withhold
from workbench.cases.sampling import with_order
from workbench.models import LanguageModel
from workbench.models.prompts import ReaderTemplate, Template, encode, encode_answer
from workbench.models.reader import entity_words, reader_word
from workbench.train.config import TrainConfig
from workbench.train.progress import HELD_OUT_ROWS

Draw = Callable[[np.random.Generator], str]

ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pl qu r s sh sk st t th tr v w z".split()
VOWELS = "a e i o u ai ea io oo".split()
ENDS = ["", "", "", "l", "m", "n", "r", "s", "t", "x"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORD = re.compile(r"[A-Za-z]{2,}")  # in a name


@dataclass(frozen=True)
class Names:
    """Draws made-up names for nodes: words of the reader, or pronounceable ones that are no names of the graph.

    taken: the graph's names, as `plain` gives them. spare, own: the reader's words for entities without and with a name
    in the graph; none for another model. kinds: the graph's names by kind of node; none for the reader. No weights are
    held, so that worker processes can have it.
    """

    taken: frozenset[str]
    spare: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, lm: LanguageModel) -> Names:
        """Those for a model."""
        taken = frozenset(map(plain, lm.names.values()))
        if not isinstance(lm.template, ReaderTemplate):
            kinds: dict[str, list[str]] = {}
            for node, name in lm.names.items():
                kinds.setdefault(_kind(node), []).append(name)
            return cls(taken, kinds={kind: tuple(names) for kind, names in kinds.items()})
        own = {reader_word(name) for name in lm.names.values()}
        return cls(taken, tuple(sorted(entity_words(lm.tokenizer) - own)), tuple(sorted(own)))

    def draw(self, nodes: Iterable[str], rng: np.random.Generator) -> dict[str, str]:
        """node id -> name, each another. Where the reader has too few words to spare for so many nodes, all of its
        words are dealt among them: then a name may be one of the graph, though hardly its own."""
        nodes = sorted(nodes)
        if self.spare or self.own:
            pool = self.spare if len(self.spare) >= len(nodes) else self.spare + self.own
            return {node: pool[i] for node, i in zip(nodes, rng.permutation(len(pool)), strict=False)}
        found: dict[str, str] = {}
        used = set(self.taken)
        for node in nodes:
            while plain(name := self._name(_kind(node), rng)) in used:
                pass
            found[node] = name
            used.add(plain(name))
        return found

    def _name(self, kind: str, rng: np.random.Generator) -> str:
        """Half of them of made-up words. The others are put together of words of the graph's names: a new tool's names
        look like those of tools that are known, and a model shall read these, too, and not take them for known ones."""
        names = self.kinds.get(kind, ())
        if not names or rng.random() < 0.5:
            return SHAPES.get(kind, _format)(rng)
        return WORD.sub(lambda _: _one(WORD.findall(_one(names, rng)), rng), _one(names, rng))

    def of_case(self, case: Case, rng: np.random.Generator) -> Case:
        """The case with a made-up name for every node or, as often, for some commands of an otherwise known world.

        The first keep a model reading where it knows nothing, the second where a new tool stands among known formats.
        """
        nodes = list(case.names)
        if rng.random() < 0.5:
            commands = [node for node in nodes if node.startswith("command:")]
            share = rng.random()
            nodes = [node for node in commands if rng.random() < share] or commands
        return replace(case, names={**case.names, **self.draw(nodes, rng)})


def renamed(cases: Sequence[Case], lm: LanguageModel, *, seed: int) -> tuple[list[Case], LanguageModel]:
    """Cases of the graph as it would be if every name in it were made up, and the same model to ask about it."""
    names = Names.of(lm).draw(lm.names, np.random.default_rng(seed))
    other = ((case, {node: names[node] for node in case.names}) for case in cases)
    made_up = [replace(case, id=f"made_up-{case.id}", split="made_up", names=own) for case, own in other]
    return made_up, replace(lm, names=names)


def _kind(node: str) -> str:
    """`format` of `format_1930` and of `format:x`."""
    return node.replace("_", ":").partition(":")[0]


def _one(some: Sequence[str], rng: np.random.Generator) -> str:
    """One of them, nothing of none."""
    return some[int(rng.integers(len(some)))] if some else ""


def plain(name: str) -> str:
    """A name as names are told apart: the same whatever its case and white space."""
    return " ".join(name.split()).casefold()


def _word(rng: np.random.Generator, syllables: int) -> str:
    """A pronounceable word, such as `strelio`."""
    parts = [some[rng.integers(len(some))] for _ in range(syllables) for some in (ONSETS, VOWELS, ENDS)]
    return "".join(parts)


def _command(rng: np.random.Generator) -> str:
    """As `samtools sort`, or of a tool that is one command."""
    tool = _word(rng, int(rng.integers(2, 4)))
    return f"{tool} {_word(rng, int(rng.integers(1, 3)))}" if rng.random() < 0.5 else tool


def _format(rng: np.random.Generator) -> str:
    """As `FASTQ`."""
    return "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=rng.integers(3, 6)))


def _data(rng: np.random.Generator) -> str:
    """As `gene expression`."""
    return f"{_word(rng, 2)} {_word(rng, 2)}"


def _source(rng: np.random.Generator) -> str:
    """As `Sequence Archive`."""
    return _data(rng).title()


SHAPES: Mapping[str, Draw] = {"command": _command, "source": _source, "data": _data}


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
        >>> from workbench.cases import example_case
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
        >>> from workbench.cases import example_case
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
        >>> from workbench.cases import example_case
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

    return [len(labelled(case, lm)["input_ids"]) for case in sorted(cases, key=letters, reverse=True)[:count]]


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
    given = [torch.tensor(row["input_ids"]) for row in rows]
    next_labels = [torch.tensor([*row["labels"][1:], -100]) for row in rows]
    ids = pad_sequence(given, batch_first=True, padding_value=pad)
    mask = pad_sequence([torch.ones_like(one) for one in given], batch_first=True)
    following = pad_sequence(next_labels, batch_first=True, padding_value=-100)
    kept = (following != -100).any(0).nonzero()[:, 0]
    labels = following[:, kept]
    return {"input_ids": ids, "attention_mask": mask, "logits_to_keep": kept, "labels": labels, "shift_labels": labels}
