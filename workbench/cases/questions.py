"""Kinds of question: the chain from a source to a target, the chain toward a goal, and the missing step of a chain.

A goal is a kind of data that the last command must give. A missing step is the one command, with the formats on both
sides of it, that a chain shown in the question lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import NamedTuple

from workbench.cases import CHAIN, GOAL, STEP, Case
from workbench.kg.chains import is_a
from workbench.kg.links import Flow

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
