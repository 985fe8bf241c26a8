"""Facts to show with a question, chosen as the smallest set that grounds it or as the neighbourhood of k hops.

A question is grounded when a chain can be read off the facts shown with it. The unit is the command with what goes into
it and comes out (a hyper-edge, as in OG-RAG, Sharma et al. 2024): half of one helps nobody. The usual alternative, all
facts within k hops of what the question names, shows much that no chain uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from workbench import Run
from workbench.bench import Say
from workbench.cases import Case, Fact, mixed
from workbench.game import Engine
from workbench.kg import flow_graph, focus
from workbench.kg.build import Fact as Triple
from workbench.kg.build import related
from workbench.kg.paths import check_node
from workbench.kg.plan import Plan, Planner
from workbench.stats import bootstrap_mean, proportion
from workbench.train import is_valid

BUDGET = 384  # tokens for facts: the embedded reader takes 512 in all, with the question and the answer
SHORT = 72  # the 24 facts, of one token a name, that the reader was trained on
HOPS = (1, 2, 3)
PAIRS = 200
SPARE = 6  # further chains looked at where the facts of the first ones tell a shorter one

Tokens = Callable[[Triple], int]


@dataclass(frozen=True)
class Context:
    """Facts to show, in order, and their tokens. grounded: they hold a whole chain and, by formats alone, no shorter
    one; False when the budget cut it."""

    facts: tuple[Triple, ...]
    tokens: int
    grounded: bool


class Grounding:
    """Finds contexts of questions about one graph.

    tokens: of one fact in the prompt; 3 where each name is one. A chain is that of a plan: over main inputs.
    """

    def __init__(self, graph: nx.MultiDiGraph, *, tokens: Tokens = lambda _fact: 3):
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
        shown: dict[Triple, None] = {}
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
        for node in (source, target):
            check_node(self.flow, node)
        far = nx.multi_source_dijkstra_path_length(self.flow, {source, target}, cutoff=hops)
        found = sorted((max(far[h], far[t]), h, key, t) for (h, t), key in self.facts.items() if h in far and t in far)
        facts = self._cut([(head, key, tail) for _, head, key, tail in found], budget)
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

    def _facts(self, plan: Plan) -> Iterator[Triple]:
        """The facts of a plan in the order in which they are used; is_a facts where a more general term is read."""
        for head, tail in pairwise(plan.path):
            direct = self.graph.has_edge(head, tail)
            for low, high in [(head, tail)] if direct else pairwise(nx.shortest_path(self.is_a, head, tail)):
                yield low, min(self.graph[low][high]), high

    def _cut(self, facts: Sequence[Triple], budget: int) -> list[Triple]:
        spent = accumulate(map(self.tokens, facts))
        return [fact for fact, tokens in zip(facts, spent, strict=True) if tokens <= budget]

    def _sum(self, facts: Iterable[Triple]) -> int:
        return sum(map(self.tokens, facts))


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Accuracy, facts and tokens per prompt of each way to choose facts for a run's held-out pairs, and what the k-hop
    way needs to be as often right. `facts ratio`: the facts of a way over those of the smallest grounding set."""
    held = Run(run_dir)
    engine, edges = held.engine, held.graph.edges(keys=True)
    part = focus(held.graph, {tool for c, tool, key in edges if key == "command_of" and c in held.names})
    known = mixed(held.cases["held_out"])
    cases = [known[i] for i in np.random.default_rng(seed).permutation(len(known))[: 20 if quick else PAIRS]]
    names = {node: part.nodes[node]["name"] for node in part}
    grounding = Grounding(part, tokens=_tokens(engine, names))
    ways: dict[str, Callable[[str, str], Context]] = {
        "smallest": partial(grounding.cover, budget=BUDGET),
        "smallest, 3 chains": partial(grounding.cover, budget=BUDGET, chains=3),
        **{f"{hops}-hop": partial(grounding.near, hops=hops, budget=BUDGET) for hops in HOPS},
        **{f"{hops}-hop, cut": partial(grounding.near, hops=hops, budget=SHORT) for hops in HOPS},
    }
    links = set(flow_graph(part).edges) | set(grounding.is_a.edges)
    rows: list[dict[str, Any]] = []
    for name, way in ways.items():
        contexts = [way(case.source, case.target) for case in cases]
        rows.append({"way": name, **_answered(engine, cases, contexts, names, links, seed=seed)})
        say(f"{name}: {rows[-1]['right']:.3f} right, {rows[-1]['facts']:.1f} facts a prompt")
    base = rows[0]["facts"]
    table = [{**row, "facts ratio": row["facts"] / base if base else None} for row in rows]
    rivals = [row for row in table if "hop" in row["way"]]
    equal = [row for row in rivals if row["right"] >= table[0]["right"]]
    best = min(equal, key=lambda row: row["facts"]) if equal else max(rivals, key=lambda row: row["right"])
    return {
        "table": table,
        "budget_tokens": BUDGET,
        "best_rival": best["way"],
        "rival_as_often_right": bool(equal),
        "facts_of_smallest_over_rival": base / best["facts"] if best["facts"] else None,
    }


def _tokens(engine: Engine, names: dict[str, str]) -> Tokens:
    """Tokens of a fact's line in the model's own prompt."""

    @cache
    def count(given: tuple[str, str, str]) -> int:
        fact = Fact(*given)
        case = Case("", fact.head, fact.tail, (fact,), (), {n: names[n] for n in (fact.head, fact.tail)})
        [line] = [segment for segment in engine.lm.template.segments(case) if segment.fact == 0]
        return len(engine.lm.tokenizer.encode(line.text, add_special_tokens=False))

    return count


def _answered(
    engine: Engine, cases: list[Case], contexts: list[Context], names: dict[str, str], links: set, *, seed: int
) -> dict:
    """One way's figures. An answer is right when it leads from source to target and every step is one of `links`."""
    rng = np.random.default_rng(seed)
    shown = [_showing(case, context, names, rng) for case, context in zip(cases, contexts, strict=True)]
    longest = max(len(engine.answer_ids(case, case.path)) for case in cases)
    paths = engine.answers(shown, adapter=True, max_new_tokens=2 * longest)
    right = proportion(np.array([is_valid(p, c, links) for p, c in zip(paths, cases, strict=True)]))
    facts = bootstrap_mean([len(context.facts) for context in contexts], rng=rng)
    return {
        **{"right": right.share, "low": right.low, "high": right.high, "n": right.n},
        **{"facts": facts.mean, "facts low": facts.low, "facts high": facts.high},
        "tokens": float(np.mean([context.tokens for context in contexts])),
        "grounded": float(np.mean([context.grounded for context in contexts])),
    }


def _showing(case: Case, context: Context, names: dict[str, str], rng: np.random.Generator) -> Case:
    """The case's question with other facts, in an order that tells nothing."""
    facts = tuple(Fact(*context.facts[i]) for i in rng.permutation(len(context.facts)))
    nodes = {case.source, case.target, *case.path, *(end for fact in facts for end in (fact.head, fact.tail))}
    return replace(case, facts=facts, withheld=(), names={node: names[node] for node in nodes})
