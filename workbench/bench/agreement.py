"""`bench agreement`: do masks, attention, gradients and weight shifts agree, and does what they point at matter?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.artifacts import runs
from workbench.bench import Say
from workbench.bench.common import load
from workbench.explain import ExplainConfig, without
from workbench.shift import (
    Measurement,
    agreement_tests,
    by_group,
    causal_check,
    deletions,
    module_saliency,
    read_factors,
    separation,
)
from workbench.shift.validity import KINDS

CASES, DRAWS = 200, 4999  # so many permutations, that the strictest correction of all pairs can go below 0.05
TOP = 3


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Rank agreement of every two measures with corrected p-values, as it is and at equal degrees; the drop of the
    answer and its flips when each measure's first elements are deleted, beside chance; shifts by type and relation.

    MissingStage: the run has no finished adapter; the message names the notebook to run.
    """
    engine, held_out = load(run_dir)
    factors = list(read_factors(runs.require_stage(run_dir, "adapter")))
    clock = _Clock(say)
    config = ExplainConfig(paper_steps=10, loop_steps=2) if quick else ExplainConfig()
    measured = Measurement(engine, held_out[: 4 if quick else CASES], factors, seed=seed, config=config)
    table = clock("measures", lambda: measure(measured))
    draws, rng = 99 if quick else DRAWS, np.random.default_rng(seed)
    tests = clock("agreement", lambda: agreement_tests(table, rng=rng, draws=draws))
    equal = clock("agreement at equal degree", lambda: agreement_tests(table, rng=rng, draws=draws, control="degree"))
    check = clock("causal check", lambda: causal(measured, table, rng=rng))
    matched = clock("causal check at equal degree", lambda: causal(measured, table, rng=rng, control="degree"))
    needed = {kind: separation(table, kind=kind, rng=rng) for kind in KINDS}
    groups = {by: by_group(measured.shift, measured.cases, by, rng=rng) for by in ("type", "relation")}
    return {
        "table": summary(check, tests, needed),
        "cases": len(measured.cases),
        "elements": len(table),
        "agreement": records(tests),
        "agreement_at_equal_degree": records(equal),
        "causal": records(check),
        "causal_at_equal_degree": records(matched),
        "needed": {kind: records(rows) for kind, rows in needed.items()},
        "shift": {by: records(rows) for by, rows in groups.items()},
        "parts": clock.seconds,
        "ledger": engine.ledger.to_dict(),
    }


def measure(measured: Measurement) -> pd.DataFrame:
    """All measures of the cases; modules are weighted by their saliency in each case."""
    measured.saliency = saliency_by_case(measured)
    return measured.table()


def saliency_by_case(measured: Measurement) -> np.ndarray:
    """WAGLE's saliency (cases, modules): the answer on the case, against the case without its certified flip set."""
    sets = measured.session.certified
    changed = [without(c, [c.elements[i] for i in one.elements]) for c, one in zip(measured.cases, sets, strict=True)]
    pairs = list(zip(measured.cases, changed, strict=True))
    rows = module_saliency(measured.engine, pairs, measured.session.full_ids)
    wide = rows.pivot(index="case", columns="module", values="saliency")
    return wide.loc[[c.id for c in measured.cases], [one.module for one in measured.factors]].to_numpy()


def causal(
    measured: Measurement, table: pd.DataFrame, *, rng: np.random.Generator, control: str = "kind"
) -> pd.DataFrame:
    """The causal check; at equal degree of nodes alone, whose degree says how many facts go with them."""
    kinds = KINDS if control == "kind" else ("node",)
    return causal_check(deletions(measured.games, table, rng=rng, kinds=kinds, control=control), rng=rng)


def summary(check: pd.DataFrame, tests: pd.DataFrame, needed: dict[str, pd.DataFrame]) -> list[dict]:
    """A line a kind and measure: the drop of the first 3 elements (nats), that of chance sets, p of the difference
    (Holm), the share of flips, the area under the ROC curve for needed elements, and with how many other measures it
    agrees beyond chance (Kendall, Holm).
    """
    drops = check[(check["outcome"] == "drop") & (check["k"] == TOP)].set_index(["kind", "measure"])
    flips = check[(check["outcome"] == "flipped") & (check["k"] == TOP)].set_index(["kind", "measure"])
    sure = tests[(tests["statistic"] == "kendall") & (tests["holm"] < 0.05) & (tests["mean"] > 0)]
    lines = []
    for (kind, name), row in drops.iterrows():
        areas, mine = needed[kind].set_index("measure"), sure[sure["kind"] == kind]
        line = {"kind": kind, "measure": name, "n": row["n"], "drop": row["mean"], "by chance": row["random"]}
        line |= {"p, Holm": row["holm"], "flips": flips.loc[(kind, name), "mean"], "needed": areas.loc[name, "mean"]}
        lines.append(line | {"agrees with": int(((mine["first"] == name) | (mine["second"] == name)).sum())})
    return records(pd.DataFrame(lines))


def records(table: pd.DataFrame) -> list[dict]:
    """Rows of plain values; None where a figure is not defined."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


class _Clock:
    """Runs parts of the measurement and remembers the seconds of each."""

    def __init__(self, say: Say):
        self.say, self.seconds = say, dict[str, float]()

    def __call__(self, name: str, part: Callable[[], Any]) -> Any:
        self.say(name)
        started = time.perf_counter()
        done = part()
        self.seconds[name] = time.perf_counter() - started
        return done
