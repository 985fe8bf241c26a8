"""Planted adapters: the base is tuned on a world whose rule is known; do the explanations find the rule?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workbench import models
from workbench.attribution import shapley
from workbench.bench.worlds import RULES, World
from workbench.cases import Case, toolchain
from workbench.explain import diverse_flip_sets
from workbench.game import Difference, Engine, Game, Restricted
from workbench.stats import proportion
from workbench.train import TrainConfig, train

CLEAR = 0.25  # of the largest score: what an element's share of a difference must be to count as found
SETS = 4  # flip sets looked for in one case
Progress = Callable[[str], None]


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
        how = TrainConfig(shares=(0.0,), replay=0.0, seed=seed)  # a planted rule holds for the names of its world
        settings = replace(how, steps=config.steps, learning_rate=config.learning_rate)
        train(lm, cases, settings, folder=folder)
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
    progress: Progress | None = None,
) -> list[dict]:
    """Rows of `explain_case` over rules, worlds and held-out cases, and over a control whose adapter does nothing."""
    rows = []
    for name in rules:
        for world in (World(RULES[name], seed=s) for s in config.worlds):
            place = folder / f"{name}-{world.seed}"
            engine = Engine(tune(world, config, folder=place, seed=seed))
            rng = np.random.default_rng([seed, world.seed, 1])
            for case in world.held_out(rng, config.cases):
                rows.append(explain_case(engine, world, case, rng=rng) | {"adapter": "tuned"})
            if progress:
                progress(f"{name}, world {world.seed}")
    return rows


def zero_adapter(config: AdapterConfig, *, folder: Path, seed: int = 0) -> list[dict]:
    """The same with adapters that do nothing: every difference must be 0."""
    world = World(RULES["and"], seed=config.worlds[0])
    engine = Engine(tune(world, replace(config, steps=0), folder=folder, seed=seed))
    rng = np.random.default_rng([seed, 2])
    return [explain_case(engine, world, c, rng=rng) | {"adapter": "zero"} for c in world.held_out(rng, config.cases)]


def summary(rows: Sequence[dict]) -> dict[str, dict]:
    """rule -> shares with Wilson intervals: `right` answers, `exact` sets and `change_exact`, of all cases."""
    out: dict[str, dict] = {}
    for rule in dict.fromkeys(r["rule"] for r in rows):
        group = [r for r in rows if r["rule"] == rule]
        shares = {k: proportion([bool(r[k]) for r in group])._asdict() for k in ("right", "exact", "change_exact")}
        out[rule] = {**shares, "median_calls": float(np.median([r["calls"] for r in group]))}
    return out
