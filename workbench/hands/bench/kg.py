"""The graph at full size: what building it from registry tables costs, how fast questions are, which links it accepts.

Takes the tables and workflows of the folder `WORKBENCH_SHARED` (or `shared` beside the checkout); without them it says
so. The graph is built in a process of its own, whose peak memory is read at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import workbench
from workbench.artifacts.origin import peak_bytes
from workbench.hands.bench import Say
from workbench.hands.bench.accepted import RANDOM_PAIRS, links_accepted, links_drawn

if TYPE_CHECKING:
    import networkx as nx


QUERIES = 400


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Seconds, MiB, latencies (ms), and shares of accepted links; `table` has a row per figure."""
    shared = Path(os.environ.get("WORKBENCH_SHARED", Path(workbench.__file__).resolve().parents[2] / "shared"))
    if not (shared / "data" / "components.jsonl").is_file():
        message = f"skipped: no registry tables in {shared / 'data'}; name their folder's parent in WORKBENCH_SHARED"
        say(message)
        return {"skipped": message, "table": [{"figure": "skipped", "value": message}]}
    queries = 50 if quick else QUERIES
    say("questions on the shipped table")
    shipped = apart(_shipped, queries, seed)
    say("building the tables")
    built = apart(_built, shared / "data", queries, seed)
    say("links of published workflows")
    links = apart(links_accepted, shared, seed, RANDOM_PAIRS // (10 if quick else 1))
    say("links in cases that a model is trained on")
    drawn = apart(links_drawn, shared, 600 if quick else 8_000)
    table = [{"figure": f"{name}, shipped", "value": value} for name, value in shipped.items()]
    table += [{"figure": f"{name}, tables", "value": value} for name, value in built.items()]
    table += [
        {"figure": f"{r['graph']}: {r['pairs']} links accepted, {r['level']} level", "value": _spelled(r)}
        for r in links["rates"]
    ]
    table += [
        {"figure": f"{cases}: {which} that published workflows have", "value": _spelled(rate)}
        for cases, known in drawn.items()
        for which, rate in known.items()
    ]
    return {"shipped": shipped, "built": built, "links": links, "drawn": drawn, "table": table}


def apart(function: Callable[..., Any], *values: Any) -> Any:
    """The result of a call in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *values).result()


def _shipped(queries: int, seed: int) -> dict[str, float]:
    from workbench.kg import load_graph

    return _asked(load_graph().graph, queries, np.random.default_rng(seed))


def _built(folder: Path, queries: int, seed: int) -> dict[str, float]:
    from workbench.kg.importers import IMPORTERS, Report, assemble

    before, started, worked = peak_bytes(), time.perf_counter(), time.process_time()
    note = Report()
    graph = assemble(IMPORTERS["tables"](folder, note), note=note)
    built = {
        "nodes": len(graph), "facts": graph.number_of_edges(),
        "seconds to build": time.perf_counter() - started, "processor seconds to build": time.process_time() - worked,
    }  # fmt: skip
    asked = _asked(graph, queries, np.random.default_rng(seed))
    peak = peak_bytes()
    return {**built, **asked, "peak MiB": peak / 2**20, "MiB above start": (peak - before) / 2**20}


def _asked(graph: nx.MultiDiGraph, queries: int, rng: np.random.Generator) -> dict[str, float]:
    """What questions cost, from one to three sources to anything on the data flow; the index is made once, before."""
    from workbench.kg.plan import Planner

    started, worked = time.perf_counter(), time.process_time()
    planner = Planner(graph)
    indexed = time.perf_counter() - started, time.process_time() - worked
    sources = sorted({head for head, _, key in graph.edges(keys=True) if key == "download_from"})
    flows = [flow for ports in (*planner.links.gives.values(), *planner.links.takes.values()) for flow in ports]
    targets = sorted({item for flow in flows for item in (*flow.above_formats, *flow.above_kinds)})
    seconds, work, proved, found = [], [], [], []
    for _ in range(queries):
        start = [sources[i] for i in rng.integers(len(sources), size=rng.integers(1, 4))]
        target = targets[rng.integers(len(targets))]
        began, busy = time.perf_counter(), time.process_time()
        plans = planner.plans(start, target, k=3)
        seconds.append(1000 * (time.perf_counter() - began))
        work.append(1000 * (time.process_time() - busy))  # what a busy machine does not inflate
        proved.append(plans.proved)
        found.append(bool(plans.plans))
    answered = np.array(work)[found] if any(found) else np.array(work)
    return {
        "commands": len(planner.commands), "seconds to index": indexed[0], "processor seconds to index": indexed[1],
        "query ms, median": float(np.median(seconds)), "query ms, 99 %": float(np.quantile(seconds, 0.99)),
        "query ms, highest": max(seconds), "query processor ms, median": float(np.median(work)),
        "query processor ms, median of those with a plan": float(np.median(answered)),
        "query processor ms, 99 %": float(np.quantile(work, 0.99)), "share with a plan": float(np.mean(found)),
        "share proved": float(np.mean(proved)),
    }  # fmt: skip


def _spelled(rate: dict[str, Any]) -> str:
    return f"{rate['share']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}], n = {rate['n']}"
