"""The graph at full size: what building it from registry tables costs, how fast questions are, which links it accepts.

Takes the tables and workflows of the folder `WORKBENCH_SHARED` (or `shared` beside the checkout); without them it says
so. The graph is built in a process of its own, whose peak memory is read at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

import workbench
from workbench.artifacts.provenance import peak_bytes
from workbench.hands.bench import Say
from workbench.kg import Links, build_graph, field, flow_graph, load_graph, read_table
from workbench.kg.importers import IMPORTERS, Report, assemble
from workbench.kg.merge import merge
from workbench.kg.naming import plain_name
from workbench.kg.plan import Planner
from workbench.kg.published import Plausibility, known_links, published_links
from workbench.stats import Proportion, proportion

QUERIES = 400
RANDOM_PAIRS = 5000
Pair = tuple[str, str]


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
    told: dict[str, Any] = {f"{name}, shipped": value for name, value in shipped.items()}
    told |= {f"{name}, tables": value for name, value in built.items()}
    for rate in links["rates"]:
        told[f"{rate['graph']}: {rate['pairs']} links accepted, {rate['level']} level"] = _spelled(rate)
    for cases, known in drawn.items():
        told |= {f"{cases}: {which} that published workflows have": _spelled(rate) for which, rate in known.items()}
    table = [{"figure": name, "value": value} for name, value in told.items()]
    return {"shipped": shipped, "built": built, "links": links, "drawn": drawn, "table": table}


def apart(function: Callable[..., Any], *values: Any) -> Any:
    """The result of a call in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *values).result()


def _shipped(queries: int, seed: int) -> dict[str, float]:
    return _asked(load_graph().graph, queries, np.random.default_rng(seed))


def _built(folder: Path, queries: int, seed: int) -> dict[str, float]:
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


def links_accepted(shared: Path, seed: int, random_pairs: int) -> dict[str, Any]:
    """Of Galaxy's sample workflows, with the shipped graph, one of the registry tables, and both merged."""
    flows = assemble(IMPORTERS["workflow"](shared / "samples" / "galaxy_workflows", Report()))
    graphs = {"shipped": build_graph(read_table()), "tables": assemble(IMPORTERS["tables"](shared / "data", Report()))}
    graphs["merged"] = merge(graphs).graph
    found = {
        name: check(graph, flows.graph["toolchains"], seed=seed, random_pairs=random_pairs)
        for name, graph in graphs.items()
    }
    return {
        "rates": [
            {"graph": name, "level": level, "pairs": pairs, **rate._asdict()}
            for name, one in found.items()
            for (level, pairs), rate in one.rates.items()
        ],
        "unknown": {name: list(one.unknown) for name, one in found.items()},
        "refused": {name: [list(link) for link in one.refused] for name, one in found.items()},
    }


class Checked(NamedTuple):
    """The shares of pairs that are accepted by level and kind of pairs, and what the workflows name that the graph does
    not know."""

    rates: dict[tuple[str, str], Proportion]
    links: tuple[Pair, ...]
    unknown: tuple[str, ...]
    refused: tuple[Pair, ...]


def check(
    graph: nx.MultiDiGraph, chains: Iterable[Mapping[str, Any]], *, seed: int, random_pairs: int = RANDOM_PAIRS
) -> Checked:
    """Asks the graph about the links of toolchains (as importers leave them in `graph.graph["toolchains"]`), of
    commands and of their tools.

    Real links are counted once; `reversed` are those not real themselves; `random` pairs are of commands of the whole
    graph that are not linked. Pairs whose commands the graph does not know, or of which it states nothing that could be
    compared, are left out; so are random pairs.
    """
    wanted = sorted({(head, tail) for one in chains for head, tail in one["links"] if head != tail})
    names = known_as(graph, [end for link in wanted for end in link])
    plausible, rng = Plausibility(graph), np.random.default_rng(seed)
    mapped = {(names[h], names[t]) for h, t in wanted if h in names and t in names}
    commands, tool_of = sorted(plausible.tool_of), plausible.tool_of

    def asked(pairs: Iterable[Pair]) -> Iterator[Pair]:
        return (link for link in pairs if link[0] != link[1] and _typed(plausible.links, link))

    drawn = ((commands[i], commands[j]) for i, j in rng.integers(len(commands), size=(3 * random_pairs, 2)))
    links = sorted(asked(mapped))
    pairs = {
        "real": links,
        "random": list(islice(asked(link for link in drawn if link not in mapped), random_pairs)),
        "reversed": [(t, h) for h, t in links if (t, h) not in mapped],
    }
    levels = {
        "command": pairs,
        "tool": {k: [(tool_of.get(h, h), tool_of.get(t, t)) for h, t in some] for k, some in pairs.items()},
    }
    rates = {
        (level, kind): proportion([plausible.accepts(link) for link in some])
        for level, of in levels.items()
        for kind, some in of.items()
        if some
    }
    unknown = sorted({end for link in wanted for end in link} - names.keys())
    return Checked(rates, tuple(links), tuple(unknown), tuple(link for link in links if not plausible.accepts(link)))


def known_as(graph: nx.MultiDiGraph, commands: Iterable[str]) -> dict[str, str]:
    """What the graph calls the commands of workflows: the same id, else the same name or alias without punctuation.

    Where several have the name, Galaxy's is taken.
    """
    names: defaultdict[str, set[str]] = defaultdict(set)
    for node, attributes in graph.nodes(data=True):
        if attributes["type"] == "command":
            for name in (node.split(":")[-1], attributes["name"], *attributes.get("aliases", ())):
                names[plain_name(name)].add(node)
    found = {}
    for command in sorted(set(commands)):
        here = names.get(plain_name(command.split(":")[-1]), set())
        if command in graph:
            found[command] = command
        elif here:
            found[command] = min(here, key=lambda node: (":galaxy:" not in node, node))
    return found


def _typed(links: Links, pair: Pair) -> bool:
    """Do both ends state a format, or both a kind of data, of what might go from the first to the second?"""
    ends = links.given(pair[0]), links.takes.get(pair[1], ())
    return all(any(flow.formats for flow in end) for end in ends) or all(any(f.kinds for f in end) for end in ends)


def links_drawn(shared: Path, whole: int) -> dict[str, dict[str, Any]]:
    """Of the training cases of the default recipe and of so many of the whole graph, and of as many that are drawn
    without weights: the share of links that published workflows have. Only the default keeps the showcase's pair
    apart."""
    from workbench.cases.sampling import sample_cases
    from workbench.models import READER
    from workbench.train.making import PRESETS, Splits

    recipe, graph = PRESETS[READER], build_graph(read_table())
    flat = build_graph(read_table())
    for node in flat:
        for weighs in ("standing", "reach"):
            flat.nodes[node].pop(weighs, None)
    part = field(flat, list(recipe.topics))
    size = replace(recipe.sampling, train=min(recipe.sampling.train, whole))
    wide = replace(recipe.sampling, train=whole, in_field=False)
    cases = {
        "default": Splits.drawn(replace(recipe, sampling=size)).cases["train"],
        "default, without weights": sample_cases(part, flow_graph(part), size)["train"],
        "whole graph": sample_cases(graph, flow_graph(graph), wide)["train"],
        "whole graph, without weights": sample_cases(flat, flow_graph(flat), wide)["train"],
    }
    published = published_links(shared / "iwc" / "links.tsv", graph)
    found = {name: known_links([case.path for case in some], graph, published) for name, some in cases.items()}
    return {name: {which: rate._asdict() for which, rate in one._asdict().items()} for name, one in found.items()}
