"""Questions about a graph as records of a log: the facts that decide them, among facts that distract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import networkx as nx
import numpy as np

from workbench.kg.build import Fact
from workbench.kg.naming import plain_name
from workbench.kg.paths import FLOW_RELATIONS
from workbench.kg.quiz import CHAIN, ENTITIES, KINDS, YES_NO, NoQuestion, Question, Quiz, named, stands_in

TRIES = 200  # draws without a new question before a kind is given up
SHORTEST = 2  # letters and digits of a name


def log_of(
    graph: nx.MultiDiGraph, n: int, *, rng: np.random.Generator, facts: int = 12, kinds: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """n records of questions about a graph, the kinds in turn, no question twice; fewer where it gives no more.

    facts: shown with each, more where the answer needs them. kinds: of `quiz.KINDS`; none: all. Each record has
    `decision` and `answer`, `kind`, `pattern`, and `truth`, numbers of the facts that decide. GraphError: the graph has
    no facts to ask about. ValueError: there is no such kind.

    Examples:
        >>> from workbench.kg import load_graph
        >>> one, = log_of(load_graph("mediakg").graph, 1, rng=np.random.default_rng(0), kinds=["yesno"])
        >>> one["decision"], len(one["facts"]), len(one["truth"])
        ('yesno', 12, 1)
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"no kind of question is called {unknown[0]!r}; there are {', '.join(KINDS)}")
    quiz, seen, left = Quiz(graph, rng=rng), set[str](), list(kinds or KINDS)
    while left and len(seen) < n:
        for kind in list(left)[: n - len(seen)]:
            record = next((one for one in _tried(quiz, kind, facts) if one["question"] not in seen), None)
            if record is None:
                left.remove(kind)
                continue
            seen.add(record["question"])
            yield {"id": f"{kind} {len(seen)}", "kind": kind, **record}


def _tried(quiz: Quiz, kind: str, most: int) -> Iterator[dict[str, Any]]:
    """What the next draws of a kind make."""
    for _ in range(TRIES):
        try:
            asked = KINDS[kind](quiz)
            yield _record(quiz, asked, _Shown(quiz, asked).facts(most))
        except NoQuestion:
            continue


def _record(quiz: Quiz, asked: Question, facts: Sequence[Fact]) -> dict[str, Any]:
    names, types = quiz.names, quiz.types
    ends = dict.fromkeys(end for fact in facts for end in (fact[0], fact[2]))
    like = [end for end in ends if types[end] == types[asked.ways[0].found] and end not in named(asked.pattern)]
    return {
        "question": asked.text,
        "decision": asked.decision,
        "answer": asked.answer,
        "facts": [
            {"subject": names[head], "relation": relation, "object": names[tail], "text": quiz.words.fact(fact)}
            for fact in facts
            for head, relation, tail in [fact]
        ],
        "truth": sorted(facts.index(fact) for fact in {fact for way in asked.counts for fact in way.used}),
        "pattern": [[names.get(head, head), relation, names.get(tail, tail)] for head, relation, tail in asked.pattern],
        **asked.fields,
        **({"entities": [names[end] for end in like]} if asked.decision == ENTITIES else {}),
    }


class _Shown:
    """The facts of one question: those that it needs, then others as long as all names can be told apart."""

    def __init__(self, quiz: Quiz, asked: Question):
        self.quiz, self.asked, self.shown, self.taken = quiz, asked, list[Fact](), dict[str, str]()
        self.known, self.kind = named(asked.pattern), quiz.types[asked.ways[0].found]
        self.relations = FLOW_RELATIONS if asked.decision == CHAIN else [fact[1] for fact in asked.pattern]

    def facts(self, most: int) -> list[Fact]:
        """In any order. NoQuestion: the names of those needed cannot be told apart."""
        for fact in dict.fromkeys(fact for way in self.asked.ways for fact in way.used):
            self.add(fact)
            if fact not in self.shown:
                raise NoQuestion
        for fact in self._others(most):
            if len(self.shown) >= most:
                break
            self.add(fact)
        return [self.shown[i] for i in self.quiz.rng.permutation(len(self.shown))]

    def add(self, fact: Fact) -> None:
        """Shows a fact, unless a name in it is too short, that of another thing, or an answer's that the question has;
        or, of a chain, it opens a second one."""
        names = {end: self.quiz.names[end] for end in (fact[0], fact[2])}
        keys = {end: plain_name(name) for end, name in names.items()}
        if any(len(key) < SHORTEST or self.taken.get(key, end) != end for end, key in keys.items()):
            return
        if len({*keys.values()}) < len(keys) or any(map(self._given_away, names)) or self._second(fact):
            return
        self.taken |= {key: end for end, key in keys.items()}
        self.shown += [fact] if fact not in self.shown else []

    def _given_away(self, end: str) -> bool:
        """Whether the question names what could be its answer."""
        open_ = self.asked.decision not in (CHAIN, YES_NO) and end not in self.known
        return open_ and self.quiz.types[end] == self.kind and stands_in(self.quiz.names[end], self.asked.text)

    def _second(self, fact: Fact) -> bool:
        """Whether the fact would open a second chain."""
        if self.asked.decision != CHAIN:
            return False
        flow = nx.DiGraph((head, tail) for head, _, tail in (*self.shown, fact))
        source, target = self.asked.pattern[0][0], self.asked.pattern[-1][2]
        return source in flow and target in flow and len(list(nx.all_simple_paths(flow, source, target))) > 1

    def _others(self, most: int) -> Iterator[Fact]:
        """Of each wrong option a fact like that of the right one, some of what the question names, and others like
        those that are needed."""
        quiz, related = self.quiz, [one for one in self.relations if one in self.quiz.facts.of]
        for node in self.asked.beside:
            yield from self._some([fact for fact in quiz.facts.at[node] if fact[1] in related], 1)
        near = [fact for end in sorted(self.known) for fact in quiz.facts.at[end]]
        near = [fact for fact in near if self.asked.decision != CHAIN or fact[1] in related]
        yield from self._some(near, most // 3)
        for i in quiz.rng.integers(len(related), size=10 * most):
            yield from self._some(quiz.facts.of[related[i]], 1)

    def _some(self, facts: Sequence[Fact], most: int) -> list[Fact]:
        return [facts[i] for i in self.quiz.rng.permutation(len(facts))[:most]]
