"""`bench difference`: how well an attributed difference of tuned and base says what masks do, and how stable it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.attribution import METHODS, Attribution, Features, linear_surrogate, shapley
from workbench.bench import Say
from workbench.bench.common import load
from workbench.cases import Case
from workbench.explain import changed_sets, reordered
from workbench.game import Difference, Engine, Game
from workbench.stats import Cell, cell, kendall_stability

ORDERS = 10  # of the facts, for the stability of scores
STABLE = ("random", "gradient_gate", "leave_one_out", "attention_highest")


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Cells over held-out cases: LDS and completeness of two attributions; elements added, kept, dropped; stability."""
    engine, held_out = load(run_dir)
    cases = held_out[: 2 if quick else 40]
    attributions: dict[str, list[Attribution]] = {name: [] for name in ATTRIBUTIONS}
    for case in cases:
        delta = Difference(Game.of(engine, case))
        for name, attribute in ATTRIBUTIONS.items():
            attributions[name].append(attribute(delta, np.random.default_rng(seed)))
    say(f"{len(cases)} differences attributed")
    sets = [changed(engine, case, seed=seed) for case in cases]
    say("sets compared")
    few = cases[: 1 if quick else 10]
    taus = {name: [stability(engine, case, name, seed=seed) for case in few] for name in STABLE}
    table = [said(name, found, seed=seed) for name, found in attributions.items()]
    changes = {
        key: _cell([row[key] for row in sets], seed=seed).to_dict() for key in ("added", "kept", "dropped", "unsure")
    }
    stable = {name: _cell(values, seed=seed, control=taus["random"]).to_dict() for name, values in taus.items()}
    return {"table": table, "changed_elements": changes, "kendall_tau": stable, "sets": sets}


ATTRIBUTIONS = {
    "linear, facts": lambda delta, rng: linear_surrogate(
        delta, delta.n, rng=rng, masks=128, held_out=100, features=Features.of_facts(delta.case)
    ),
    "shapley, 64 permutations": lambda delta, rng: shapley(
        delta, delta.n, permutations=64, rng=rng, held_out=100, keep=Features.of_facts(delta.case).half
    ),
}


def said(name: str, found: Sequence[Attribution], *, seed: int) -> dict:
    """A line of the table: LDS with its interval, the share of cases at 0.8 or more, the largest completeness error."""
    lds = _cell([one.lds for one in found], seed=seed)
    return {
        "attribution": name,
        "n": lds.n,
        "lds": lds.mean,
        "low": lds.low,
        "high": lds.high,
        "at 0.8 or more": float(np.mean([one.lds >= 0.8 for one in found])),
        "completeness error": max(one.completeness_error for one in found),
        "masks": float(np.median([one.calls for one in found])),
    }


def changed(engine: Engine, case: Case, *, seed: int) -> dict:
    """How many elements tuning added, kept and dropped in one case; each model's decision is its own answer's."""
    tuned = Game.of(engine, case, form="decision")
    base = Game(engine, case, engine.greedy_answers([case], adapter=False)[0], form="decision", adapter=False)
    found = changed_sets(tuned, base, tuned.n, count=8, alone=True, budget=1000, rng=np.random.default_rng(seed))
    return {"case": case.id, **{key: len(getattr(found, key)) for key in ("added", "kept", "dropped", "unsure")}}


def stability(engine: Engine, case: Case, method: str, *, seed: int) -> float:
    """Mean Kendall tau of a method's scores over `ORDERS` orders of the case's facts."""
    rng, scores = np.random.default_rng(seed), []
    for _ in range(ORDERS):
        other, index = reordered(case, rng=rng)
        game = Game.of(engine, other, path=case.path)
        found = METHODS[method](game.view(removal="gate") if method == "gradient_gate" else game, rng=rng)
        scores.append(found.scores[index])
    return kendall_stability(scores)


def _cell(values: Sequence[float], *, seed: int, control: Sequence[float] | None = None) -> Cell:
    """Over the cases in which the value is defined: a difference that is the same under every mask ranks nothing."""
    rows = np.array([values, values if control is None else control], float)
    rows = rows[:, np.isfinite(rows).all(0)]
    if not rows.size:
        raise ValueError(f"none of {len(values)} cases has a difference that varies; train the adapter for longer")
    return cell(rows[0], None if control is None else rows[1], rng=np.random.default_rng(seed))
