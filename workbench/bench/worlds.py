"""Planted worlds: cases whose right answer follows a rule over two side facts, so that true dependencies are known.

Two chains of equal length lead from the source to the target, through X and through Y. Side facts touch neither. The
rule says which of two of them, a and b, must be shown for the chain to go through X; otherwise it goes through Y. A
model that was tuned on such cases depends on a and b, and it did not before it was tuned: the base knows no names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.cases import Case, Fact

SIDE = 14  # commands beside the chains, each with one side fact
ENDS = 6  # sources and targets to draw from
X, Y = "command:x", "command:y"


@dataclass(frozen=True)
class Rule:
    """through_x(a shown, b shown). full: whether (a, b) are shown in the cases to explain.

    necessary: the minimal sets of side facts (0: a, 1: b) whose removal turns the answer away from X; sufficient: the
    minimal sets that keep it when every other side fact goes; both follow from the truth table.
    """

    name: str
    through_x: Callable[[bool, bool], bool]
    full: tuple[bool, bool]
    necessary: tuple[tuple[int, ...], ...]
    sufficient: tuple[tuple[int, ...], ...]

    @property
    def true_facts(self) -> frozenset[int]:
        """Every rule fact that the answer of the full case hangs on."""
        return frozenset(i for one in self.necessary for i in one)


RULES = {
    rule.name: rule
    for rule in (
        Rule("one", lambda a, b: a, (True, True), ((0,),), ((0,),)),
        Rule("and", lambda a, b: a and b, (True, True), ((0,), (1,)), ((0, 1),)),
        Rule("or", lambda a, b: a or b, (True, True), ((0, 1),), ((0,), (1,))),
        Rule("inhibitor", lambda a, b: a and not b, (True, False), ((0,),), ((0,),)),
    )
}


@dataclass(frozen=True)
class World:
    """Cases of one rule. Names are meaningless; which side facts are a and b is drawn from `seed`."""

    rule: Rule
    seed: int = 0

    @property
    def side(self) -> tuple[Fact, ...]:
        """Every side fact; no two share a node."""
        return tuple(Fact(f"format:side {i}", "input", f"command:side {i}") for i in range(SIDE))

    @property
    def rule_facts(self) -> tuple[Fact, Fact]:
        """The facts a and b."""
        a, b = np.random.default_rng(self.seed).permutation(SIDE)[:2]
        return self.side[a], self.side[b]

    @property
    def names(self) -> dict[str, str]:
        """Display name of every node of the world."""
        nodes = [X, Y, "format:middle", *(f"source:{i}" for i in range(ENDS)), *(f"format:{i}" for i in range(ENDS))]
        nodes += [end for fact in self.side for end in (fact.head, fact.tail)]
        return {node: node.replace(":", " ") for node in nodes}

    def case(self, rng: np.random.Generator, *, a: bool, b: bool, id: str) -> Case:
        """A case that shows a and b as told, with 4 to 8 other side facts, in random order."""
        source, target = f"source:{rng.integers(ENDS)}", f"format:{rng.integers(ENDS)}"
        middle = "format:middle"
        chains = [Fact(source, "download_from", middle)]
        chains += [f for c in (X, Y) for f in (Fact(middle, "input", c), Fact(c, "output", target))]
        first, second = self.rule_facts
        others = [f for f in self.side if f not in (first, second)]
        shown = [others[i] for i in rng.permutation(len(others))[: rng.integers(4, 9)]]
        facts = [*chains, *shown, *([first] if a else []), *([second] if b else [])]
        facts = [facts[i] for i in rng.permutation(len(facts))]
        through = X if self.rule.through_x(a, b) else Y
        names = {n: self.names[n] for f in facts for n in (f.head, f.tail)}
        return Case(id, source, target, tuple(facts), (source, middle, through, target), names, split=self.rule.name)

    def training(self, rng: np.random.Generator, count: int) -> list[Case]:
        """Cases of all four kinds, each as often as the next."""
        shown = [(bool(i & 1), bool(i & 2)) for i in range(4)]
        return [
            self.case(rng, a=a, b=b, id=f"train-{k}") for k, (a, b) in zip(range(count), shown * count, strict=False)
        ]

    def held_out(self, rng: np.random.Generator, count: int) -> list[Case]:
        """Cases to explain: a and b are shown as the rule's `full` says, and the right chain goes through X."""
        a, b = self.rule.full
        return [self.case(rng, a=a, b=b, id=f"held-out-{k}") for k in range(count)]

    def players(self, case: Case) -> np.ndarray:
        """(n,) bool: the elements that may be removed, the side facts; the chains stay, and so do nodes."""
        return np.array([e in self.side for e in case.elements])

    def truth(self, case: Case) -> frozenset[int]:
        """Element numbers of the rule facts that the answer hangs on."""
        return frozenset(case.elements.index(self.rule_facts[i]) for i in self.rule.true_facts)
