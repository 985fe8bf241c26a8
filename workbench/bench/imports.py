"""`bench imports`: what damaged records do to the importers, and what the import of a whole registry costs."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from workbench.bench import Say
from workbench.bench.common import apart, peak_mib
from workbench.bench.grown import write_registry
from workbench.bench.import_records import FUZZ
from workbench.kg import check_graph
from workbench.kg.importers import IMPORTERS, Options, RegistryError, Report, assemble, import_registry
from workbench.kg.importers.core import quiet

RECORDS, FEW = 10_000, 200  # damaged records per importer
TOOLS, COMMANDS = 4_240, 7_755  # of a grown registry, as many as the real tables had when the goal was set
SECONDS, MEMORY = 20.0, 1.5 * 2**30  # goals: seconds and bytes


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
    """Seconds and peak memory (bytes) of `kg import tables` in a process of its own; goals met or not.

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
    met = seconds <= SECONDS and peak <= MEMORY
    figures = {"seconds": seconds, "processor seconds": busy, "bytes": peak, "goals met": met}
    return {"given": bool(given), "commands": commands, **figures}


def imported(folder: str, out: str) -> tuple[int, int, float]:
    """Commands of an imported registry, peak bytes of this process, and its seconds on the processor."""
    done = import_registry(IMPORTERS["tables"], folder, out=out)
    commands = sum(kind == "command" for _, kind in done.graph.nodes(data="type"))
    return commands, int(peak_mib() * 2**20), time.process_time()
