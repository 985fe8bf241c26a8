"""Which modules of an adapter carry reading and which memory: what each adds where only the one or the other helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import models
from workbench.cases import Case, load_cases, mixed, withhold
from workbench.game import Engine, Game, ModuleGame
from workbench.models.shipped_adapters import card
from workbench.shift.dose import dose_path
from workbench.shift.switches import unit_place
from workbench.train.rows import Names

READING, MEMORY = "reading", "memory"
WITHHELD = 0.6  # of the needed facts, for memory: the most that adapters were trained with
STEPS = 4  # midpoints of the path from base to tuned


def carried(
    model: str, adapter: Path, *, names: Mapping[str, str], cases: int, seed: int, steps: int = STEPS
) -> pd.DataFrame:
    """The parts of an adapter's gain in the right answer's log-probability, on held-out cases that come with it.

    One row a case, kind and module: `case, kind, module, layer, projection, path` (nats, see `dose_path`). Kind
    `reading`: every name made up and every needed fact shown, so that nothing can be remembered; `memory`: `WITHHELD`
    of the needed facts left out, so that they cannot be read. cases: so many of each kind, `mixed`. The model is loaded
    with that adapter and let go again. OSError: no cases come with it.
    """
    engine = Engine(models.load(model, names=names, adapter=adapter))
    some = mixed(load_cases(adapter / "cases_held_out.jsonl.gz"))[:cases]
    shown = {READING: unknown(some, engine, seed=seed)}
    rng, always = np.random.default_rng(seed), card(adapter).get("always_shown", ())
    shown[MEMORY] = [withhold(case, WITHHELD, rng=rng, always_shown=always) for case in some]
    tables = []
    for kind, asked in shown.items():
        for case in asked:
            game = Game.of(engine, case, path=case.path)
            table = {"module": ModuleGame(game).names, "path": dose_path([game], steps=steps)[0]}
            tables.append(pd.DataFrame({"case": case.id, "kind": kind, **table}))
    found = pd.concat(tables, ignore_index=True)
    places = [unit_place(name, "module") for name in found["module"]]
    found[["layer", "projection"]] = pd.DataFrame(places, index=found.index)
    return found


def unknown(cases: Sequence[Case], engine: Engine, *, seed: int) -> list[Case]:
    """The cases with a made-up name for every name."""
    made_up, rng = Names.of(engine.lm), np.random.default_rng(seed)
    return [replace(case, names=made_up.draw(case.names, rng)) for case in cases]


def gain_shares(table: pd.DataFrame, *, by: Sequence[str]) -> pd.DataFrame:
    """Shares of an adapter's whole gain of each kind, ratios of sums over the cases: groups of `by` -> one column a
    kind. table: rows of `carried`."""
    sums = table.pivot_table(values="path", index=list(by), columns="kind", aggfunc="sum", sort=False)
    return sums / sums.sum()
