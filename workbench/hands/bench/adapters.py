"""Planted worlds and adapters: cases whose right answer follows a rule over two side facts, and a base tuned on them.

Two chains of equal length lead from the source to the target, through X and through Y. Side facts touch neither. The
rule says which of two of them, a and b, must be shown for the chain to go through X; otherwise it goes through Y. A
model that was tuned on such cases depends on a and b, and it did not before it was tuned: the base knows no names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench import models
from workbench.attribution import shapley
from workbench.cases import Case, Fact, toolchain
from workbench.explain import diverse_flip_sets
from workbench.game import Difference, Engine, Game, Restricted
from workbench.hands.bench import Say
from workbench.stats import proportion
from workbench.train import TrainConfig, train

SIDE = 14  # commands beside the chains, each with one side fact
ENDS = 6  # sources and targets to draw from
X, Y = "command:x", "command:y"


@dataclass(frozen=True)
class Rule:
    """through_x(a shown, b shown). full: whether (a, b) are shown in the cases to explain.

    true_facts: every one (0: a, 1: b) that the answer of the full case hangs on: those in a minimal set of side facts
    whose removal turns the answer away from X. They follow from the truth table.
    """

    name: str
    through_x: Callable[[bool, bool], bool]
    full: tuple[bool, bool]
    true_facts: tuple[int, ...]


RULES = {
    rule.name: rule
    for rule in (
        Rule("one", lambda a, b: a, (True, True), (0,)),
        Rule("and", lambda a, b: a and b, (True, True), (0, 1)),
        Rule("or", lambda a, b: a or b, (True, True), (0, 1)),
        Rule("inhibitor", lambda a, b: a and not b, (True, False), (0,)),
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
        return [self.case(rng, a=bool(k & 1), b=bool(k & 2), id=f"train-{k}") for k in range(count)]

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


CLEAR = 0.25  # of the largest score: what an element's share of a difference must be to count as found
SETS = 4  # flip sets looked for in one case


@dataclass(frozen=True)
class AdapterConfig:
    """Settings of the planted adapters; worlds: seeds, each with other rule facts."""

    training_cases: int = 2000
    steps: int = 300
    learning_rate: float = 3e-3
    cases: int = 25  # held out, of each rule and world
    worlds: tuple[int, ...] = (0, 1)


def tune(world: World, config: AdapterConfig, *, folder: Path, seed: int = 0) -> models.LanguageModel:
    """The embedded base with a fresh adapter trained on the world; with 0 steps the adapter does nothing (B = 0)."""
    lm = models.load(names=world.names)
    if config.steps:
        cases = world.training(np.random.default_rng([seed, world.seed]), config.training_cases)
        # a planted rule holds for the names of its world, so none is replaced
        how = TrainConfig(shares=(0.0,), replay=0.0, steps=config.steps, learning_rate=config.learning_rate, seed=seed)
        train(lm, cases, how, folder=folder)
    else:
        models.add_adapter(lm, rank=16, alpha=32, modules=("q_proj", "v_proj"), dropout=0.0, seed=seed)
        lm.model.eval()
    return lm


def explain_case(engine: Engine, world: World, case: Case, *, rng: np.random.Generator) -> dict:
    """What the explanations of one case find among its side facts, beside what was planted. One flat row."""
    game = Game.of(engine, case, form="decision")
    players = np.flatnonzero(world.players(case))
    truth = frozenset(np.flatnonzero(np.isin(players, list(world.truth(case)))).tolist())
    part = Restricted(game, players)
    right = toolchain(game.path) == case.toolchain
    sets = diverse_flip_sets(part, part.n, count=SETS, rng=rng) if right else []
    named = frozenset(e for one in sets if one.certified for e in one.elements)
    # the answer whose value is followed is the right one; a base that never learned the rule has its own
    delta = Restricted(Difference(Game.of(engine, case, path=case.path)), players)
    scores = shapley(delta, delta.n, permutations=16, rng=rng).scores
    largest = float(np.abs(scores).max())
    changed = frozenset(np.flatnonzero(np.abs(scores) >= CLEAR * largest).tolist()) if largest > 0 else frozenset()
    return {
        "case": case.id,
        "rule": world.rule.name,
        "world": world.seed,
        "players": part.n,
        "right": right,
        "certified": all(one.certified for one in sets) and bool(sets),
        "exact": right and named == truth,
        "change_exact": changed == truth,
        "largest_change": largest,
        "calls": sum(one.calls for one in sets),
    }


def planted_adapters(
    rules: Sequence[str],
    config: AdapterConfig,
    *,
    folder: Path,
    seed: int = 0,
    progress: Say = lambda line: None,
) -> list[dict]:
    """Rows of `explain_case` over rules, worlds and held-out cases. `adapter`: whether it was tuned, or does nothing,
    after 0 steps: then every difference must be 0."""
    rows, adapter = [], "tuned" if config.steps else "zero"
    for name in rules:
        for world in (World(RULES[name], seed=s) for s in config.worlds):
            place = folder / f"{name}-{world.seed}"
            engine = Engine(tune(world, config, folder=place, seed=seed))
            rng = np.random.default_rng([seed, world.seed, 1])
            for case in world.held_out(rng, config.cases):
                rows.append(explain_case(engine, world, case, rng=rng) | {"adapter": adapter})
            progress(f"{name}, world {world.seed}")
    return rows


def summary(rows: Sequence[dict]) -> dict[str, dict]:
    """rule -> shares with Wilson intervals: `right` answers, `exact` sets and `change_exact`, of all cases."""
    out: dict[str, dict] = {}
    for rule in dict.fromkeys(r["rule"] for r in rows):
        group = [r for r in rows if r["rule"] == rule]
        shares = {k: proportion([bool(r[k]) for r in group])._asdict() for k in ("right", "exact", "change_exact")}
        out[rule] = {**shares, "median_calls": float(np.median([r["calls"] for r in group]))}
    return out
