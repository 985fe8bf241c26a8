"""A record as it is put to a model: its prompt in segments, and how the answer is read."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from workbench.cases import Case, Fact, toolchain
from workbench.kg.build import RELATIONS
from workbench.kg.paths import FLOW_RELATIONS
from workbench.logs import decisions
from workbench.logs.prompt import segments
from workbench.logs.records import Fault, Record
from workbench.logs.spans import sentences_of
from workbench.models import LanguageModel
from workbench.models.prompts import ChatTemplate, Segment
from workbench.models.reader import RESERVED, reader_word
from workbench.stats.games import BudgetSpent

CHAIN = "chain"
RECORD = "record"  # each record's own field `decision` names it


class Unit(NamedTuple):
    """What is taken out of a prompt: a fact, or characters [begin, end) of its piece of the text."""

    fact: int
    begin: int
    end: int


@dataclass(frozen=True)
class Asked:
    """What is asked. segments: of the user's message, or of a whole prompt where `whole`. parse: an answer's decision,
    None where it cannot be read. over: whether an answer that is being written may end there. Of answers of which the
    decision alone is wanted, settled: as in `decisions.Decision`; other: f(text, answer), whether it already decides
    another thing than that answer. facts: how many. cut: the sentences of facts that have several, in order; every
    other fact is a unit of its own. documents: numbers of the facts of each, where the log says so. decision: the name
    of what is read, by which answers that are written no further than it needs are told from others."""

    segments: tuple[Segment, ...]
    parse: Callable[[str], str | None]
    facts: int
    whole: bool = False
    over: Callable[[str], bool] | None = None
    settled: Callable[[str], bool] | None = None
    other: Callable[[str, str], bool] | None = None
    cut: tuple[Unit, ...] = ()
    documents: tuple[tuple[int, ...], ...] = ()
    decision: str = ""

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """All that can be taken out, by fact and place in it."""
        length = {one.fact: len(one.text) for one in self.segments}
        some = {one.fact for one in self.cut}
        rest = (Unit(fact, 0, length[fact]) for fact in range(self.facts) if fact not in some)
        return tuple(sorted((*self.cut, *rest)))

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.units)

    @cached_property
    def units_of(self) -> list[list[int]]:
        """The units of each fact."""
        found: list[list[int]] = [[] for _ in range(self.facts)]
        for number, one in enumerate(self.units):
            found[one.fact].append(number)
        return found

    def kept(self, segments: Sequence[Segment], keep: np.ndarray) -> list[Segment]:
        """Segments of this prompt without the units whose keep (units,) is False. A fact goes with its last sentence,
        and a sentence with the blank before it; the first with that behind it."""
        left = list[Segment]()
        for one in segments:
            units = self.units_of[one.fact] if one.fact >= 0 else []
            if one.fact < 0 or all(keep[i] for i in units):
                left.append(one)
            elif any(keep[i] for i in units):
                first, last = self.units[units[0]].begin, self.units[units[-1]].end
                said = "".join(one.text[self.units[i].begin : self.units[i].end] for i in units if keep[i]).lstrip()
                left.append(one._replace(text=f"{one.text[:first]}{said}{one.text[last:]}"))
        return left

    def length(self, keep: np.ndarray) -> int:
        """Characters of the prompt without some units, but for the model's own frame."""
        return sum(len(one.text) for one in self.kept(self.segments, keep))

    def framed(self, lm: LanguageModel) -> list[Segment]:
        """The segments of the model's prompt. Fault: the model reads no free text."""
        if self.whole:
            return list(self.segments)
        if not isinstance(lm.template, ChatTemplate):
            raise Fault("the decision", f"be {CHAIN!r} for the model {lm.name!r}", do="give another --model")
        frame = [Segment(text, markup=True) for text in (lm.template.opening, lm.template.closing)]
        return [frame[0], *self.segments, frame[1]]


class Allowance:
    """How much may be read: characters of prompts, each ask counted once, whether or not its answer was kept before;
    taken: not those."""

    def __init__(self, most: float = math.inf, taken: Mapping[str, int] | None = None):
        self.left, self.taken = most, Counter(taken)

    def take(self, wanted: Mapping[str, int], length: Callable[[str], int]) -> None:
        """Counts prompts by their keys. wanted: how often each is asked in all. BudgetSpent: they are more than is
        left; nothing is counted."""
        if math.isinf(self.left):
            return
        new = {key: count - self.taken[key] for key, count in wanted.items() if count > self.taken[key]}
        if (needed := sum(length(key) * count for key, count in new.items())) > self.left:
            raise BudgetSpent(f"prompts of {needed:,} more characters, where {self.left:,.0f} are left")
        self.left -= needed
        self.taken.update(new)


def decision_of(record: Record, name: str) -> str:
    """The name of a record's decision, where `name` is what was asked for. Fault: the record names none."""
    own = record.more.get("decision") if name == RECORD else name
    if not isinstance(own, str) or own == RECORD:
        do = "add `decision` to the record, or give another --decision"
        raise Fault("decision", "be the name of one", own, do=do)
    return own


def asked(
    record: Record, name: str, *, template: str | None = None, lm: LanguageModel | None = None, sentences: bool = False
) -> Asked:
    """A record with the decision of this name. lm: needed for chains, which have a prompt of their own. sentences:
    whether texts are cut into sentences. Fault: what the decision or the template needs is not there."""
    if name == CHAIN:
        if lm is None:
            raise Fault("the decision", "be other than 'chain' for a served model", do="give another --decision")
        return _chain(record, lm)
    made = decisions.decision(name, record)
    parts = tuple(segments(record, template, how=made.how))
    cut = tuple(_cut(record, parts)) if sentences else ()
    more: dict[str, Any] = {"settled": made.settled, "documents": _documents(record), "decision": name}
    return Asked(parts, made.parse, len(record.facts), cut=cut, **more)


def _cut(record: Record, parts: Sequence[Segment]) -> Iterator[Unit]:
    """The sentences of texts that have several, where they stand in the fact's piece; one that would not be known by
    its text stays whole."""
    for one in parts:
        fact = record.facts[one.fact] if one.fact >= 0 else None
        if fact and not fact.triple and one.text.count(fact.text) == 1 and len(spans := sentences_of(fact.text)) > 1:
            at = one.text.index(fact.text)
            yield from (Unit(one.fact, at + begin, at + end) for begin, end in spans)


def _documents(record: Record) -> tuple[tuple[int, ...], ...]:
    """The facts of each document, by their field `document`; one without it is a document of its own."""
    found = dict[str, list[int]]()
    for number, fact in enumerate(record.facts):
        given = fact.more.get("document")
        found.setdefault(f"#{number}" if given is None else f"={given}", []).append(number)
    return tuple(map(tuple, found.values())) if len(found) < len(record.facts) else ()


def chain_names(record: Record) -> dict[str, str]:
    """Node id -> name, of everything that a chain's record names. Fault: it is no question of a chain."""
    names = dict[str, str]()
    for number, fact in enumerate(record.facts):
        if fact.triple is None or fact.triple[1] not in FLOW_RELATIONS:
            do = f"use one of {', '.join(FLOW_RELATIONS)}, or another --decision"
            raise Fault(f"facts[{number}]", "be a triple of a relation that chains are made of", fact.text, do=do)
        head, relation, tail = fact.triple
        kinds = (types[0] for types in RELATIONS[relation])  # what else a source delivers is no step of a chain
        names |= {f"{kind}:{name}": name for kind, name in zip(kinds, (head, tail), strict=True)}
    return names


def _chain(record: Record, lm: LanguageModel) -> Asked:
    """The question which commands lead from the record's `source` to its `target`, in the prompt of the workbench."""
    own, known = chain_names(record), lm.ids
    by_name = {name: known.get(name, node) for node, name in own.items()}
    ends = [record.more.get(name) for name in ("source", "target")]
    for where, end in zip(("source", "target"), ends, strict=True):
        if not isinstance(end, str) or end not in by_name:
            raise Fault(where, "be a name of one of the facts", end, do=f"add `{where}` to the record")
    facts = tuple(Fact(by_name[h], r, by_name[t]) for h, r, t in (f.triple for f in record.facts if f.triple))
    names = {node: name for name, node in by_name.items()}
    if not isinstance(lm.template, ChatTemplate):
        _check_known(names, lm)
    source, target = (by_name[str(end)] for end in ends)
    case = Case(record.id, source, target, facts, (source, target), names)
    whole = {**lm.ids, **by_name}

    def commands(text: str) -> tuple[str, ...]:
        if not isinstance(lm.template, ChatTemplate) and "->" in text:  # as people and logs write a chain
            text = " ".join(map(reader_word, re.split(r"\s*->\s*", text.strip())))
        return toolchain(lm.template.parse(case, text, whole))

    def parse(text: str) -> str | None:
        return " -> ".join(names.get(node, lm.names.get(node, node)) for node in commands(text)) or None

    def other(text: str, answer: str) -> bool:
        named = commands(lm.template.settled(text))
        return named != commands(answer)[: len(named)]

    how: dict[str, Any] = {"over": lm.template.over, "other": other, "decision": CHAIN}
    return Asked(tuple(lm.template.segments(case)), parse, len(facts), whole=True, **how)


def _check_known(names: Mapping[str, str], lm: LanguageModel) -> None:
    """Fault: the reader has no word for one of the names."""
    words = lm.tokenizer.get_vocab().keys() - set(RESERVED)
    for name in names.values():
        if reader_word(name) not in words:
            raise Fault("facts", "name nodes of the adapter's graph alone", name, do="ask it of another --model")
