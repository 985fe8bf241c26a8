"""The cases of a run: those that are stored, and questions typed by hand.

A question asks which chain leads from a source to a target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx
import numpy as np

from workbench import kg
from workbench.cases import Case, toolchain
from workbench.cases.sampler import Question, Sampler, SamplingConfig
from workbench.game import Engine

TRIED = 50  # shortest chains looked at before a question counts as one without a single answer
ASKED = "asked"  # what ids of typed questions begin with, and their split


class QuestionError(ValueError):
    """A question that makes no case: says which name or chain is missing and what to do."""


class Asker:
    """Makes cases of questions about a graph. names: node id -> name of what the model has words for.

    seed: of the facts shown beside the answer's, which are drawn anew for every question, always the same ones.
    """

    def __init__(self, graph: nx.MultiDiGraph, names: Mapping[str, str], *, seed: int = 0):
        whole = kg.flow_graph(graph)
        self.flow = whole.subgraph([node for node in whole if node in names])
        self.seed, self.sampler = seed, Sampler(graph, self.flow, config=SamplingConfig(seed=seed))
        reached = {n for n, before in self.flow.in_degree() if before and not n.startswith("command:")}
        self.sources = {names[node]: node for node in self.sampler.sources}
        self.targets = {names[node]: node for node in sorted(reached)}

    def case(self, source: str, target: str) -> Case:
        """The case that asks for the way between two nodes, given by name or id; its answer is a shortest chain.

        QuestionError: a name that is not known, no chain, or none that the facts shown with it would single out.
        """
        ends = self._node(source, self.sources, "source"), self._node(target, self.targets, "target")
        said = f"from {_short(source)} to {_short(target)}"
        chains = kg.shortest_toolchains(self.flow, *ends, limit=TRIED)
        if not chains:
            raise QuestionError(f"no chain leads {said}; choose another target")
        case = next(filter(None, (self._case(chain) for chain in chains)), None)
        if case is None:
            raise QuestionError(f"several equally short chains lead {said}, so no answer is the right one; ask another")
        return case

    def _case(self, chain: Sequence[str]) -> Case | None:
        rng = np.random.default_rng(self.seed)
        name = f"{ASKED}:{chain[0]}>{chain[-1]}"
        return self.sampler.case(rng, Question(tuple(chain)), set(self.sampler.commands), id=name, split=ASKED)

    def _node(self, given: str, known: Mapping[str, str], role: str) -> str:
        text = given.strip()
        if text in known.values():
            return text
        if text in known:
            return known[text]
        loose = [node for name, node in known.items() if name.casefold() == text.casefold()]
        if len(loose) != 1:
            some = ", ".join(list(known)[:3])
            raise QuestionError(f"no {role} is called {_short(given)}; there are {len(known)}, such as {some}")
        return loose[0]


def _short(name: str) -> str:
    return repr(name.strip()[:60])


def telling_case(engine: Engine, cases: Sequence[Case]) -> str:
    """Id of the case that shows what tuning did: of those that the tuned model has right and the base has not, the one
    with the longest chain; else the longest that the tuned model has right; else the first. Of equals the first, which
    in `Run.shown` is the showcase."""
    tuned, base = (engine.answers(cases, adapter=adapter) for adapter in (True, False))

    def worth(i: int) -> tuple[bool, bool, int]:
        right, before = (toolchain(paths[i]) == cases[i].toolchain for paths in (tuned, base))
        return right, right and not before, len(cases[i].toolchain) if right else 0

    return cases[max(range(len(cases)), key=worth)].id


def chosen_case(cases: Iterable[Case], name: str = "", *, question: Sequence[str] = (), asker: Asker | None) -> Case:
    """The case of a question (source, target); without one, that of an id; without either, the first.

    QuestionError: the question makes no case, or there is no graph to ask about. ValueError: there is no such case.
    """
    if question:
        if asker is None or len(question) != 2:
            raise QuestionError(f"a question is a source and a target of a run with a graph, not {list(question)!r}")
        return asker.case(*question)
    known = {case.id: case for case in cases}
    if name and name not in known:
        raise ValueError(
            f"no case {name[:80]!r}; there are {len(known)}, such as {', '.join(map(repr, list(known)[:3]))}"
        )
    return known[name] if name else next(iter(known.values()))
