"""Patterns of facts with unknowns, as SPARQL's basic graph patterns are: what they match, and how they are said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

import networkx as nx

from workbench.kg.build import Fact

ASKED = "?"
Pattern = tuple[Fact, ...]
"""Facts of which an end may be unknown: `?` is what is asked, `?x` stands on the way."""


class Way(NamedTuple):
    """A match: what `?` stands for, and the facts that say so, in the pattern's order."""

    found: str
    used: tuple[Fact, ...]


class Facts:
    """Facts by relation and end. of: relation -> its facts."""

    def __init__(self, facts: Iterable[Fact]):
        self.of: defaultdict[str, list[Fact]] = defaultdict(list)
        self.at: defaultdict[str, list[Fact]] = defaultdict(list)  # node -> facts of it
        self._at: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)  # the same, of one relation
        for fact in facts:
            self.of[fact[1]].append(fact)
            for end in {fact[0], fact[2]}:
                self.at[end].append(fact)
                self._at[end, fact[1]].append(fact)

    def ways(self, pattern: Pattern, most: int) -> list[Way]:
        """Matches, `most` of them. Of each fact of the pattern an end must be known, or found by those before it."""
        found = islice(self._matched(pattern, {}, ()), most)
        return [Way(known[ASKED], used) for known, used in found]

    def _matched(
        self, pattern: Pattern, known: Mapping[str, str], used: tuple[Fact, ...]
    ) -> Iterator[tuple[Mapping[str, str], tuple[Fact, ...]]]:
        if not pattern:
            yield known, used
            return
        head, relation, tail = (known.get(part, part) for part in pattern[0])
        for fact in self._at[tail if head.startswith(ASKED) else head, relation]:
            new = {part: end for part, end in ((head, fact[0]), (tail, fact[2])) if part.startswith(ASKED)}
            if fact == (new.get(head, head), relation, new.get(tail, tail)):
                yield from self._matched(pattern[1:], {**known, **new}, (*used, fact))


class Verb(NamedTuple):
    """A relation in words. one, many: of one or many subjects; turned: the subject is the fact's tail."""

    one: str
    many: str
    turned: bool = False


VERBS = {
    "input": Verb("reads", "read", turned=True),
    "output": Verb("writes", "write"),
    "input_data": Verb("takes", "take", turned=True),
    "output_data": Verb("makes", "make"),
    "download_from": Verb("delivers", "deliver"),
    "command_of": Verb("belongs to", "belong to"),
    "performs": Verb("performs", "perform"),
    "has_topic": Verb("is for", "are for"),
    "licensed_under": Verb("is licensed under", "are licensed under"),
    "encodes": Verb("holds", "hold"),
}
NOUNS = {
    "data": ("kind of data", "kinds of data"),
    "license": ("licence", "licences"),
    "topic": ("field", "fields"),
    "source": ("archive", "archives"),
}


class Wording:
    """Facts and questions about a graph in English; a relation of its own is said as it is called."""

    def __init__(self, graph: nx.MultiDiGraph):
        self.names, self.types = dict(graph.nodes(data="name")), dict(graph.nodes(data="type"))

    @staticmethod
    def verb(relation: str) -> Verb:
        """The relation's verb."""
        words = relation.replace("_", " ")
        return VERBS.get(relation, Verb(words, words))

    def nouns(self, node: str) -> tuple[str, str]:
        """What the node is: one, and several."""
        kind = str(self.types[node]).replace("-", " ")
        return NOUNS.get(str(self.types[node]), (kind, f"{kind}s"))

    def ends(self, fact: Fact) -> tuple[str, str]:
        """Subject and object of the fact as it is said."""
        return (fact[2], fact[0]) if self.verb(fact[1]).turned else (fact[0], fact[2])

    def fact(self, fact: Fact) -> str:
        """A fact as a sentence without its full stop."""
        subject, object_ = self.ends(fact)
        return f"{self.names[subject]} {self.verb(fact[1]).one} {self.names[object_]}"

    def clause(self, fact: Fact) -> str:
        """What the fact says of several subjects: `are licensed under MIT`."""
        return f"{self.verb(fact[1]).many} {self.names[self.ends(fact)[1]]}"

    def a(self, fact: Fact) -> str:
        """The fact's subject by its kind and what is said of it: `tool that is licensed under MIT`."""
        subject, object_ = self.ends(fact)
        return f"{self.nouns(subject)[0]} that {self.verb(fact[1]).one} {self.names[object_]}"

    def the(self, fact: Fact, known: str, node: str) -> str:
        """An end of the fact by what is known, the other: `the tool that samtools sort belongs to`."""
        verb = self.verb(fact[1]).one
        said = f"{verb} {known}" if self.ends(fact)[0] == node else f"{known} {verb}"
        return f"the {self.nouns(node)[0]} that {said}"

    def which(self, fact: Fact, known: str, answer: str, *, options: bool = False) -> str:
        """What is the end `answer` of the fact, the other end being known in words?"""
        verb, nouns = self.verb(fact[1]), self.nouns(answer)[1]
        lead = f"Which of these {nouns}" if options else f"Which {nouns}"
        if self.ends(fact)[0] == answer:
            return f"{lead} {verb.one if options else verb.many} {known}?"
        if verb.one.startswith("is "):
            return f"{lead} is {known} {verb.one[3:]}?"
        return f"{lead} does {known} {verb.many}?" if fact[1] in VERBS else f"{lead}: {known} {verb.one} what?"

    def whether(self, relation: str, subject: str, claim: str) -> str:
        """Is this so, of a subject in words?"""
        verb = self.verb(relation)
        return (
            f"Is {subject} {verb.one[3:]} {claim}?" if verb.one[:3] == "is " else f"Does {subject} {verb.many} {claim}?"
        )
