"""`bench card`: the figures of the shipped adapters' cards measured again, on the cases that come with them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import kg, models
from workbench.bench import Say
from workbench.cases import load_cases, mixed
from workbench.game import Engine
from workbench.models.shipped_adapters import ADAPTERS, card, shipped
from workbench.stats import proportion
from workbench.train.scores import score

QUICK = 20  # cases of each kind


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """A row for every share of exact answers in the cards, of splits that come with the adapter: `exact` with its 95 %
    interval (Wilson), n and seconds beside `card`.

    quick: 20 cases for every share of the adapter `whole`. No run is looked at.
    """
    graph = kg.load_graph("biotoolkg").graph
    names = {node: graph.nodes[node]["name"] for node in kg.flow_graph(graph)}
    rows: list[dict[str, Any]] = []
    for adapter in ADAPTERS[:1] if quick else ADAPTERS:
        folder = shipped(adapter)
        engine = Engine(models.load("smollm2", names=names, adapter=folder))
        for figure in told(folder):
            say(f"{adapter}: {figure['split']}, {figure['share']:.0%} withheld")
            found = measured(engine, folder, figure, most=QUICK if quick else None, seed=seed)
            rows.append({"adapter": adapter, **found})
    return {"table": rows}


def told(folder: Path) -> list[dict[str, Any]]:
    """The scores of a card that can be measured again: exact answers to cases that lie in the folder."""
    scores = card(folder)["scores"]
    return [row for row in scores if row["metric"] == "exact" and _cases(folder, row["split"]).is_file()]


def _cases(folder: Path, split: str) -> Path:
    return folder / ("showcase.jsonl.gz" if split == "showcase" else f"cases_{split}.jsonl.gz")


def measured(
    engine: Engine, folder: Path, figure: Mapping[str, Any], *, most: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """One row of a card's scores again, on its cases or on the first `most` of them as `mixed` orders them.

    seed: of the needed facts that are withheld, which are others than those that the card's figure was measured with.
    """
    cases = mixed(load_cases(_cases(folder, figure["split"])))[:most]
    started = time.perf_counter()
    shown = card(folder).get("always_shown", ())
    answers = score(engine, cases, share=figure["share"], adapter=True, edges=set(), seed=seed, always_shown=shown)
    found = proportion([answer["exact"] for answer in answers])
    exact = {"exact": found.share, "low": found.low, "high": found.high, "n": found.n, "card": figure["mean"]}
    return {
        "cases": figure["split"],
        "withheld": figure["share"],
        **exact,
        "seconds": time.perf_counter() - started,
    }
