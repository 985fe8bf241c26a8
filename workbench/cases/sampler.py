"""One case drawn from a graph: a question about a random toolchain, and distractors that leave the answer unique.

Every step of a toolchain passes the test of a link (`workbench.kg.links`) for the data in hand, and what practitioners
take first is drawn more often than what they rarely take. A model sees formats alone, so the answer is unique by format
as well.

Kinds of question: the chain from a source to a target; the chain toward a goal, a kind of data that the last command
must give; and a missing step, the one command, with the formats on both sides of it, that a chain shown in the question
lacks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from workbench.artifacts.checks import check_number, check_seed, check_several, check_whole, shown
from workbench.cases import CHAIN, GOAL, QUESTIONS, STEP, Case, Fact, toolchain
from workbench.cases.practice import Practice, Weighted, weighted
from workbench.kg.chains import is_a
from workbench.kg.links import Flow, Links

Nodes = tuple[str, ...]
SENTENCES = {
    CHAIN: "which chain leads from {source} to {target}?",
    GOAL: "which chain makes data of the kind {target} from {source}?",
    STEP: "which chain of one command leads from {source} to {target} in place of ? in {whole}?",
}


class Question(NamedTuple):
    """What is asked. path: node ids that answer it; whole: of a missing step, the chain of which path is a stretch."""

    path: Nodes
    kind: str = CHAIN
    whole: Nodes = ()

    @property
    def chain(self) -> Nodes:
        """All that question and answer name in a row."""
        return self.whole or self.path


def gap(path: Nodes, number: int) -> Question:
    """The question for a command of a path (source, format, command, format, ...), by its number from 0."""
    return Question(path[2 * number + 1 : 2 * number + 4], STEP, path)


def sentence(case: Case) -> str:
    """The question of a case in one sentence."""
    names = {node: " ".join(name.split()) for node, name in case.names.items()}
    whole = " -> ".join(names[node] if node else "?" for node in case.gapped)
    return SENTENCES[case.kind].format(source=names[case.source], target=names[case.target], whole=whole)


def chains_by_kind(
    given: Iterable[Flow], goal: str, commands: Set[str], after: Callable[[tuple[Flow, ...], str], tuple[Flow, ...]]
) -> set[Nodes]:
    """All shortest chains of some commands whose last output is, or lies below, a kind of data, by the test of a link
    alone; the empty chain if it is given, none if no chain leads to it. after: what a command makes of flows."""
    front: dict[Nodes, tuple[Flow, ...]] = {(): tuple(given)}
    while front:
        hits = {chain for chain, flows in front.items() if any(is_a(flow, goal) for flow in flows)}
        if hits:
            return hits
        longer = ((chain, flows, c) for chain, flows in front.items() for c in sorted(commands - set(chain)))
        front = {(*chain, c): made for chain, flows, c in longer if (made := after(flows, c))}
    return set()


STEPS = 12  # commands tried at each step of a walk


@dataclass(frozen=True)
class SamplingConfig:
    """How cases are drawn. Every count is of cases; shares lie in [0, 1]."""

    train: int = 3000  # training cases
    held_out: int = 200  # cases on (source, target) pairs that no training case asks
    held_out_sequences: int = 200  # at most: cases whose commands in a row no training case answers or contains
    held_out_tools: int = 100  # cases whose answer needs a tool that no training case mentions
    tool_share: float = 0.08  # share of tools kept out of the training
    length_shares: tuple[float, ...] = (0.2, 0.35, 0.25, 0.15, 0.05)  # shares of toolchains of 1, 2, ... commands
    near_share: float = 0.4  # share of the distractors that read or write a format of the answer
    max_distractors: int = 6  # commands shown beside those of the answer
    max_facts: int = 24  # what the reader was trained to take in
    questions: tuple[str, ...] = (CHAIN,)  # kinds that are drawn, each as often: chain, goal, step
    in_field: bool = False  # the graph is one field; see `workbench.cases.practice.Practice`
    seed: int = 0

    def __post_init__(self) -> None:
        lowest = {"train": 1, "held_out": 1, "held_out_sequences": 0, "held_out_tools": 0}
        for name, low in (lowest | {"max_distractors": 1, "max_facts": 3}).items():
            check_whole(name, getattr(self, name), low=low)
        check_number("tool_share", self.tool_share)
        if self.tool_share >= 1:
            raise ValueError(f"tool_share must lie in [0, 1), not {self.tool_share!r}")
        check_number("near_share", self.near_share, high=1)
        for share in check_several("length_shares", self.length_shares, "shares of 0 or more"):
            check_number("every one of length_shares", share)
        if not sum(self.length_shares) > 0:
            raise ValueError(f"length_shares must not all be 0, not {self.length_shares!r}")
        for kind in check_several("questions", self.questions, f"of {', '.join(QUESTIONS)}"):
            if kind not in QUESTIONS:
                raise ValueError(f"every one of questions must be one of {', '.join(QUESTIONS)}, not {shown(kind)}")
        check_seed(self.seed)


class Sampler:
    """Draws cases from the data-flow edges of a BioToolKG graph (see `workbench.kg`)."""

    def __init__(self, graph: nx.MultiDiGraph, flow: nx.DiGraph, *, config: SamplingConfig):
        self.flow = flow
        self.names: Mapping[str, str] = {n: graph.nodes[n]["name"] for n in flow}
        self.sources = sorted(n for n in flow if n.startswith("source:") and flow.out_degree(n))
        self.commands = sorted(n for n in flow if n.startswith("command:"))
        self.tool_of = {c: t for c, t, r in graph.edges(keys=True) if r == "command_of"}
        self.reads = {n: set(flow.predecessors(n)) for n in flow}
        self.writes = {n: set(flow.successors(n)) for n in flow}
        self.readers = {n: {c for c in flow.successors(n) if c.startswith("command:")} for n in flow}
        self.next = {n: set().union(*(self.readers[item] for item in self.writes[n])) for n in flow}  # may come behind
        self.links = Links(graph)
        self.after = cache(lambda flows, *step: tuple(self.links.after(flows, *step)))
        self.made = cache(lambda flows, command: tuple(self.links.after(flows, None, command, None)))
        self.behind = cache(self.steps_from)
        self.practice = Practice(graph, self.tool_of, self.links, in_field=config.in_field)
        self.ahead: dict[tuple[tuple[Flow, ...], str, int], bool] = {}
        self.starts = self.weighted_starts()
        self.steps = {n: [(c, end) for c in sorted(self.readers[n]) for end in sorted(self.writes[c])] for n in flow}
        self.config = config

    def fact(self, head: str, tail: str) -> Fact:
        """The flow edge between two nodes, as a fact."""
        return Fact(head, self.flow.edges[head, tail]["relation"], tail)

    def weighted_starts(self) -> Weighted:
        """(source, format), drawn by the weights of what takes it."""
        starts = [(source, item) for source in self.sources for item in sorted(self.writes[source])]
        weight = self.practice.weight
        taken = [sum(weight[c] for c in sorted(self.readers[item]) if self.takes(s, item, c)) for s, item in starts]
        return weighted([(one, self.practice.start(one[1], sum_)) for one, sum_ in zip(starts, taken, strict=True)])

    def takes(self, source: str, item: str, command: str) -> bool:
        """Whether a command takes what a source delivers as `item`, as its main input."""
        flows = self.links.start(source, item)
        return any(self.links.after(flows, item, command, end) for end in self.writes[command])

    def walk(
        self, rng: np.random.Generator, length: int, allowed: set[str], *, sought: frozenset[str] = frozenset()
    ) -> tuple[str, ...] | None:
        """A random path of `length` commands from a source to a format or data; None when it got stuck.

        Every stretch from the source is the only shortest chain among the commands walked so far. sought: commands
        that are taken as readily as the likeliest beside them.
        """
        for start in self.starts.drawn(rng, 1):
            return self.extended(rng, start, tuple(self.links.start(*start)), length, allowed, sought)
        return None

    def extended(
        self,
        rng: np.random.Generator,
        path: tuple[str, ...],
        flows: tuple[Flow, ...],
        left: int,
        allowed: Set[str],
        sought: frozenset[str],
    ) -> tuple[str, ...] | None:
        """The path and so many commands more, `flows` being what is in hand at its end. Goes back where it is stuck."""
        if left == 0:
            return path
        for step in self.behind(path[-1], sought, left == 1).drawn(rng, STEPS):
            if step[0] not in allowed or step[0] in path or step[1] in path:
                continue
            after = self.after(flows, path[-1], *step)
            longer, leads = (*path, *step), self.leads_on(after, step[1], left - 1)
            if leads and self.is_unique(longer, {*toolchain(path), step[0]}):
                found = self.extended(rng, longer, after, left - 1, allowed, sought)
                if found:
                    return found
        return None

    def leads_on(self, flows: tuple[Flow, ...], item: str, left: int) -> bool:
        """Whether so many commands can follow on what is in hand as `item`."""
        if left == 0 or not flows:
            return bool(flows)
        if (key := (flows, item, left)) not in self.ahead:
            steps = self.steps[item]
            self.ahead[key] = any(self.leads_on(self.after(flows, item, *step), step[1], left - 1) for step in steps)
        return self.ahead[key]

    def steps_from(self, item: str, sought: frozenset[str], last: bool) -> Weighted:
        """(command, end) that may come behind a format or kind of data. last: none comes behind these."""
        steps = [(step, self.practice.step(*step, last=last)) for step in self.steps[item]]
        most = max((weight for _, weight in steps), default=0.0)
        return weighted([(step, most if step[0] in sought else weight) for step, weight in steps])

    def question(self, rng: np.random.Generator, path: tuple[str, ...], kind: str) -> Question | None:
        """A question of a kind whose answer lies on a path; None where the path gives none with a single answer."""
        found = gap(path, int(rng.integers(len(toolchain(path))))) if kind == STEP else Question(path, kind)
        sure = kind == CHAIN or self.is_unique(found.path, set(toolchain(path)), kind)
        return found if sure and (kind != GOAL or self.flow.nodes[path[-1]]["type"] == "data") else None

    def is_unique(self, path: tuple[str, ...], commands: set[str], kind: str = CHAIN) -> bool:
        """Is the path's toolchain the only shortest one among all that the graph knows of these commands? It is told
        by the names of what they read and write; of a goal, by their ports as well."""
        only = {toolchain(path)}
        if self.shortest_chains(path[0], path[-1], commands) != only:
            return False
        return kind != GOAL or chains_by_kind(self.links.gives[path[0]], path[-1], commands, self.made) == only

    def shortest_chains(self, source: str, target: str, commands: set[str]) -> set[tuple[str, ...]]:
        """All shortest toolchains from source to target that use only `commands`; the empty chain if none is needed."""
        given = self.writes[source] if source.startswith("source:") else {source}
        if target in given:
            return {()}
        first = commands & set().union(*(self.readers[item] for item in given))
        front: dict[str, set[tuple[str, ...]]] = {c: {(c,)} for c in first}
        left = commands - front.keys()
        while front:
            hits: set[tuple[str, ...]] = set().union(
                *(chains for c, chains in front.items() if target in self.writes[c])
            )
            if hits:
                return hits
            after: dict[str, set[tuple[str, ...]]] = {}
            for here, chains in front.items():
                for there in left & self.next[here]:
                    after.setdefault(there, set()).update((*chain, there) for chain in chains)
            front, left = after, left - after.keys()
        return set()

    def distractors(self, rng: np.random.Generator, question: Question, allowed: set[str], room: int) -> list[Fact]:
        """Facts of commands that touch the path or lie beside it and open no second shortest chain."""
        used, path = set(toolchain(question.chain)), question.path
        facts: list[Fact] = []
        near = sorted({c for f in path for c in (*self.reads[f], *self.writes[f])} & allowed - used)
        rest = [c for c in self.commands if c in allowed and c not in used]  # sorted, as `near` is
        for _ in range(int(rng.integers(1, self.config.max_distractors + 1))):
            pool = near if near and rng.random() < self.config.near_share else rest
            command = pool[rng.integers(len(pool))]
            reads = [self.fact(f, command) for f in some(rng, self.reads[command], 2)]
            writes = [self.fact(command, f) for f in some(rng, self.writes[command], 2)]
            new = reads[: rng.integers(1, 3)] + writes[: rng.integers(1, 3)]
            if (
                command in used
                or len(facts) + len(new) > room
                or not self.is_unique(path, used | {command}, question.kind)
            ):
                continue
            used.add(command)
            facts += new
        return facts

    def case(
        self, rng: np.random.Generator, question: Question, allowed: set[str], *, id: str, split: str
    ) -> Case | None:
        """The case of a question; None when its path is not the only shortest chain among the commands it names."""
        path, kind, whole = question
        if not self.is_unique(path, set(toolchain(question.chain)), kind):
            return None
        named = [self.fact(*step) for step in itertools.pairwise(question.chain)]
        facts = named + self.distractors(rng, question, allowed, self.config.max_facts - len(named))
        shown = tuple(facts[i] for i in rng.permutation(len(facts)))
        names = {n: self.names[n] for f in shown for n in (f.head, f.tail)}
        return Case(id, path[0], path[-1], shown, path, names, split=split, kind=kind, whole=whole)


def some(rng: np.random.Generator, nodes: Iterable[Any], count: int) -> list[Any]:
    """Up to `count` of the nodes (or tuples of nodes), drawn at random; the same draw whatever order they come in."""
    ordered = sorted(nodes)
    return [ordered[i] for i in rng.permutation(len(ordered))[:count]]
