"""Questions about a graph beyond chains, each with its right answer and the facts that it hangs on.

A question is a pattern of facts with unknowns. Its answer is what the whole graph gives; a question with more than a
few answers, with several ways to one, or with names that cannot be told apart is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import networkx as nx
import numpy as np

from workbench.kg.build import Fact, GraphError, facts_table
from workbench.kg.naming import name_key, plain_name
from workbench.kg.patterns import ASKED, Facts, Pattern, Way, Wording

MOST_ANSWERS, OPTIONS = 3, 4  # right ones of a question; right and wrong ones to choose from
ONE_EACH = ("command_of", "licensed_under")  # what these say of a thing is all of it: another claim is wrong
ENTITIES, OPTION, YES_NO, CHAIN = "entities", "option", "yesno", "chain"
MIDDLE = f"{ASKED}x"  # what stands on the way
T = TypeVar("T")


class NoQuestion(Exception):
    """What was drawn makes no question with one truth."""


@dataclass(frozen=True)
class Question:
    """A question and its answer. decision: how an answer is read. ways: to all right answers; counts: those that decide
    it; beside: nodes to tell something of; fields: of the record, such as `options`."""

    text: str
    decision: str
    answer: str
    pattern: Pattern
    ways: Sequence[Way]
    counts: Sequence[Way]
    beside: Sequence[str] = ()
    fields: dict[str, Any] = field(default_factory=dict)


class Quiz:
    """Draws questions about one graph. GraphError: there is nothing to ask about."""

    def __init__(self, graph: nx.MultiDiGraph, *, rng: np.random.Generator):
        table = facts_table(graph)
        self.facts = Facts(one for one in table if not one[1].endswith("_is_a"))
        if not self.facts.of:
            raise GraphError("graph: questions need facts of another relation than is_a, and there are none")
        self.rng, self.words = rng, Wording(graph)
        self.names, self.types = self.words.names, self.words.types
        self.is_a = nx.DiGraph((head, tail) for head, relation, tail in table if relation.endswith("_is_a"))

    def which(self, *, options: bool = False) -> Question:
        """What a fact names beside one of its ends."""
        fact = self._drawn(self.facts.of)
        known, answer = self._ends(fact)
        text = self.words.which(fact, self.names[known], answer, options=options)
        return self._of_all(text, (_put(fact, answer, ASKED),), options=options)

    def path(self, *, options: bool = False) -> Question:
        """What a fact names of the one thing that another names."""
        first = self._drawn(self.facts.of)
        known, middle = self._ends(first)
        second = self._one([fact for fact in self.facts.at[middle] if fact != first])
        answer = second[2] if second[0] == middle else second[0]
        self._ways((_put(first, middle, ASKED),), most=1)
        inner = self.words.the(first, self.names[known], middle)
        pattern = _put(first, middle, MIDDLE), _put(_put(second, middle, MIDDLE), answer, ASKED)
        return self._of_all(self.words.which(second, inner, answer, options=options), pattern, options=options)

    def both(self) -> Question:
        """What two facts are so of, the second perhaps of something whose kind and another fact are told."""
        subject = self.words.ends(self._drawn(self.facts.of))[0]
        mine = [fact for fact in self.facts.at[subject] if self.words.ends(fact)[0] == subject]
        first = self._one(mine)
        second = self._one([fact for fact in mine if fact[1] != first[1]])
        further, clause = self.words.ends(second)[1], self.words.clause(second)
        pattern = [_put(first, subject, ASKED), _put(second, subject, ASKED)]
        its = [fact for fact in self.facts.at[further] if self.words.ends(fact)[0] == further]
        if its and self.rng.integers(2):
            third = self._one(its)
            clause = f"{self.words.verb(second[1]).many} a {self.words.a(third)}"
            pattern = [pattern[0], _put(pattern[1], further, MIDDLE), _put(third, further, MIDDLE)]
        text = f"Which {self.words.nouns(subject)[1]} {self.words.clause(first)} and {clause}?"
        return self._of_all(text, tuple(pattern))

    def yesno(self, *, hops: int = 1) -> Question:
        """Whether the one thing that is so of a thing, or of the one thing that is so of it, is so, or another is."""
        first = self._drawn(ONE_EACH)
        pattern: Pattern = (_put(first, first[2], ASKED),)
        subject, relation = self.names[first[0]], first[1]
        if hops == 2:
            middle = first[2]
            second = self._one([one for one in self.facts.at[middle] if one[0] == middle and one[1] in ONE_EACH])
            self._ways(pattern, most=1)
            subject, relation = self.words.the(first, subject, middle), second[1]
            pattern = (_put(first, middle, MIDDLE), (MIDDLE, relation, ASKED))
        ways = self._ways(pattern, most=1)
        wrong, true = self._wrong(ways), bool(self.rng.integers(2))
        claim = self.names[ways[0].found if true else wrong[0]]
        text = self.words.whether(relation, subject, claim)
        answer = "yes" if true else "no"
        return Question(text, YES_NO, answer, pattern, ways, ways, wrong[:1], {"claim": claim})

    def chain(self) -> Question:
        """Which command leads from a source to a target, and through which format."""
        command, relation, target = self._drawn(("output", "output_data"))
        format_ = self._one([fact for fact in self.facts.at[command] if fact[1] == "input"])[0]
        source = self._one([fact for fact in self.facts.at[format_] if fact[1] == "download_from"])[0]
        if format_ == target:
            raise NoQuestion
        pattern = (source, "download_from", MIDDLE), (MIDDLE, "input", ASKED), (ASKED, relation, target)
        ways = self._ways(pattern, most=1)
        ends = {"source": self.names[source], "target": self.names[target]}
        answer = " -> ".join(map(self.names.get, (ways[0].used[0][2], ways[0].found, target)))  # type: ignore[arg-type]
        text = f"Which chain leads from {ends['source']} to {ends['target']}?"
        return Question(text, CHAIN, answer, pattern, ways, ways, fields=ends)

    def _of_all(self, text: str, pattern: Pattern, *, options: bool = False) -> Question:
        """The question for all answers, or for the one of them that is among wrong ones."""
        ways = self._ways(pattern)
        if not options:
            answer = "; ".join(sorted(self.names[way.found] for way in ways))
            return Question(text, ENTITIES, answer, pattern, ways, ways)
        right, wrong = self._one(ways), self._wrong(ways)
        names = [self.names[node] for node in (right.found, *wrong)]
        fields = {"options": [names[i] for i in self.rng.permutation(len(names))]}
        return Question(text, OPTION, names[0], pattern, ways, [right], wrong, fields)

    def _ends(self, fact: Fact) -> tuple[str, str]:
        """The two ends, whichever first."""
        return (fact[0], fact[2]) if self.rng.integers(2) else (fact[2], fact[0])

    def _one(self, found: Sequence[T]) -> T:
        if not found:
            raise NoQuestion
        return found[int(self.rng.integers(len(found)))]

    def _drawn(self, relations: Iterable[str]) -> Fact:
        """A fact, its relation as likely as any other."""
        return self._one(self.facts.of[self._one([one for one in relations if one in self.facts.of])])

    def _ways(self, pattern: Pattern, most: int = MOST_ANSWERS) -> list[Way]:
        """The ways to the answers. NoQuestion: none, too many, several to one, of several
        kinds, or named by the question."""
        ways = self.facts.ways(pattern, most + 1)
        found = {way.found for way in ways}
        single = len(found) == len(ways) <= most and len({self.types[node] for node in found}) == 1
        if not single or not found.isdisjoint(named(pattern)):
            raise NoQuestion
        return ways

    def _wrong(self, ways: Sequence[Way]) -> list[str]:
        """Nodes of the right answers' kind that are none, each to be told from them and from each other. NoQuestion:
        there is none."""
        chosen = [way.found for way in ways]
        kind = self.types[chosen[0]]
        told = dict.fromkeys(end for h, _, t in self.facts.of[ways[0].used[-1][1]] for end in (h, t))
        like = [node for node in told if self.types[node] == kind]
        for i in self.rng.permutation(len(like)):
            if len(chosen) == len(ways) + OPTIONS - 1:
                break
            if all(self._apart(like[i], one) for one in chosen):
                chosen.append(like[i])
        if len(chosen) == len(ways):
            raise NoQuestion
        return chosen[len(ways) :]

    def _apart(self, one: str, other: str) -> bool:
        """Whether neither name is in the other, and neither node is a kind of the other."""
        a, b = plain_name(self.names[one]), plain_name(self.names[other])
        both = one in self.is_a and other in self.is_a
        kin = both and (nx.has_path(self.is_a, one, other) or nx.has_path(self.is_a, other, one))
        return a not in b and b not in a and not kin


KINDS: dict[str, Callable[[Quiz], Question]] = {
    "which": Quiz.which,
    "option": lambda quiz: quiz.which(options=True),
    "yesno": Quiz.yesno,
    "path": Quiz.path,
    "path_option": lambda quiz: quiz.path(options=True),
    "path_yesno": lambda quiz: quiz.yesno(hops=2),
    "both": Quiz.both,
    "chain": Quiz.chain,
}
"""Kind of a question -> what draws one; NoQuestion where it does not."""


def named(pattern: Pattern) -> set[str]:
    """The nodes that a pattern names."""
    return {end for head, _, tail in pattern for end in (head, tail) if not end.startswith(ASKED)}


def stands_in(name: str, text: str) -> bool:
    """Whether a name stands in a text as whole words."""
    return bool(re.search(rf"(?<!\w){re.escape(name_key(name))}(?!\w)", name_key(text)))


def _put(fact: Fact, node: str, unknown: str) -> Fact:
    """The fact with an unknown in the place of a node."""
    head, relation, tail = (unknown if part == node else part for part in fact)
    return head, relation, tail
