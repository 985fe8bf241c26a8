"""`bench planted`: methods where the truth is known: set games, planted adapters, facts that are switched off."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.attribution import METHODS
from workbench.bench import Say
from workbench.bench.adapters import AdapterConfig, planted_adapters, summary, tune, zero_adapter
from workbench.bench.noisy import certificates
from workbench.bench.set_games import set_games
from workbench.bench.worlds import RULES, World
from workbench.explain import minimal_flip_set
from workbench.game import Engine, Game, Restricted


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Rows of all three, a table of the set games at their middle size, certificates under noise. run_dir is not used:
    nothing is read."""
    sizes, seeds, searches = ((16,), 4, 12) if quick else ((16, 64, 256), 20, 200)
    oracles = set_games(sizes=sizes, seeds=seeds, search_seeds=searches, seed=seed, progress=say)
    config = AdapterConfig(training_cases=200, steps=20, cases=3, worlds=(0,)) if quick else AdapterConfig()
    with tempfile.TemporaryDirectory() as folder:
        adapters = planted_adapters(list(RULES), config, folder=Path(folder), seed=seed, progress=say)
        zero = zero_adapter(config, folder=Path(folder) / "zero", seed=seed)
        off = switched_off(Path(folder) / "off", config, seed=seed)
    return {
        "table": table(oracles, n=sizes[len(sizes) // 2]),
        "oracles": oracles,
        "under_noise": certificates(certified=10 if quick else 2000, seed=seed, progress=say),
        "adapters": {"rows": adapters, "summary": summary(adapters)},
        "zero_adapter": {"rows": zero, "largest_change": max(row["largest_change"] for row in zero)},
        "switched_off": off,
    }


def table(rows: Sequence[dict], *, n: int) -> list[dict]:
    """A line a method, at one n: share of exact sets by game, mean over noise levels; median of the median calls."""
    out = []
    for method in dict.fromkeys(r["method"] for r in rows):
        mine = [r for r in rows if r["method"] == method and r["n"] == n]
        games = dict.fromkeys(r["game"] for r in mine)
        line: dict = {"method": method, "n": n}
        line |= {g: float(np.mean([r["exact"]["share"] for r in mine if r["game"] == g])) for g in games}
        out.append(line | {"calls": float(np.median([r["calls"]["median"] for r in mine]))})
    return out


def switched_off(folder: Path, config: AdapterConfig, *, seed: int) -> list[dict]:
    """The largest |score| that each method gives to facts that are gated off whatever the mask says: 0 is right.

    Methods that ask for values or gradients alone, chance excepted, which knows nothing. Those that fit a line to
    random masks share out what the line cannot say, so they give something to facts that do nothing.
    """
    world = World(RULES["and"], seed=seed)
    engine = Engine(tune(world, config, folder=folder, seed=seed))
    (case,) = world.held_out(np.random.default_rng(seed), 1)
    game = Game.of(engine, case, path=case.path, removal="gate")
    facts = np.arange(len(case.nodes), game.n)
    dead = np.array(sorted(world.truth(case)))
    part = Restricted(game, facts, off=dead)
    found = minimal_flip_set(Restricted(game.view(form="decision"), facts, off=dead), len(facts))
    rows = [{"method": "flip", "off": float(np.isin(facts[list(found.elements)], dead).any()), "others": 1.0}]
    for method in METHODS.values():
        if set(method.needs) - {"gradients"} or method.name == "random":
            continue
        scores = np.abs(method(part, rng=np.random.default_rng(seed)).scores)
        worst = float(scores[np.isin(facts, dead)].max())
        rows.append({"method": method.name, "off": worst, "others": float(scores[~np.isin(facts, dead)].max())})
    return rows
