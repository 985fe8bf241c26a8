"""Cases drawn from a graph: random toolchains, distractors that leave the answer unique, and a split without leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

from workbench.cases import Case, Fact, toolchain


@dataclass(frozen=True)
class SamplingConfig:
    """How cases are drawn. Every count is of cases; shares lie in [0, 1]."""

    train: int = 3000  # training cases
    held_out: int = 200  # cases on (source, target) pairs that no training case asks
    held_out_tools: int = 100  # cases whose answer needs a tool that no training case mentions
    tool_share: float = 0.08  # share of tools kept out of the training
    pair_share: float = 0.15  # share of (source, target) pairs kept out of the training
    max_commands: int = 5  # longest toolchain asked for
    max_distractors: int = 6  # commands shown beside those of the answer
    max_facts: int = 24  # what the reader was trained to take in
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("train", 1), ("held_out", 1), ("held_out_tools", 0), ("max_commands", 1), ("max_facts", 3)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be {low} or more, not {getattr(self, name)!r}")
        for name in ("tool_share", "pair_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)!r}")


class Sampler:
    """Draws cases from the data-flow edges of a BioToolKG graph (see `workbench.kg`)."""

    def __init__(self, graph: nx.MultiDiGraph, flow: nx.DiGraph, *, max_commands: int, max_distractors: int, max_facts: int):
        self.flow = flow
        self.names: Mapping[str, str] = {n: graph.nodes[n]["name"] for n in flow}
        self.sources = sorted(n for n in flow if n.startswith("source:") and flow.out_degree(n))
        self.commands = sorted(n for n in flow if n.startswith("command:"))
        self.tool_of = {c: t for c, t, r in graph.edges(keys=True) if r == "command_of"}
        self.limits = (max_commands, max_distractors, max_facts)

    def fact(self, head: str, tail: str) -> Fact:
        """The flow edge between two nodes, as a fact."""
        return Fact(head, self.flow.edges[head, tail]["relation"], tail)

    def walk(self, rng: np.random.Generator, length: int, allowed: set[str]) -> tuple[str, ...] | None:
        """A random chain of `length` commands without repeated nodes, from a source to a format or data; None if stuck."""
        path = [self.sources[rng.integers(len(self.sources))]]
        while True:
            command_next = self.flow.nodes[path[-1]]["type"] == "format"
            done = len(toolchain(path)) == length
            if done and not path[-1].startswith("command:"):
                return tuple(path)
            options = [
                n
                for n in sorted(self.flow.successors(path[-1]))
                if n not in path
                and (n in allowed if command_next else self.flow.nodes[n]["type"] == "format" or (done and len(path) > 1))
            ]
            if not options:
                return None
            path.append(options[rng.integers(len(options))])

    def is_unique(self, path: tuple[str, ...], commands: set[str]) -> bool:
        """Is the path's toolchain the only shortest one among all that the graph knows of these commands?"""
        ends = {path[0], path[-1]}
        formats = {n for c in commands for n in (*self.flow.predecessors(c), *self.flow.successors(c))}
        known = self.flow.subgraph(commands | formats | ends)
        chains = {toolchain(p) for p in nx.all_shortest_paths(known, path[0], path[-1])}
        return chains == {toolchain(path)}

    def distractors(self, rng: np.random.Generator, path: tuple[str, ...], allowed: set[str], room: int) -> list[Fact]:
        """Facts of commands that touch the path or lie beside it and open no second shortest chain."""
        used, facts = set(toolchain(path)), []
        near = sorted({c for f in path[1:-1:1] for c in (*self.flow.successors(f), *self.flow.predecessors(f))} & allowed - used)
        for _ in range(int(rng.integers(1, self.limits[1] + 1))):
            pool = near if near and rng.random() < 0.8 else sorted(allowed - used)
            command = pool[rng.integers(len(pool))]
            reads = [self.fact(f, command) for f in rng.permutation(sorted(self.flow.predecessors(command)))[:2]]
            writes = [self.fact(command, f) for f in rng.permutation(sorted(self.flow.successors(command)))[:2]]
            new = reads[: rng.integers(1, 3)] + writes[: rng.integers(1, 3)]
            if command in used or len(facts) + len(new) > room or not self.is_unique(path, used | {command}):
                continue
            used.add(command)
            facts += new
        return facts

    def case(self, rng: np.random.Generator, path: tuple[str, ...], allowed: set[str], *, id: str, split: str) -> Case | None:
        """The case whose answer is `path`; None when the path is not the only shortest chain among its own commands."""
        if not self.is_unique(path, set(toolchain(path))):
            return None
        needed = [self.fact(*step) for step in zip(path, path[1:], strict=False)]
        facts = needed + self.distractors(rng, path, allowed, self.limits[2] - len(needed))
        shown = tuple(facts[i] for i in rng.permutation(len(facts)))
        names = {n: self.names[n] for f in shown for n in (f.head, f.tail)}
        return Case(id=id, source=path[0], target=path[-1], facts=shown, path=path, names=names, split=split)


def sample_cases(graph: nx.MultiDiGraph, flow: nx.DiGraph, config: SamplingConfig) -> dict[str, list[Case]]:
    """Draws the splits `train`, `held_out` (unseen pairs) and `held_out_tools` (unseen tools).

    Raises ValueError when the graph is too small to give as many cases as were asked for.
    """
    rng = np.random.default_rng(config.seed)
    sampler = Sampler(
        graph, flow, max_commands=config.max_commands, max_distractors=config.max_distractors, max_facts=config.max_facts
    )
    tools = sorted(set(sampler.tool_of.values()))
    unseen_tools = set(rng.permutation(tools)[: int(config.tool_share * len(tools))])
    seen = {c for c in sampler.commands if sampler.tool_of[c] not in unseen_tools}
    splits: dict[str, list[Case]] = {"train": [], "held_out": [], "held_out_tools": []}
    wanted = {"train": config.train, "held_out": config.held_out, "held_out_tools": config.held_out_tools}
    if not unseen_tools:
        wanted["held_out_tools"] = 0
    pairs: dict[tuple[str, str], str] = {}
    for _ in range(60 * sum(wanted.values())):
        open_splits = [s for s in splits if len(splits[s]) < wanted[s]]
        if not open_splits:
            return splits
        only_tools = open_splits == ["held_out_tools"] or ("held_out_tools" in open_splits and rng.random() < 0.2)
        allowed = set(sampler.commands) if only_tools else seen
        path = sampler.walk(rng, int(rng.integers(1, config.max_commands + 1)), allowed)
        if path is None or only_tools == set(toolchain(path)).issubset(seen):
            continue
        pair = (path[0], path[-1])
        drawn = "held_out" if only_tools or rng.random() < config.pair_share else "train"
        split = "held_out_tools" if only_tools else pairs.setdefault(pair, drawn)
        if only_tools and pairs.setdefault(pair, "held_out") == "train":
            continue
        if split not in open_splits:
            continue
        case = sampler.case(rng, path, allowed, id=f"{split}-{len(splits[split]):05d}", split=split)
        if case:
            splits[split].append(case)
    short = {s: f"{len(splits[s])} of {wanted[s]}" for s in splits if len(splits[s]) < wanted[s]}
    raise ValueError(f"the graph gives too few cases: {short}; ask for fewer cases or add commands to the table")


def leaks(splits: Mapping[str, list[Case]], tool_of: Mapping[str, str]) -> Iterator[str]:
    """Every way in which a held-out case is known to the training: same pair, or a held-out tool that is mentioned."""
    asked = {(c.source, c.target): c.id for c in splits["train"]}
    mentioned = {tool_of[n] for c in splits["train"] for n in c.names if n in tool_of}
    for case in (*splits["held_out"], *splits["held_out_tools"]):
        if (case.source, case.target) in asked:
            yield f"{case.id} asks the pair of {asked[case.source, case.target]}"
    for case in splits["held_out_tools"]:
        if {tool_of[c] for c in case.toolchain} <= mentioned:
            yield f"{case.id} needs no tool that is new"


def unseen_commands(splits: Mapping[str, list[Case]]) -> tuple[str, ...]:
    """Commands of held-out tools among the held-out cases: their facts are never withheld."""
    seen = {n for c in splits["train"] for n in c.names}
    held = {n for c in splits["held_out_tools"] for n in c.names if n.startswith("command:")}
    return tuple(sorted(held - seen))


def with_order(case: Case, rng: np.random.Generator) -> Case:
    """The same case with its facts in another order."""
    return replace(case, facts=tuple(case.facts[i] for i in rng.permutation(len(case.facts))))
