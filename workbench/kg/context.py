"""The facts to show with a question: as few as ground its answer, or whatever lies near.

A question is grounded when a chain from its source to its target can be read off the facts shown. The unit is the
command with what goes into it and comes out (a hyper-edge, as in OG-RAG, Sharma et al. 2024): half of one helps nobody.
The usual alternative, all facts within k hops of what the question names, shows much that no chain uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from workbench.kg.build import Fact, related
from workbench.kg.paths import PathError, flow_graph
from workbench.kg.plan import Plan, Planner

SPARE = 6  # further chains looked at where the facts of the first ones tell a shorter one

Tokens = Callable[[Fact], int]


def three(_fact: Fact) -> int:
    """Tokens of a fact where each name is one: head, tail and relation."""
    return 3


@dataclass(frozen=True)
class Context:
    """Facts to show, in order, and their tokens. grounded: they hold a whole chain and, by formats alone, no shorter
    one; False when the budget cut it."""

    facts: tuple[Fact, ...]
    tokens: int
    grounded: bool


class Grounding:
    """Finds contexts of questions about one graph.

    tokens: of one fact in the prompt. A chain is that of a plan (`workbench.kg.plan`): over main inputs.
    """

    def __init__(self, graph: nx.MultiDiGraph, *, tokens: Tokens = three):
        self.graph, self.tokens = graph, tokens
        self.planner = Planner(graph, costs=self._costs(graph))
        self.is_a = nx.DiGraph(related(graph, "format_is_a", "data_is_a"))
        self.facts = {(head, tail): key for head, tail, key in flow_graph(graph).edges(data="relation")}
        self.flow = nx.Graph(list(self.facts))

    def cover(self, source: str, target: str, *, budget: int, chains: int = 1) -> Context:
        """The facts of the cheapest chain in tokens, and of up to `chains` of them while they fit into the budget.

        Each further chain adds the facts that are not there yet; one that does not fit as a whole is left out. Where
        the first does not fit it is cut, and where there is none the context is empty; neither is grounded.

        Facts say formats and no kinds of data: those of a chain may tell a shorter one, in which a command takes what
        only looks like its input. Such a chain is left out where another is not so; else it is shown, not grounded.
        """
        plans = self.planner.plans(source, target, k=chains).plans
        told = [plan for plan in plans if not self._shortened([plan])]
        if len(told) < len(plans):
            plans = self.planner.plans(source, target, k=chains + SPARE).plans
            told = [plan for plan in plans if not self._shortened([plan])][:chains]
        shown: dict[Fact, None] = {}
        covered: list[Plan] = []
        for plan in told or plans[:1]:
            new = [fact for fact in dict.fromkeys(self._facts(plan)) if fact not in shown]
            if self._sum([*shown, *new]) > budget:
                if not covered:
                    shown.update(dict.fromkeys(self._cut(new, budget)))
                    break
            elif not covered or not self._shortened([*covered, plan]):
                shown.update(dict.fromkeys(new))
                covered.append(plan)
        return Context(tuple(shown), self._sum(shown), bool(told and covered))

    def _shortened(self, plans: Sequence[Plan]) -> bool:
        """Whether the facts of some plans hold a chain of fewer commands than any of them has."""
        steps = nx.DiGraph((head, tail) for plan in plans for head, _, tail in self._facts(plan))
        path = plans[0].path
        counted = {(h, t): {"commands": int(t in self.planner.cost)} for h, t in steps.edges}
        nx.set_edge_attributes(steps, counted)
        fewest = nx.shortest_path_length(steps, path[0], path[-1], weight="commands") if len(path) > 1 else 0
        return fewest < min(len(plan.commands) for plan in plans)

    def near(self, source: str, target: str, *, hops: int, budget: int) -> Context:
        """The data-flow facts with both ends within `hops` facts of source or target, nearest first, cut at the budget.

        Raises `PathError` for a node off the data flow.
        """
        far: dict[str, int] = {}
        for node in (source, target):
            if node not in self.flow:
                raise PathError(f"node must be a source, format, command or data of the graph, got {node!r}")
            for other, steps in nx.single_source_shortest_path_length(self.flow, node, cutoff=hops).items():
                far[other] = min(steps, far.get(other, steps))
        found = [
            (max(far[head], far[tail]), head, key, tail)
            for (head, tail), key in self.facts.items()
            if head in far and tail in far
        ]
        facts = self._cut([(head, key, tail) for _, head, key, tail in sorted(found)], budget)
        reads = nx.DiGraph((head, tail) for head, _, tail in facts)
        whole = source in reads and target in reads and nx.has_path(reads, source, target)
        return Context(tuple(facts), self._sum(facts), whole)

    def _costs(self, graph: nx.MultiDiGraph) -> dict[str, float]:
        """Tokens of a command with one input and one output: the cheapest fact of each."""
        cheapest: dict[tuple[str, str], int] = {}
        for head, tail, key in graph.edges(keys=True):
            if key in ("input", "output", "output_data"):
                side = (tail, "in") if key == "input" else (head, "out")
                cost = self.tokens((head, key, tail))
                cheapest[side] = min(cost, cheapest.get(side, cost))
        commands = {command for command, _ in cheapest}
        return {c: float(sum(cheapest.get((c, side), 0) for side in ("in", "out"))) or 1.0 for c in commands}

    def _facts(self, plan: Plan) -> Iterator[Fact]:
        """The facts of a plan in the order in which they are used; is_a facts where a more general term is read."""
        for head, tail in pairwise(plan.path):
            direct = self.graph.has_edge(head, tail)
            for low, high in [(head, tail)] if direct else pairwise(nx.shortest_path(self.is_a, head, tail)):
                yield low, min(self.graph[low][high]), high

    def _cut(self, facts: Iterable[Fact], budget: int) -> list[Fact]:
        kept, left = [], budget
        for fact in facts:
            left -= self.tokens(fact)
            if left < 0:
                break
            kept.append(fact)
        return kept

    def _sum(self, facts: Iterable[Fact]) -> int:
        return sum(map(self.tokens, facts))
