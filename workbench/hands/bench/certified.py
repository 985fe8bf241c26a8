"""`bench certified`: certified flip sets of held-out cases, against a look at every set of up to three elements; those
under noise, against the truth of planted games."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path

import numpy as np

from workbench import explain
from workbench.cases import Case, withhold
from workbench.explain.sets.minimal import gradient_order, smallest_flip_set
from workbench.game import Engine, Game
from workbench.hands.bench import Say, load
from workbench.hands.bench.oracles import certificates
from workbench.stats import bootstrap_mean, median_interval, proportion
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
            with engine.known.left_out():  # each search pays for itself
                rows.append({"withheld": share, **measured(engine, withhold(case, share, rng=rng), seed=seed)})
            if k % 50 == 0:
                say(f"{share:.0%} withheld: {k} of {len(cases)} cases")
    summary = [summarised(rows, share, seed=seed) for share in (0.0, 0.3)]
    noisy = certificates(certified=10 if quick else 2000, seed=seed, progress=say)
    return {"table": [flat(one) for one in summary], "summary": summary, "under_noise": noisy, "rows": rows}


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


def flat(summary: dict) -> dict:
    """A line of the table: shares, means and medians without their intervals."""
    middles = {k: v.get("share", v.get("mean", v.get("median"))) for k, v in summary.items() if isinstance(v, dict)}
    return {**summary, **middles}
