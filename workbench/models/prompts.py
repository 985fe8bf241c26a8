"""Cases as text: one line per fact, the question before and after, and the way back from an answer to node ids.

A template gives segments of text; each carries the index of the fact it states, or -1. Segments are tokenised one by
one, so the tokens of a fact are known exactly, whatever the tokenizer. Names of the graph are data: they are never
read as special tokens or reserved words.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar, NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from workbench.cases import Case, Fact
from workbench.cases.sampler import sentence
from workbench.models.chat import CLOSED, frame, opens_thought
from workbench.models.reader import reader_word


class Segment(NamedTuple):
    """A piece of a prompt. fact: index into `case.facts`, -1 for the frame. markup: special tokens may be read."""

    text: str
    fact: int = -1
    markup: bool = False


@dataclass(frozen=True)
class Prompt:
    """Token ids of a prompt and, for each token, the index of the fact it belongs to (-1: none)."""

    ids: tuple[int, ...]
    fact: tuple[int, ...]


class Template(ABC):
    """What turns a case into text, and a generated text back into node ids. lead: markup that stands before an answer,
    where the model could still think.

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> ids = {name: node for node, name in case.names.items()}
        >>> ReaderTemplate().parse(case, "FASTQ star BAM", ids) == case.path
        True
    """

    lead = ""

    @abstractmethod
    def segments(self, case: Case) -> list[Segment]:
        """The whole prompt, every shown fact once, in shown order."""

    @abstractmethod
    def answer(self, case: Case, path: Sequence[str]) -> str:
        """The text that states `path` (node ids, source first)."""

    @abstractmethod
    def parse(self, case: Case, text: str, names: dict[str, str]) -> tuple[str, ...]:
        """Node ids found in a generated answer, source first. names: name -> id of every node that may be named."""

    def settled(self, text: str) -> str:
        """What of an answer that is still being written names the same nodes however it goes on: all of it where a
        token is a word."""
        return text

    def over(self, text: str) -> bool:
        """Whether whatever is written behind this text, it names the same nodes."""
        return False

    def thought(self, text: str) -> str:
        """What a model that reasons first wrote before its answer; empty for others."""
        return ""


class ReaderTemplate(Template):
    """The embedded reader's frame: bare word pairs, a relation word behind each, the question before and after.

    A goal is asked for by its name, as a target. The chain with a gap stands behind the first question.

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> ReaderTemplate().answer(case, case.path)
        'FASTQ star BAM'
    """

    def segments(self, case: Case) -> list[Segment]:
        """See `Template`."""
        question = f"to {self.name(case, case.target)} from {self.name(case, case.source)}"
        whole = " ".join(self.name(case, node) if node else ":" for node in case.gapped)  # `?` would end the facts
        first = f"{question} :\n{whole}\n" if whole else f"{question} :\n"
        lines = [
            Segment(f"{self.name(case, f.head)} {self.name(case, f.tail)} {f.relation}\n", i)
            for i, f in enumerate(case.facts)
        ]
        return [Segment("<s> ", markup=True), Segment(first), *lines, Segment(f"? {question}")]

    def name(self, case: Case, node: str) -> str:
        """A node's name as the reader's vocabulary spells it."""
        return reader_word(case.names[node])

    def answer(self, case: Case, path: Sequence[str]) -> str:
        """See `Template`."""
        return " ".join(self.name(case, n) for n in path[1:])

    def parse(self, case: Case, text: str, names: dict[str, str]) -> tuple[str, ...]:
        """See `Template`; words that name no node are left out."""
        known = {reader_word(name): node for name, node in names.items()}
        return (case.source, *(known[w] for w in text.split() if w in known))


class ChatTemplate(Template):
    """Plain sentences inside the model's own chat template; without one, the bare text.

    Most words that a byte-level BPE knows begin with a space. So every name stands behind one, in the answer too, and
    is the same tokens wherever it stands, but for the source where the answer begins; and no prompt ends in a space.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> template = ChatTemplate(game.engine.lm.tokenizer)  # one without a chat template
        >>> template.segments(game.case)[3].text.strip(), template.answer(game.case, game.case.path)
        ('- star reads FASTQ.', ' FASTQ -> star -> BAM')
    """

    arrow = " ->"
    verbs: ClassVar[dict[str, str]] = {
        "download_from": "{head} delivers {tail}.",
        "input": "{tail} reads {head}.",
        "output": "{head} writes {tail}.",
        "output_data": "{head} produces {tail}.",
    }
    task = (
        "You plan toolchains. A chain leads from a source through formats and commands to a target; "
        "each command reads what the step before it gave.\n"
    )
    order = "Answer with the chain alone, its steps joined by ' -> '.\n"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str = "given", *, thought: bool = False):
        """name: the model's, for errors. thought: the model reasons first, and what counts stands behind `</think>`;
        else a thought that its chat template opens is closed in the prompt. Raises ModelError: its chat template cannot
        be used (`chat.frame`)."""
        self.opening, self.closing = frame(tokenizer, name, thought=thought)
        self.reasons = "</think>" in tokenizer.get_vocab()
        self.lead = (CLOSED if opens_thought(self.closing) else f"<think>{CLOSED}") if thought else ""

    def segments(self, case: Case) -> list[Segment]:
        """See `Template`."""
        clean = {n: " ".join(name.split()) for n, name in case.names.items()}
        question = f"Question: {sentence(case)}\n"
        return [
            Segment(self.opening, markup=True),
            Segment(f"{self.task}{question}Facts:\n"),
            *(Segment(f"- {self._sentence(fact, clean)}\n", i) for i, fact in enumerate(case.facts)),
            Segment(question + self.order),
            Segment(self.closing, markup=True),
            *([] if self.lead else [Segment(clean[case.source] + self.arrow)]),
        ]

    def _sentence(self, fact: Fact, names: Mapping[str, str]) -> str:
        verb = self.verbs.get(fact.relation, "{head} is linked to {tail}.")
        return verb.format(head=names[fact.head], tail=names[fact.tail])

    def answer(self, case: Case, path: Sequence[str]) -> str:
        """See `Template`; the source stands in the prompt already, unless the model may think before it."""
        steps = self.arrow.join(f" {' '.join(case.names[n].split())}" for n in path[1:])
        return " ".join(case.names[case.source].split()) + self.arrow + steps if self.lead else steps

    def parse(self, case: Case, text: str, names: dict[str, str]) -> tuple[str, ...]:
        """See `Template`; of a reasoning model's output only the first line after `</think>` counts, and nothing of a
        thought that is not closed."""
        _, closed, text = text.rpartition("</think>")
        text = text.strip().partition("\n")[0] if closed or not self.lead else ""
        known = {" ".join(name.split()).casefold(): node for name, node in names.items()}
        steps = [re.sub(r"^[\s`*'\"]+|[\s`*'\".]+$", "", s).casefold() for s in re.split(r"\s*(?:->|→)\s*", text)]
        path = [known[s] for s in steps if s in known]
        return (case.source, *(path[1:] if path[:1] == [case.source] else path))

    def settled(self, text: str) -> str:
        """See `Template`: what stands before the last arrow; a name may be the start of a longer one."""
        return text[: max(text.rfind("->"), text.rfind("→"), 0)]

    def over(self, text: str) -> bool:
        """See `Template`: the first line is complete, and the model has no mark that could make a thought of it."""
        return not self.reasons and "\n" in text.lstrip()

    def thought(self, text: str) -> str:
        """See `Template`."""
        return text.rpartition("</think>")[0].removeprefix("<think>").strip()


def encode(
    case: Case, template: Template, tokenizer: PreTrainedTokenizerBase, keep: Sequence[bool] | np.ndarray | None = None
) -> Prompt:
    """The case's prompt as tokens. keep: bool (facts,), False leaves the line out (the text is rendered again)."""
    return tokenised(template.segments(case), tokenizer, keep)


def tokenised(
    segments: Iterable[Segment], tokenizer: PreTrainedTokenizerBase, keep: Sequence[bool] | np.ndarray | None = None
) -> Prompt:
    """Segments as tokens, those of facts whose keep (facts,) is False left out."""
    ids: list[int] = []
    fact: list[int] = []
    for segment in segments:
        if segment.fact >= 0 and keep is not None and not keep[segment.fact]:
            continue
        tokens = _tokens(tokenizer, segment.text, segment.markup)
        ids += tokens
        fact += [segment.fact] * len(tokens)
    return Prompt(tuple(ids), tuple(fact))


@lru_cache(maxsize=1 << 14)
def _tokens(tokenizer: PreTrainedTokenizerBase, text: str, markup: bool) -> tuple[int, ...]:
    """Token ids of one segment. Remembered: the same lines stand in thousands of prompts."""
    parts = [text] if markup else unmarked(text, tokenizer)
    encode = partial(tokenizer.encode, add_special_tokens=False, split_special_tokens=not markup)
    return tuple(token for part in parts for token in encode(part))


def unmarked(text: str, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """A text of data in parts to be tokenised one by one, cut within what would be read as markup.

    Only marks that the tokenizer lists as special can be told to be read as text. DeepSeek-R1's `<｜User｜>` and
    `</think>` are among those that are not.
    """
    marks = _marks(tokenizer)
    cuts = [found.start() + 1 for found in marks.finditer(text)] if marks else []
    return [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]


@lru_cache(maxsize=16)
def _marks(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str] | None:
    """Finds where a mark that is not special begins: an added token in brackets; other added tokens are words."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if not token.special)
    marks = sorted(filter(re.compile(r"[<\[{(].*[>\])}]", re.DOTALL).fullmatch, added))
    return re.compile(f"(?={'|'.join(map(re.escape, marks))})") if marks else None


def encode_answer(
    case: Case, path: Sequence[str], template: Template, tokenizer: PreTrainedTokenizerBase
) -> tuple[int, ...]:
    """Token ids of an answer, end-of-sequence included; of a model that reasons first with an empty thought."""
    lead = _tokens(tokenizer, template.lead, True) if template.lead else ()
    return (*lead, *_tokens(tokenizer, template.answer(case, path), False), int(tokenizer.eos_token_id))


def text(case: Case, template: Template, keep: Iterable[bool] | None = None) -> str:
    """The prompt as a person reads it, without the facts whose keep is False."""
    kept = list(keep) if keep is not None else None
    return "".join(s.text for s in template.segments(case) if s.fact < 0 or kept is None or kept[s.fact])
