"""A record as it is put to a model: its prompt in segments, and how the answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workbench.cases import Case, Fact, toolchain
from workbench.kg.paths import FLOW_RELATIONS
from workbench.logs import decisions
from workbench.logs.prompt import segments
from workbench.logs.records import Fault, Record
from workbench.models import LanguageModel
from workbench.models.prompts import ChatTemplate, Segment
from workbench.models.reader import RESERVED, reader_word

CHAIN = "chain"
RECORD = "record"  # each record's own field `decision` names it
ENDS = {
    "download_from": ("source", "format"),
    "input": ("format", "command"),
    "output": ("command", "format"),
    "output_data": ("command", "data"),
}
"""Relation -> what its two ends are."""


@dataclass(frozen=True)
class Asked:
    """What is asked. segments: of the user's message, or of a whole prompt where `whole`. parse: an answer's decision,
    None where it cannot be read. over: whether an answer that is being written decides the same however it goes on;
    None: that cannot be told."""

    segments: tuple[Segment, ...]
    parse: Callable[[str], str | None]
    n: int
    whole: bool = False
    over: Callable[[str], bool] | None = None

    def framed(self, lm: LanguageModel) -> list[Segment]:
        """The segments of the model's prompt. Fault: the model reads no free text."""
        if self.whole:
            return list(self.segments)
        if not isinstance(lm.template, ChatTemplate):
            raise Fault("the decision", f"be {CHAIN!r} for the model {lm.name!r}", do="give another --model")
        frame = [Segment(text, markup=True) for text in (lm.template.opening, lm.template.closing)]
        return [frame[0], *self.segments, frame[1]]


def decision_of(record: Record, name: str) -> str:
    """The name of a record's decision, where `name` is what was asked for. Fault: the record names none."""
    own = record.more.get("decision") if name == RECORD else name
    if not isinstance(own, str) or own == RECORD:
        raise Fault(
            "decision", "be the name of one", own, do="add `decision` to the record, or give another --decision"
        )
    return own


def asked(record: Record, name: str, *, template: str | None = None, lm: LanguageModel | None = None) -> Asked:
    """A record with the decision of this name. lm: needed for chains, which have a prompt of their own. Fault: what the
    decision or the template needs is not there."""
    if name == CHAIN:
        if lm is None:
            raise Fault("the decision", "be other than 'chain' for a served model", do="give another --decision")
        return _chain(record, lm)
    made = decisions.decision(name, record)
    return Asked(tuple(segments(record, template, how=made.how)), made.parse, len(record.facts))


def chain_names(record: Record) -> dict[str, str]:
    """Node id -> name, of everything that a chain's record names. Fault: it is no question of a chain."""
    names = dict[str, str]()
    for number, fact in enumerate(record.facts):
        if fact.triple is None or fact.triple[1] not in ENDS:
            do = f"use one of {', '.join(FLOW_RELATIONS)}, or another --decision"
            raise Fault(f"facts[{number}]", "be a triple of a relation that chains are made of", fact.text, do=do)
        head, relation, tail = fact.triple
        names |= {f"{kind}:{name}": name for kind, name in zip(ENDS[relation], (head, tail), strict=True)}
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

    def parse(text: str) -> str | None:
        if not isinstance(lm.template, ChatTemplate) and "->" in text:  # as people and logs write a chain
            text = " ".join(map(reader_word, re.split(r"\s*->\s*", text.strip())))
        path = lm.template.parse(case, text, whole)
        return " -> ".join(names.get(node, lm.names.get(node, node)) for node in toolchain(path)) or None

    return Asked(tuple(lm.template.segments(case)), parse, len(facts), whole=True, over=lm.template.over)


def _check_known(names: Mapping[str, str], lm: LanguageModel) -> None:
    """Fault: the reader has no word for one of the names."""
    words = lm.tokenizer.get_vocab().keys() - set(RESERVED)
    for name in names.values():
        if reader_word(name) not in words:
            raise Fault("facts", "name nodes of the adapter's graph alone", name, do="ask it of another --model")
