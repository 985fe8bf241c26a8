"""`bench peers`: our explanations beside captum and context-cite: one model, the same cases, one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from workbench import models
from workbench.cases import Case
from workbench.game import Engine
from workbench.hands.bench import Say, load
from workbench.hands.bench.contenders import (
    CONTENDERS,
    OURS,
    QUALITY,
    Asked,
    Contender,
    Counter,
    Given,
    Quality,
    available,
    largest_difference,
)
from workbench.hands.bench.packages import installed, versions_told
from workbench.stats import Interval, MedianInterval, bootstrap_mean, median_interval, proportion, spearman
from workbench.stats.intervals import ANYWHERE

COSTS = ("calls", "rows", "tokens", "seconds")
RATIOS = tuple(f"{name}_ratio" for name in COSTS)
MEANS = (*QUALITY, *COSTS[:-1], "backward_passes", *RATIOS, "agreement", "difference", "size", "certified")
SHARES = ("flips", "certified")
WITHIN = {"lds": (-1, 1), "agreement": (-1, 1), "until_flip": (1, np.inf)}
DEAR_CASES = 2  # of the calls that take hundreds of passes a case


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Rows of every case and contender, their figures with intervals, and a table of these.

    MissingStage: the run has no finished adapter; the message names the notebook to run.
    """
    engine, held_out = load(run_dir)
    versions = installed()
    cases = asked_of(engine, held_out, 1 if quick else 10, seed=seed)
    contenders = available(versions, dear=not quick)
    rows = compare(cases, contenders, say=say)
    figures = summarise(rows, seed=seed)
    return {
        "table": table(figures),
        "figures": figures,
        "rows": rows,
        "model": engine.lm.name,
        "device": str(engine.lm.device),
        "threads": torch.get_num_threads(),
        "packages": versions_told(versions),
        "left_out": [one.name for one in CONTENDERS.values() if one not in contenders],
    }


def asked_of(engine: Engine, cases: Sequence[Case], count: int, *, seed: int = 0) -> list[Asked]:
    """Up to `count` cases at random, each with what the tuned model answers: of 3 facts or more, and with answers that
    are the same tokens after a way through text, as packages send them. ValueError: there is none.
    """
    tokenizer = engine.lm.tokenizer
    chosen: list[Asked] = []
    for i in np.random.default_rng(seed).permutation(len(cases)):
        if len(cases[i].facts) < 3 or len(chosen) == count:
            continue
        answer = engine.greedy_answers([cases[i]])[0]
        said = tokenizer.encode(tokenizer.decode(answer), add_special_tokens=False)
        if tuple(said) == answer and answer[-1] == tokenizer.eos_token_id:
            chosen.append(Asked(engine, cases[i], answer, seed=seed))
    if not chosen:
        raise ValueError(
            f"none of {len(cases)} held-out cases shows 3 facts and gets an answer of the graph's names; train longer"
        )
    return chosen


def compare(
    cases: Sequence[Asked],
    contenders: Sequence[Contender],
    *,
    dear_cases: int = DEAR_CASES,
    masks: int = 64,
    say: Say = lambda line: None,
) -> list[dict]:
    """One flat row for each case and contender; the smallest case is asked once before, to warm up.

    Scores are of the log-probability (nats) of the tuned model's answer, (facts,). A row holds the measures of
    `Quality`, what the call cost (`calls`, `rows`, `tokens`, `seconds`, `backward_passes`), each cost as a ratio to
    our row that does the same, rank `agreement` with that row, largest `difference` to it on the same masks, and
    `size` and `certified` of a set. None: does not apply, or no set was found. `failed`: what a package said when it
    gave up.
    """
    for one in contenders:
        if not one.dear:
            measure(one, min(cases, key=lambda asked: len(asked.case.facts)))
    rows: list[dict] = []
    for k, asked in enumerate(cases):
        say(f"case {k + 1} of {len(cases)}: {len(asked.case.facts)} facts, {len(asked.answer)} answer tokens")
        mine = [measure(one, asked) for one in contenders if not one.dear or k < dear_cases]
        rows += judged(asked, mine, masks=masks)
    return rows


def measure(one: Contender, asked: Asked) -> tuple[Contender, Given | None, dict]:
    """A contender's scores and what they cost; None and the reason where a package fails."""
    before, failed = asked.engine.ledger.backward_passes, None
    with asked.engine.known.left_out(), Counter(asked.engine.lm) as count:
        try:
            given = one.ask(asked)
        except ValueError as error:
            if one.package == OURS:
                raise
            given, failed = None, models.first_line(error)
    spent = asked.engine.ledger.backward_passes - before
    return one, given, {**vars(count.spent), "backward_passes": spent, "failed": failed}


def judged(asked: Asked, mine: Sequence[tuple[Contender, Given | None, dict]], *, masks: int) -> list[dict]:
    """The rows of one case."""
    ours = {one.name: (given, cost) for one, given, cost in mine if one.package == OURS and given is not None}
    smallest = ours["smallest_flip_set"][0].found
    quality = Quality(asked, size=len(smallest.elements) if smallest and smallest.found else None, masks=masks)
    head = {"case": asked.case.id, "facts": len(asked.case.facts), "answer_tokens": len(asked.answer)}
    rows = []
    for one, given, cost in mine:
        row: dict = {**head, "contender": one.name, "package": one.package, **dict.fromkeys(MEANS), **cost}
        if given is not None:
            like, like_cost = ours[one.like]
            row |= quality(given.scores)
            row |= {f"{c}_ratio": cost[c] / like_cost[c] if like_cost[c] else None for c in COSTS}
            agreement = spearman(given.scores, like.scores)
            row["agreement"] = None if one.name == one.like or np.isnan(agreement) else agreement
            row["difference"] = largest_difference(asked, given, like) if one.exact else None
            if given.found is not None:
                row["certified"] = float(given.found.certified)
                row["size"] = len(given.found.elements) if given.found.found else None
        rows.append(row)
    return rows


def summarise(rows: Sequence[dict], *, seed: int = 0) -> dict[str, dict]:
    """contender -> `n`, `failed`, and measure -> mean over cases with its interval, bootstrap-t; of `SHARES` Wilson's,
    of seconds the median. A measure that applies to no case is left out.
    """
    out: dict[str, dict] = {}
    for name in dict.fromkeys(row["contender"] for row in rows):
        group = [row for row in rows if row["contender"] == name]
        rng = np.random.default_rng(seed)
        line: dict = {"package": group[0]["package"], "n": len(group), "failed": sum(bool(r["failed"]) for r in group)}
        done = [row for row in group if not row["failed"]]
        for measure_name in (*MEANS, "seconds"):
            values = [row[measure_name] for row in done if row[measure_name] is not None]
            if values:
                line[measure_name] = _over_cases(measure_name, values, rng)._asdict()
        out[name] = line
    return out


def _over_cases(name: str, values: Sequence[float], rng: np.random.Generator) -> Interval | MedianInterval:
    if name == "seconds":
        return median_interval(values)
    if name in SHARES:
        return proportion(values).as_mean()
    return bootstrap_mean(values, rng=rng, within=WITHIN.get(name, ANYWHERE))


def table(figures: dict[str, dict]) -> list[dict]:
    """One line a contender: the means (of seconds the median) without their intervals; None: does not apply."""
    quality = ("top_k_drop", "lds", "flips", "until_flip")
    shown = (*quality, "calls", "rows", "seconds", "seconds_ratio", "agreement", "difference")
    out = []
    for name, line in figures.items():
        cells = {key: line.get(key, {}) for key in shown}
        values = {key: one.get("median" if key == "seconds" else "mean") for key, one in cells.items()}
        title = name if line["package"] == OURS else f"{line['package']}: {name}"
        out.append({"method": title, "n": line["n"], "failed": line["failed"], **values})
    return out
