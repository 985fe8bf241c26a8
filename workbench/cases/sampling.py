"""Splits of cases drawn from a graph: what is kept from the training, and the check that nothing leaks.

The *sequence* of a case is the chain of commands that answers it. A case *contains* the sequences of two commands or
more that stand in its own without a gap.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np

from workbench.cases import CHAIN, STEP, Case, toolchain
from workbench.cases.sampler import Nodes, Question, Sampler, SamplingConfig

TRIES = 400  # random walks per wanted case before a graph counts as too small
HELD_OUT, TRAIN = "held_out", "train"  # who owns a pair
BY_LOT = 0.5  # chance that a pair of a whole graph may be held out

Fits = Callable[[Question], bool]


def sample_cases(
    graph: nx.MultiDiGraph,
    flow: nx.DiGraph,
    config: SamplingConfig,
    *,
    reserved: Iterable[tuple[str, str]] = (),
    spared: Iterable[Nodes] = (),
    progress: Callable[[int], None] | None = None,
) -> dict[str, list[Case]]:
    """Draws the splits `train`, `held_out` (unseen pairs), `held_out_sequences` and `held_out_tools` (unseen tools).

    Each split holds as many cases of every toolchain length as its `length_shares` say; `held_out_sequences` those of
    two commands or more, each with a pair and a sequence of its own. Of these there are fewer than asked for where the
    graph has few, since the training keeps the sequences that it is drawn from, and since every fact of their chains
    must be one that a training case asks for: what is new is the order.

    reserved: (source, target) pairs that no training case may ask. spared: chains of which no part is held out.
    progress is called with the number of new cases.
    Raises ValueError when the graph is too small to give as many cases of another split as were asked for.
    """
    draw = Draw(Sampler(graph, flow, config=config), config, reserved, progress)
    draw.spared.update(*map(stretches, spared))
    shares = config.length_shares
    tools = draw.split("held_out_tools", lengths(config.held_out_tools, shares), draw.needs_new_tool)
    pairs = draw.split("held_out", lengths(config.held_out, shares), draw.may_be_held_out)
    sequences = draw.sequences(config.held_out_sequences, shares)
    training = draw.split("train", lengths(config.train, shares), draw.may_be_taught)
    taught = {step for case in training for step in pairwise(case.path)}
    sequences = [case for case in sequences if taught.issuperset(pairwise(case.path))]
    return {"held_out_tools": tools, "held_out": pairs, "held_out_sequences": sequences, "train": training}


class Draw:
    """The splits of one seed. A pair, or a sequence, belongs to the training or to the held-out cases: to the first,
    where no lot decides."""

    def __init__(
        self,
        sampler: Sampler,
        config: SamplingConfig,
        reserved: Iterable[tuple[str, str]],
        progress: Callable[[int], None] | None = None,
    ):
        self.sampler, self.progress, self.rng = sampler, progress, np.random.default_rng(config.seed)
        self.kinds, self.by_lot = config.questions, not config.in_field
        self.lots: dict[tuple[str, str], bool] = {}  # by pair
        self.late = False  # half the tries are gone
        self.every = set(sampler.commands)
        unseen = unseen_tools(sampler, config, self.rng)
        self.seen = {command for command in sampler.commands if sampler.tool_of[command] not in unseen}
        self.owner = dict.fromkeys(reserved, HELD_OUT)
        self.held: dict[Nodes, tuple[str, str]] = {}  # sequences kept from the training, with the pairs that ask them
        self.spared: set[Nodes] = set()  # sequences left to the training

    def split(self, name: str, wanted: Sequence[int], fits: Fits, *, at_most: bool = False) -> list[Case]:
        """So many cases of 1, 2, ... commands whose paths fit. ValueError: there are fewer, unless `at_most`."""
        allowed = self.every if name == "held_out_tools" else self.seen
        cases: list[Case] = []
        for length, count in enumerate(wanted, start=1):
            ids = (f"{name}-{length}-{number:05d}" for number in itertools.count())
            found: list[Case] = []
            tries = TRIES * (10 if at_most else max(count, 10))
            for done, kind in enumerate(self.kinds):  # the last makes up for what others lack
                some = (count - len(found)) // (len(self.kinds) - done)
                asked = self.questions(kind, length, some, fits, allowed, tries=tries)
                drawn = (self.sampler.case(self.rng, one, allowed, id=next(ids), split=name) for one in asked)
                found += [case for case in drawn if case]
            if len(found) < count and not at_most:
                raise ValueError(
                    f"the graph gives only {len(found)} of {count} {name} cases with {length} commands; ask for fewer "
                    "cases (fewer held_out_sequences leave more to the training), for shorter toolchains "
                    "(length_shares), or for more topics"
                )
            cases += found
            if self.progress:
                self.progress(len(found))
        return cases

    def questions(
        self, kind: str, length: int, wanted: int, fits: Fits, allowed: set[str], *, tries: int
    ) -> Iterator[Question]:
        """Questions of a kind about random walks that fit, `wanted` of them or as many as the tries give."""
        length = max(length, 2) if kind == STEP else length  # of one command nothing would be left
        sought = frozenset(allowed - self.seen)
        for number in range(tries):
            if not wanted:
                return
            self.late = 2 * number >= tries
            path = self.sampler.walk(self.rng, length, allowed, sought=sought)
            question = path and self.sampler.question(self.rng, path, kind)
            if question and fits(question):
                wanted -= 1
                yield question

    def sequences(self, count: int, shares: Sequence[float]) -> list[Case]:
        """At most `count` cases of `held_out_sequences`.

        As many walks, and one of every length at least, are left to the training first, with their pairs and their
        sequences. Else the commonest sequences would go, and a small graph would be left without training cases.
        """
        if not count or not sum(shares[1:]):
            return []
        for length, (some, share) in enumerate(zip(lengths(count, shares), shares, strict=True), start=1):
            wanted = max(some, 1) if share else 0
            tries = TRIES * max(wanted, 10)
            for one in self.questions(CHAIN, length, wanted, self.may_be_taught, self.seen, tries=tries):
                self.spared |= stretches(toolchain(one.chain))
        wanted_cases = [0, *lengths(count, shares[1:])]
        return self.split("held_out_sequences", wanted_cases, self.has_new_sequence, at_most=True)

    def belongs(self, asked: Question, owner: str) -> bool:
        """Whether the question's pair is the owner's, or nobody's so far and so the owner's from now on."""
        return self.owner.setdefault((asked.chain[0], asked.chain[-1]), owner) == owner

    def may_be_held_out(self, asked: Question) -> bool:
        """What `held_out` takes. Over a whole graph a lot of its own decides on each pair, as long as that gives cases
        enough: the pairs that come first are the commonest, and the training would lack what is asked most."""
        pair = asked.chain[0], asked.chain[-1]
        if self.by_lot and not self.late and not self.lots.setdefault(pair, self.rng.random() < BY_LOT):
            return False
        return self.belongs(asked, HELD_OUT)

    def needs_new_tool(self, asked: Question) -> bool:
        """What `held_out_tools` takes."""
        return not self.seen.issuperset(toolchain(asked.path)) and self.may_be_held_out(asked)

    def has_new_sequence(self, asked: Question) -> bool:
        """What `held_out_sequences` takes."""
        chain, pair = toolchain(asked.chain), (asked.chain[0], asked.chain[-1])
        known = chain in self.spared or chain in self.held or pair in self.held.values()
        if known or not self.belongs(asked, HELD_OUT):
            return False
        self.held[chain] = pair
        return True

    def may_be_taught(self, asked: Question) -> bool:
        """What `train` takes."""
        return self.held.keys().isdisjoint(stretches(toolchain(asked.chain))) and self.belongs(asked, TRAIN)


def stretches(chain: Sequence[str]) -> set[Nodes]:
    """The sequences of two commands or more that a chain contains, itself among them."""
    ends = range(len(chain) + 1)
    return {tuple(chain[start:end]) for start in ends for end in ends[start + 2 :]}


def familiarity(case: Case, known: Set[Nodes]) -> str:
    """Of the sequences that the training contains: is the case's among them? Chains of one command stand apart."""
    if len(case.sequence) < 2:
        return "one command"
    return "sequence seen" if case.sequence in known else "sequence unseen"


def split_counts(cases: Sequence[Case]) -> dict[str, int]:
    """How many `cases`, different (source, target) `pairs` and `sequences`, and cases of n commands, `commands_n`."""
    pairs, sequences = {case.pair for case in cases}, {case.sequence for case in cases}
    counts = {"cases": len(cases), "pairs": len(pairs), "sequences": len(sequences)}
    by_length = Counter(len(case.sequence) for case in cases)
    return counts | {f"commands_{length}": by_length[length] for length in sorted(by_length)}


def showcase_case(graph: nx.MultiDiGraph, flow: nx.DiGraph, path: Sequence[str], config: SamplingConfig) -> Case:
    """The case that asks for a given path; ValueError when another chain of the path's own commands is as short."""
    sampler = Sampler(graph, flow, config=config)
    rng = np.random.default_rng(config.seed)
    case = sampler.case(rng, Question(tuple(path)), set(sampler.commands), id="showcase", split="showcase")
    if case is None:
        names = " -> ".join(flow.nodes[node]["name"] for node in path)
        raise ValueError(f"{names} is not the only shortest chain of its commands, so no answer would be unique")
    return case


def lengths(count: int, shares: Sequence[float]) -> list[int]:
    """How many of `count` cases have a toolchain of 1, 2, ... commands; the first length takes what rounding leaves."""
    rest = [int(count * share / sum(shares)) for share in shares[1:]]
    return [count - sum(rest), *rest]


def unseen_tools(sampler: Sampler, config: SamplingConfig, rng: np.random.Generator) -> set[str]:
    """The tools kept out of the training; none when no case asks for them."""
    tools = sorted(set(sampler.tool_of.values()))
    count = max(1, int(config.tool_share * len(tools))) if config.held_out_tools else 0
    return {tools[i] for i in rng.permutation(len(tools))[:count]}


def leaks(splits: Mapping[str, list[Case]], tool_of: Mapping[str, str]) -> Iterator[str]:
    """Every way in which a held-out case is known to the training: same pair; for a held-out sequence, that it is
    answered, or contained in a longer answer; for a held-out tool, that it is mentioned."""
    asked = {c.pair: c.id for c in splits["train"]}
    answered = {c.sequence: c.id for c in splits["train"]}
    contained = {s: c.id for c in splits["train"] for s in stretches(c.sequence) if s != c.sequence}
    mentioned = {tool_of[n] for c in splits["train"] for n in c.names if n in tool_of}
    for case in (case for split, cases in splits.items() if split != "train" for case in cases):
        if case.pair in asked:
            yield f"{case.id} asks the pair of {asked[case.pair]}"
    for case in splits["held_out_sequences"]:
        if case.sequence in answered:
            yield f"{case.id} has the command sequence of {answered[case.sequence]}"
        if case.sequence in contained:
            yield f"{case.id} has a command sequence that {contained[case.sequence]} contains"
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
