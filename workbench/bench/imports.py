"""`bench imports`: what damaged records do to the importers, and what the import of a whole registry costs; and what
measuring at scale needs, not for meaning: a registry grown at random, a graph in renamed copies."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import networkx as nx
import numpy as np

from workbench.bench import Say, apart, peak_mib
from workbench.bench.import_records import FUZZ
from workbench.kg import check_graph
from workbench.kg.edam import EDAM_ID, ROOTS, load_edam
from workbench.kg.importers import IMPORTERS, Options, RegistryError, Report, assemble, import_registry
from workbench.kg.importers.core import quiet

RECORDS, FEW = 10_000, 200  # damaged records per importer
TOOLS, COMMANDS = 4_240, 7_755  # of a grown registry, as many as the real tables had when the goal was set


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Records, exceptions other than `RegistryError`, lost sound records and seconds per importer; cost of a registry.

    run_dir is not used. The registry is that of the folder in the environment variable WORKBENCH_REGISTRY, else one
    grown at random to the same size.
    """
    records = FEW if quick else RECORDS
    cost = registry(quick=quick, seed=seed)
    say(f"registry of {cost['commands']} commands: {cost['seconds']:.1f} s, {cost['bytes'] / 2**20:.0f} MiB")
    table = []
    for name in FUZZ:
        table.append(fuzz(name, records=records, rng=np.random.default_rng(seed)))
        say(f"{name}: {table[-1]}")
    return {"table": table, "registry": cost}


def fuzz(name: str, *, records: int, rng: np.random.Generator) -> dict:
    """Imports `records` damaged records and counts what happens. errors: by kind of exception, none expected."""
    how, options = FUZZ[name], Options()
    done = dict.fromkeys(("records", "errors", "lost", "refused", "findings"), 0)
    kinds: Counter[str] = Counter()
    started = time.perf_counter()
    while done["records"] < records:
        with tempfile.TemporaryDirectory() as place, quiet("galaxy"):
            how.write(Path(place), how.batch, rng)
            note = Report()
            done["records"] += how.batch
            try:
                items = IMPORTERS[name](Path(place) / how.path, note, options)
                graph = assemble(items, note=note, edam=options.vocabulary.edam)
                check_graph(graph)
                done["lost"] += bool(how.intact) and how.intact not in graph
            except RegistryError:
                done["refused"] += 1
            except Exception as problem:  # what the measurement looks for
                done["errors"] += 1
                kinds[f"{type(problem).__name__}: {problem}"[:200]] += 1
            done["findings"] += len(note.lines)
    return {"importer": name, **done, "seconds": time.perf_counter() - started, "kinds": "; ".join(kinds)}


def registry(*, quick: bool, seed: int) -> dict:
    """Seconds and peak memory (bytes) of `kg import tables` in a process of its own.

    Where other processes want the same cores, the processor's seconds say what the import itself took.
    """
    given = os.environ.get("WORKBENCH_REGISTRY")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(given) if given else Path(place, "registry")
        if not given:
            share = 50 if quick else 1
            rng = np.random.default_rng(seed)
            write_registry(folder, tools=TOOLS // share, commands=COMMANDS // share, rng=rng)
        started = time.perf_counter()
        commands, peak, busy = apart(imported, str(folder), str(Path(place, "graph.json")))
        seconds = time.perf_counter() - started
    figures = {"seconds": seconds, "processor seconds": busy, "bytes": peak}
    return {"given": bool(given), "commands": commands, **figures}


def imported(folder: str, out: str) -> tuple[int, int, float]:
    """Commands of an imported registry, peak bytes of this process, and its seconds on the processor."""
    done = import_registry(IMPORTERS["tables"], folder, out=out)
    commands = sum(kind == "command" for _, kind in done.graph.nodes(data="type"))
    return commands, int(peak_mib() * 2**20), time.process_time()


DEFECTS = ("format_25722", "data_0848", "format_3989", "*.{bam,cram}", "ext:unheard")
DEFECT_RATE = 0.02
REGISTRIES = ("nfcore", "galaxy", "biotools")
COPIED = ("tool", "command", "source")  # beside the terms that are not of EDAM; the rest is shared by all copies
REWIRED = ("input", "output", "input_data", "output_data", "download_from")


def write_registry(folder: Path, *, tools: int, commands: int, rng: np.random.Generator) -> Path:
    """Writes `registry.jsonl` and `components.jsonl`; few formats are common and many are rare, as in real ones."""
    folder.mkdir(parents=True, exist_ok=True)
    live = {branch: _live(branch) for branch in ROOTS}

    def draw(branch: str, most: int) -> list[str]:
        count = int(rng.integers(1, most + 1))
        ranks = np.minimum(rng.zipf(1.4, size=count) - 1, len(live[branch]) - 1)
        found = [live[branch][rank] for rank in ranks]
        return [*found, str(rng.choice(DEFECTS))] if rng.random() < DEFECT_RATE else found

    def ports(most: int) -> list[dict]:
        return [
            {"data": draw("data", 1)[0], "formats": draw("format", 3)} for _ in range(int(rng.integers(1, most + 1)))
        ]

    with (folder / "registry.jsonl").open("w", encoding="utf-8") as stream:
        for n in range(tools):
            topics = [[term, ""] for term in draw("topic", 3)]
            record = {
                "id": f"tool{n}",
                "name": f"Tool {n}",
                "license": "MIT",
                "topics": topics,
                "sources": ["biotools"],
            }
            stream.write(json.dumps({**record, "homepage": f"https://example.org/{n}"}) + "\n")
    with (folder / "components.jsonl").open("w", encoding="utf-8") as stream:
        for n in range(commands):
            name, tool = f"{REGISTRIES[n % 3]}:tool{n % tools}/part{n // tools}", f"tool{n % tools}"
            sides = {"inputs": ports(3), "outputs": ports(2)}
            stream.write(json.dumps({"id": name, "tool": tool, **sides, "ops": draw("operation", 2)}) + "\n")
    return folder


def _live(branch: str) -> list[str]:
    edam = load_edam()
    return [i for i, term in sorted(edam.terms.items()) if i.startswith(f"{branch}_") and not term.obsolete]


def grow(graph: nx.MultiDiGraph, times: int, *, rng: np.random.Generator, rewired: float = 0.1) -> nx.MultiDiGraph:
    """The graph and `times - 1` copies of its tools, commands, sources and own terms, all in one.

    rewired: share of a copy's data-flow facts of which the format or kind of data is exchanged for another of the same
    type, drawn at random. ValueError: times below 1, or a share outside [0, 1].
    """
    if times < 1 or not 0 <= rewired <= 1:
        raise ValueError(f"times must be 1 or more and rewired lie in [0, 1], got {times!r} and {rewired!r}")
    grown = graph.copy()
    kinds = dict(graph.nodes(data="type"))
    items = {kind: sorted(n for n, k in kinds.items() if k == kind) for kind in ("format", "data")}
    own = {n for n, k in kinds.items() if k in COPIED or (k in items and not EDAM_ID.fullmatch(n))}
    edges = list(graph.edges(keys=True, data=True))
    for number in range(1, times):
        for node in own:
            attributes = graph.nodes[node]
            grown.add_node(f"{node}~{number}")
            grown.nodes[f"{node}~{number}"].update({**attributes, "name": f"{attributes['name']} {number}"})
        moved = rng.random(len(edges)) < rewired
        picks = rng.random(len(edges))
        for (head, tail, key, attributes), other, pick in zip(edges, moved.tolist(), picks.tolist(), strict=True):
            if head in own or tail in own:
                ends = [f"{end}~{number}" if end in own else end for end in (head, tail)]
                if other and key in REWIRED:
                    place = 0 if kinds[head] in items else 1
                    choice = items[kinds[(head, tail)[place]]]
                    ends[place] = choice[int(pick * len(choice))]
                grown.add_edge(*ends, key)
                grown.edges[ends[0], ends[1], key].update(attributes)
    return grown
