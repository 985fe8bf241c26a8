"""Methods where the truth is known. `bench planted`: set games, planted adapters, facts that are switched off. `bench
certified`: certified flip sets of held-out cases, against a look at every set of up to three elements; those under
noise, against the truth of planted games."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np

from workbench.attribution import METHODS
from workbench.cases import Case, withhold
from workbench.explain import ElementSet, minimal_flip_set
from workbench.explain.sets.minimal import gradient_order, smallest_flip_set
from workbench.game import Engine, Game, Restricted
from workbench.hands.bench import Say, load
from workbench.hands.bench.adapters import RULES, AdapterConfig, World, planted_adapters, summary, tune
from workbench.hands.bench.oracles import FORMULAS, SEARCHES, PlantedGame, certificates, planted_game
from workbench.stats import auroc, bootstrap_mean, median_interval, proportion
from workbench.stats.games import Meter, without


def planted(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Rows of all three, a table of the set games at their middle size. run_dir is not used: nothing is read."""
    sizes, seeds, searches = ((16,), 4, 12) if quick else ((16, 64, 256), 20, 200)
    oracles = set_games(sizes=sizes, seeds=seeds, search_seeds=searches, seed=seed, progress=say)
    config = AdapterConfig(training_cases=200, steps=20, cases=3, worlds=(0,)) if quick else AdapterConfig()
    with tempfile.TemporaryDirectory() as folder:
        adapters = planted_adapters(list(RULES), config, folder=Path(folder), seed=seed, progress=say)
        nothing = replace(config, steps=0, worlds=config.worlds[:1])
        zero = planted_adapters(["and"], nothing, folder=Path(folder) / "zero", seed=seed)
        off = switched_off(Path(folder) / "off", config, seed=seed)
    return {
        "table": table(oracles, n=sizes[len(sizes) // 2]),
        "oracles": oracles,
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
        line: dict = {"method": method, "elements": n}
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


REPEATS = 30  # most asks of one mask under noise
NOISES = (0.0, 0.1, 0.3)  # standard deviation of a value; noise-free values are mostly +1 and -1
SETTINGS: dict[str, dict[str, Any]] = {
    "context_cite": {"masks": 256},
    "kernel_shap": {"samples": 256},
    "shapley_sampling": {"permutations": 4},
}


@dataclass(frozen=True)
class Found:
    """What one method found in one game. recall: of the planted elements; exact: they and no others; auroc of the
    scores, NaN where they cannot tell (all or no elements are planted); calls: mask rows."""

    recall: float
    exact: bool
    auroc: float
    calls: int
    certified: bool = False
    wrong: bool = False  # certified, and not a minimal set


def names() -> list[str]:
    """The searches, then every peer that asks for values alone."""
    return [*SEARCHES, *(m.name for m in METHODS.values() if not m.needs and m.name != "feature_ablation")]


def play(name: str, game: PlantedGame, *, rng: np.random.Generator) -> Found:
    """One method on one game."""
    planted = np.isin(np.arange(game.n), [game.elements[role] for role in game.formula.matters])
    if name in SEARCHES:
        return _search(name, game, planted, rng=rng)
    meter = Meter(game, game.n, cache=False)
    scores = METHODS[name](meter, rng=rng, **SETTINGS.get(name, {})).scores
    top = np.zeros(game.n, bool)
    # ties are broken at random: an order that the method did not give shall not count for it
    top[np.lexsort((rng.random(game.n), -scores))[: planted.sum()]] = True
    recall = float((top & planted).sum() / planted.sum())
    return Found(recall, recall == 1, auroc(scores, np.flatnonzero(planted)), meter.calls)


def _search(name: str, game: PlantedGame, planted: np.ndarray, *, rng: np.random.Generator) -> Found:
    """A search finds one minimal set of possibly many: exact when it is one of them, recall of the nearest of them."""
    found = SEARCHES[name](game, game.n, repeats=REPEATS if game.noise else 1, rng=rng)
    members, true = frozenset(found.elements), game.minimal(name)
    recall = max(len(members & one) / len(one) for one in true)
    scores = np.isin(np.arange(game.n), found.elements).astype(float)
    exact, area = members in true, auroc(scores, np.flatnonzero(planted))
    return Found(recall, exact, area, found.calls, found.certified, wrong=found.certified and not exact)


def set_games(
    *,
    sizes: Sequence[int] = (16, 64, 256),
    noises: Sequence[float] = NOISES,
    games: Sequence[str] = tuple(FORMULAS),
    seeds: int = 20,
    search_seeds: int | None = None,
    seed: int = 0,
    progress: Say = lambda line: None,
) -> list[dict]:
    """A row for each method, game, noise and n, over `seeds` planted games, the same for every method; the searches,
    which cost little, may have more: `search_seeds`.
    """
    rows = []
    for n in sizes:
        for place, game in enumerate(games):
            for noise in noises:
                for name in names():
                    count = search_seeds or seeds if name in SEARCHES else seeds
                    drawn = [np.random.default_rng([seed, n, place, k]) for k in range(count)]
                    found = [play(name, planted_game(game, n, rng=rng, noise=noise), rng=rng) for rng in drawn]
                    rows.append({"n": n, "game": game, "noise": noise, "method": name, **cell(found, seed=seed)})
            progress(f"{game}, n = {n}")
    return rows


def cell(found: Sequence[Found], *, seed: int) -> dict:
    """Means over games with 95 % intervals: recall, share of exact sets, AUROC, median calls."""
    rng = np.random.default_rng(seed)
    return {
        "recall": bootstrap_mean([f.recall for f in found], rng=rng, within=(0, 1))._asdict(),
        "exact": proportion([f.exact for f in found])._asdict(),
        "auroc": bootstrap_mean([f.auroc for f in found], rng=rng, within=(0, 1))._asdict(),
        "calls": median_interval([f.calls for f in found])._asdict(),
        "certified": float(np.mean([f.certified for f in found])),
        "certificates": sum(f.certified for f in found),
        "wrong_certificates": sum(f.wrong for f in found),
    }


LARGEST = 3  # elements of the sets that are all looked at
BLOCK = 4096  # masks asked at once


def certified(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
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
    one = _spent(engine, lambda: smallest_flip_set(game, game.n, rng=np.random.default_rng(seed)))
    anew, rng = replace(game, memory=type(game.memory)()), np.random.default_rng(seed)
    seeded = _spent(engine, lambda: minimal_flip_set(anew, game.n, order=gradient_order(anew), rng=rng))
    at_most = min(LARGEST, one["size"] - 1 if one["found"] else LARGEST)
    row = {"case": case.id, "n": game.n, **one, "smallest": smallest(game, at_most=at_most)}
    return row | {f"seeded_{name}": seeded[name] for name in ("size", "certified", "masks", "seconds")}


def _spent(engine: Engine, search: Callable[[], ElementSet]) -> dict[str, Any]:
    """What a search found and cost."""
    started, rows = time.perf_counter(), engine.ledger.rows
    found = search()
    cost = {"rows": engine.ledger.rows - rows, "masks": found.calls, "seconds": time.perf_counter() - started}
    return {"found": found.found, "certified": found.certified, "size": len(found.elements), **cost}


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
