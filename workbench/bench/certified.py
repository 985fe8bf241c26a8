"""`bench certified`: certified flip sets of held-out cases, against a look at every set of up to three elements; every
method's order under one stopping rule; certified sets under other orders of the facts; those under noise, against
the truth of planted games. `bench difference`: how well an attributed difference of tuned and base says what masks
do, and how stable it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path

import numpy as np

from workbench import explain
from workbench.attribution import METHODS, Attribution, Features, linear_surrogate, shapley
from workbench.bench import Say, load
from workbench.bench.oracles import certificates
from workbench.cases import Case, withhold
from workbench.explain import changed_sets, reordered
from workbench.explain.sets.minimal import gradient_order, smallest_flip_set
from workbench.game import Difference, Engine, Game
from workbench.narrative.explained import sooner
from workbench.stats import Cell, bootstrap_mean, cell, kendall_stability, median_interval, proportion
from workbench.stats.keeps import without

LARGEST = 3  # elements of the sets that are all looked at
BLOCK = 4096  # masks asked at once


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Rows, one a case, with every needed fact shown and with 30 % withheld; shares with 95 % intervals; and what
    certificates are worth under noise, where the truth is known."""
    engine, held_out = load(run_dir)
    cases = held_out[: 8 if quick else 200]
    rows = []
    for share in (0.0, 0.3):
        rng = np.random.default_rng(seed)
        for k, case in enumerate(cases, start=1):
            rows.append({"withheld": share, **measured(engine, withhold(case, share, rng=rng), seed=seed)})
            if k % 50 == 0:
                say(f"{share:.0%} withheld: {k} of {len(cases)} cases")
    summary = [summarised(rows, share, seed=seed) for share in (0.0, 0.3)]
    say("every order until the toolchain changes")
    few = explain.ExplainConfig(paper_steps=10, loop_steps=4) if quick else None
    stopped = orders(engine, cases, config=few, seed=seed)
    noisy = certificates(certified=10 if quick else 2000, seed=seed, progress=say)
    return {"table": [flat(one) for one in summary], "summary": summary, **stopped, "under_noise": noisy, "rows": rows}


def measured(engine: Engine, case: Case, *, seed: int) -> dict:
    """One case: what the search found and cost, and the size of the smallest flip set of up to three elements.

    `seeded`: divide and conquer in the order of one gradient pass, for models whose rows are dear.
    """
    game = Game.of(engine, case, form="decision")
    started, rows = time.perf_counter(), engine.ledger.rows
    found = smallest_flip_set(game, game.n, rng=np.random.default_rng(seed))
    seconds, rows = time.perf_counter() - started, engine.ledger.rows - rows
    anew = replace(game, memory=type(game.memory)())
    started = time.perf_counter()
    seeded = explain.minimal_flip_set(anew, game.n, order=gradient_order(anew), rng=np.random.default_rng(seed))
    return {
        "case": case.id,
        "n": game.n,
        "found": found.found,
        "certified": found.certified,
        "size": len(found.elements),
        "smallest": smallest(game, at_most=min(LARGEST, len(found.elements) - 1 if found.found else LARGEST)),
        "rows": rows,
        "masks": found.calls,
        "seconds": seconds,
        "seeded_size": len(seeded.elements),
        "seeded_certified": seeded.certified,
        "seeded_masks": seeded.calls,
        "seeded_seconds": time.perf_counter() - started,
    }


def smallest(game: Game, *, at_most: int) -> int | None:
    """Size of the smallest flip set of up to `at_most` elements, by looking at all; None where there is none."""
    for size in range(1, at_most + 1):
        sets = combinations(range(game.n), size)
        while block := list(islice(sets, BLOCK)):
            if (game(without(game.n, block)) <= 0).any():
                return size
    return None


def summarised(rows: Sequence[dict], share: float, *, seed: int) -> dict:
    """Shares over the cases of one share of withheld facts. `as_small`, `found`: of the cases in which some set of up
    to three elements flips, or ours does."""
    mine, rng = [r for r in rows if r["withheld"] == share], np.random.default_rng(seed)
    flippable = [r for r in mine if r["smallest"] is not None or (r["found"] and r["size"] <= LARGEST)]
    return {
        "withheld": share,
        "cases": len(mine),
        "found": proportion([r["found"] for r in flippable])._asdict(),
        # a smaller set was looked for and not found
        "as_small": proportion([r["found"] and r["smallest"] is None for r in flippable])._asdict(),
        "certified": proportion([r["certified"] for r in mine])._asdict(),
        "size": bootstrap_mean([r["size"] for r in mine if r["found"]], rng=rng)._asdict(),
        "n": bootstrap_mean([r["n"] for r in mine], rng=rng)._asdict(),
        "rows": median_interval([r["rows"] for r in mine])._asdict(),
        "seconds": median_interval([r["seconds"] for r in mine])._asdict(),
        "seeded_size": bootstrap_mean([r["seeded_size"] for r in mine], rng=rng)._asdict(),
        "seeded_masks": median_interval([r["seeded_masks"] for r in mine])._asdict(),
        "seeded_seconds": median_interval([r["seeded_seconds"] for r in mine])._asdict(),
    }


def orders(engine: Engine, cases: Sequence[Case], *, config: explain.ExplainConfig | None, seed: int) -> dict:
    """`until_flip`: method -> what its order takes until the toolchain changes, and by how many elements fewer the mask
    in the loop needs, negative, paired over the cases. `other_orders`: what the certified sets do in other orders of
    the facts."""
    session = explain.Session(engine, cases, seed=seed, config=config)
    found = {method: session.explanations(method, with_base=False, until_flip=True) for method in explain.METHODS}
    means = explain.summarise(explain.records(found, until_flip=True), names=explain.UNTIL_FLIP, seed=seed)
    apart = explain.against(found, explain.LEARNED[-1], metric="elements_taken", seed=seed)
    proved = [one for one in found[explain.CERTIFIED] if one.certificate["certified"]]
    return {
        "until_flip": {m: {**row, "in_loop_minus": apart[m]._asdict()} for m, row in means.items() if m in apart}
        | {explain.LEARNED[-1]: means[explain.LEARNED[-1]]},
        "said": sooner(found, explain.LEARNED[-1], seed=seed),
        "other_orders": explain.order_shares(explain.other_orders(engine, proved, seed=seed), seed=seed),
    }


def flat(summary: dict) -> dict:
    """A line of the table: shares, means and medians without their intervals."""
    middles = {k: v.get("share", v.get("mean", v.get("median"))) for k, v in summary.items() if isinstance(v, dict)}
    return {**summary, **middles}


ORDERS = 10  # of the facts, for the stability of scores
STABLE = ("random", "gradient_gate", "leave_one_out", "attention_highest")


def difference(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
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
