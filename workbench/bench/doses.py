"""`bench doses`: where in the adapter the difference sits, and how little of the adapter is enough.

Needed facts are withheld, so that there is something to remember. The map comes from training cases; what is removed
is measured on held-out ones. The smallest part is sought on one half of these and judged on the other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import models, shift
from workbench.artifacts.runs import require_stage
from workbench.bench import Say
from workbench.bench.common import load
from workbench.cases import Case, load_cases, withhold
from workbench.game import Engine, Game, ModuleGame, adapted_modules, unit_names, unit_parameters
from workbench.stats import proportion

WITHHELD = 0.3  # of the needed facts
TOP = 0.1  # of the units
FEW = 20  # units: 10 % of fewer is a coarse number
DRAWS = 20  # random sets
PAIRED = 4  # modules whose interactions are measured


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Shares of Delta that go with the top units and with random ones; switches, doses, interactions, the smallest
    part; all over held-out cases with 95 % intervals, and rows a second."""
    engine, held_out = load(run_dir)
    folder = require_stage(run_dir, "adapter")
    rng = np.random.default_rng(seed)
    shown = [withhold(case, WITHHELD, rng=rng) for case in held_out[: 6 if quick else 200]]
    seen = [
        withhold(case, WITHHELD, rng=rng) for case in load_cases(folder / "cases_train.jsonl")[: 4 if quick else 80]
    ]
    shift.to_singular_parts(engine.lm.model)
    games, few = shift.contests(engine, shown, form="logprob"), 2 if quick else 40
    maps = {
        unit: shift.dose_path(shift.contests(engine, seen, form="logprob"), unit=unit) for unit in ("module", "part")
    }
    say(f"map from {len(seen)} training cases")
    table = removals(engine, games, maps, rng=rng)
    say(f"top units off, {len(games)} held-out cases")
    switched, speed = switched_cases(engine, games)
    shares = shift.switch_shares(switched, rng=rng)
    top = np.argsort(-shares["off"].to_numpy())[:PAIRED].tolist()
    meetings = shift.interactions(games, top)
    say("modules switched one by one and in pairs")
    responses = response(engine, shift.contests(engine, shown[: few * 2]), few, rng=rng)
    say("doses answered")
    smallest = smallest_parts(engine, shown, maps, folder)
    return {
        "table": table,
        "switches": shares.to_dict("records"),
        "interactions": {"modules": [shares["module"][k] for k in top], "mean": meetings.mean(axis=0).tolist()},
        **responses,
        "smallest_part": smallest,
        "rows_per_second": speed,
    }


def removals(
    engine: Engine, games: Sequence[Game], maps: dict[str, np.ndarray], *, rng: np.random.Generator
) -> list[dict]:
    """A line for each kind of unit and number of units, 10 % rounded to the nearest, and up where units are few: the
    share of Delta that goes with the first ones of the map, with those of most energy, and with random ones."""
    delta, modules = shift.differences(games), adapted_modules(engine.lm.model)
    by_part = np.array(list(shift.part_energies(shift.factors_of(m) for m in modules).values()))
    starts = np.cumsum([0, *(m.rank for m in modules[:-1])])
    energy = {"module": np.add.reduceat(by_part, starts), "part": by_part}
    rows = []
    for unit, path in maps.items():
        parameters = unit_parameters(modules, unit)
        n = len(parameters)
        for count in sorted({max(1, round(TOP * n)), int(np.ceil(TOP * n)) if n < FEW else round(TOP * n)}):
            top, large = (np.argsort(-s, kind="stable")[:count].tolist() for s in (path.mean(axis=0), energy[unit]))
            others = shift.random_sets(parameters, top, draws=DRAWS, rng=rng)
            effects = shift.set_effects(games, [top, large, *others], unit=unit)
            line = {"unit": unit, "off": count, "of": n, "parameters": int(parameters[top].sum()), "cases": len(delta)}
            for name, some in (("map", effects[:, 0]), ("energy", effects[:, 1]), ("random", effects[:, 2:])):
                one = shift.delta_share(some, delta, rng=rng)
                line |= {name: one.mean, f"{name} low": one.low, f"{name} high": one.high}
            rows.append(line | {"random sets": len(others)})
    return rows


def switched_cases(engine: Engine, games: Sequence[Game]) -> tuple[pd.DataFrame, float]:
    """The switches of all modules, and how many rows were asked a second."""
    before, started = engine.ledger.rows, time.perf_counter()
    table = shift.switch_effects(games)
    return table, (engine.ledger.rows - before) / (time.perf_counter() - started)


def response(engine: Engine, games: Sequence[Game], few: int, *, rng: np.random.Generator) -> dict:
    """Margin of the answer over the doses, effects of the elements of some cases, and exact answers."""
    values = shift.over_cases(shift.dose_values(games), ["dose"], value="value", rng=rng)
    effects = shift.over_cases(shift.dose_effects(games[:few]), ["kind", "needed", "dose"], value="effect", rng=rng)
    grid, cases = values["dose"].to_numpy(), [game.case for game in games]
    right = shift.exact_at(engine, cases, np.repeat(grid[:, None], ModuleGame(games[0]).n, axis=1), measure="path")
    exact = [{"dose": d, **proportion(r)._asdict()} for d, r in zip(grid.tolist(), right, strict=True)]
    return {"margin": values.to_dict("records"), "effects": effects.to_dict("records"), "exact_path": exact}


def smallest_parts(engine: Engine, cases: Sequence[Case], maps: dict[str, np.ndarray], folder: Path) -> list[dict]:
    """Per unit the smallest part that keeps 95 % on the first half of the cases, judged on the second by generation
    with the reduced adapter loaded from its folder."""
    half, four_bit = len(cases) // 2, bool(getattr(engine.lm.model, "is_loaded_in_4bit", False))
    rows = []
    for unit, path in maps.items():
        order = np.argsort(-np.abs(path).mean(axis=0), kind="stable").tolist()
        found = shift.smallest_part(engine, cases[:half], order, unit=unit)
        n, count = len(order), max(1, len(found.units))  # a folder without modules is none
        judged = shift.kept_accuracy(engine, cases[half:], order, sizes=[0, count, n], unit=unit)
        names = unit_names(adapted_modules(engine.lm.model), unit)
        factors = [shift.factors_of(m) for m in adapted_modules(engine.lm.model)]
        with tempfile.TemporaryDirectory() as place:
            small = shift.save_adapter(
                Path(place) / "reduced", shift.reduced(factors, {names[k] for k in order[:count]}), like=folder
            )
            size = (small / "adapter_model.safetensors").stat().st_size
            again = Engine(models.load(engine.lm.name, names=engine.lm.names, adapter=small, four_bit=four_bit))
            loaded = answers_right(again, cases[half:])
        base, kept, tuned = judged.to_dict("records")
        rows.append(
            {"unit": unit, "kept": count, "of": n, "part": kept["part"], "bytes": size, "base": base, "reduced": kept}
            | {"tuned": tuned, "loaded": proportion(loaded)._asdict(), "search": found.table.to_dict("records")}
        )
    return rows


def answers_right(engine: Engine, cases: Sequence[Case]) -> np.ndarray:
    """Exact toolchains (cases,) bool of a model as it is loaded."""
    return shift.exact_at(engine, cases, np.ones((1, len(adapted_modules(engine.lm.model)))))[0]
