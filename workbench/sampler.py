"""One case drawn from a graph: a random toolchain, and distractors that leave the answer unique.

Where a graph states what flows (`workbench.kg.port`), every step of a toolchain passes the test of a link for the data
in hand, and what practitioners take first is drawn more often than what they rarely take. A model sees formats alone,
so the answer is unique by format in any case.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from workbench.cases import Case, Fact, toolchain
from workbench.checks import check_number, check_seed, check_several, check_whole
from workbench.kg.links import Links

DRAWN = {"standard": 1.0, "common": 0.25, "special": 0.04, "outdated": 0.01, "": 0.25}
"""How often commands of a standing are drawn, compared with one another; "" where the graph does not say."""


@dataclass(frozen=True)
class SamplingConfig:
    """How cases are drawn. Every count is of cases; shares lie in [0, 1]."""

    train: int = 3000  # training cases
    held_out: int = 200  # cases on (source, target) pairs that no training case asks
    held_out_sequences: int = 160  # at most: cases whose commands in a row no training case answers or contains
    held_out_tools: int = 100  # cases whose answer needs a tool that no training case mentions
    tool_share: float = 0.08  # share of tools kept out of the training
    length_shares: tuple[float, ...] = (0.2, 0.3, 0.25, 0.15, 0.1)  # shares of toolchains of 1, 2, ... commands
    near_share: float = 0.4  # share of the distractors that read or write a format of the answer
    max_distractors: int = 6  # commands shown beside those of the answer
    max_facts: int = 24  # what the reader was trained to take in
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
        self.weight = {c: DRAWN.get(graph.nodes[c].get("standing", ""), DRAWN[""]) for c in self.commands}
        self.links = Links(graph) if any("standing" in graph.nodes[c] for c in self.commands) else None
        self.near_share, self.max_distractors, self.max_facts = (
            config.near_share,
            config.max_distractors,
            config.max_facts,
        )

    def commands_of_other_tools(self, tools: set[str]) -> set[str]:
        """Every command whose tool is not among `tools`."""
        return {c for c in self.commands if self.tool_of[c] not in tools}

    def fact(self, head: str, tail: str) -> Fact:
        """The flow edge between two nodes, as a fact."""
        return Fact(head, self.flow.edges[head, tail]["relation"], tail)

    def walk(self, rng: np.random.Generator, length: int, allowed: set[str]) -> tuple[str, ...] | None:
        """A random path of `length` commands from a source to a format or data; None when it got stuck.

        Every stretch from the source is the only shortest chain among the commands walked so far.
        """
        path = [self.sources[rng.integers(len(self.sources))]]
        path += some(rng, self.writes[path[0]], 1)
        flows = self.links.start(path[0], path[1]) if self.links else []
        for left in range(length, 0, -1):
            steps = [(c, end) for c in self.readers[path[-1]] & allowed for end in self.writes[c]]
            steps = [s for s in steps if not set(s) & set(path) and (left == 1 or self.readers[s[1]])]
            for step in self.by_standing(rng, steps) if self.links else some(rng, steps, 12):
                after = self.links.after(flows, path[-1], *step) if self.links else flows
                if (after or not self.links) and self.is_unique((*path, *step), {*toolchain(path), step[0]}):
                    path, flows = [*path, *step], after
                    break
            else:
                return None
        return tuple(path)

    def by_standing(self, rng: np.random.Generator, steps: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """(command, end) drawn one after another by the commands' weights: the largest u^(1/w) first.

        Efraimidis and Spirakis 2006, Information Processing Letters 97.
        """
        ordered = sorted(steps)
        keys = np.log(rng.random(len(ordered))) / np.array([self.weight[command] for command, _ in ordered])
        return [ordered[i] for i in np.argsort(-keys, kind="stable")]

    def is_unique(self, path: tuple[str, ...], commands: set[str]) -> bool:
        """Is the path's toolchain the only shortest one among all that the graph knows of these commands?"""
        return self.shortest_chains(path[0], path[-1], commands) == {toolchain(path)}

    def shortest_chains(self, source: str, target: str, commands: set[str]) -> set[tuple[str, ...]]:
        """All shortest toolchains from source to target that use only `commands`; the empty chain if none is needed."""
        if target in self.writes[source]:
            return {()}
        front: dict[str, set[tuple[str, ...]]] = {c: {(c,)} for c in commands if self.reads[c] & self.writes[source]}
        left = commands - front.keys()
        while front:
            hits: set[tuple[str, ...]] = set().union(
                *(chains for c, chains in front.items() if target in self.writes[c])
            )
            if hits:
                return hits
            after: dict[str, set[tuple[str, ...]]] = {}
            for here, chains in front.items():
                for there in left:
                    if self.writes[here] & self.reads[there]:
                        after.setdefault(there, set()).update((*chain, there) for chain in chains)
            front, left = after, left - after.keys()
        return set()

    def distractors(self, rng: np.random.Generator, path: tuple[str, ...], allowed: set[str], room: int) -> list[Fact]:
        """Facts of commands that touch the path or lie beside it and open no second shortest chain."""
        used = set(toolchain(path))
        facts: list[Fact] = []
        near = sorted({c for f in path[1:] for c in (*self.reads[f], *self.writes[f])} & allowed - used)
        rest = sorted(allowed - used)
        for _ in range(int(rng.integers(1, self.max_distractors + 1))):
            pool = near if near and rng.random() < self.near_share else rest
            command = pool[rng.integers(len(pool))]
            reads = [self.fact(f, command) for f in some(rng, self.reads[command], 2)]
            writes = [self.fact(command, f) for f in some(rng, self.writes[command], 2)]
            new = reads[: rng.integers(1, 3)] + writes[: rng.integers(1, 3)]
            if command in used or len(facts) + len(new) > room or not self.is_unique(path, used | {command}):
                continue
            used.add(command)
            facts += new
        return facts

    def case(
        self, rng: np.random.Generator, path: tuple[str, ...], allowed: set[str], *, id: str, split: str
    ) -> Case | None:
        """The case whose answer is `path`; None when the path is not the only shortest chain among its own commands."""
        if not self.is_unique(path, set(toolchain(path))):
            return None
        needed = [self.fact(*step) for step in itertools.pairwise(path)]
        facts = needed + self.distractors(rng, path, allowed, self.max_facts - len(needed))
        shown = tuple(facts[i] for i in rng.permutation(len(facts)))
        names = {n: self.names[n] for f in shown for n in (f.head, f.tail)}
        return Case(id=id, source=path[0], target=path[-1], facts=shown, path=path, names=names, split=split)


def some(rng: np.random.Generator, nodes: Iterable[Any], count: int) -> list[Any]:
    """Up to `count` of the nodes (or tuples of nodes), drawn at random; the same draw whatever order they come in."""
    ordered = sorted(nodes)
    return [ordered[i] for i in rng.permutation(len(ordered))[:count]]
