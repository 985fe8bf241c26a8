"""`workbench sweep`: many explanations or runs over the values of a grid, on this machine or a cluster."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.artifacts.files import atomic_write_json, check_outputs, typed
from workbench.hands.cli import exit
from workbench.hands.cli.screen import say, tell

if TYPE_CHECKING:
    from workbench.hands.sweep.grid import Grid
    from workbench.hands.sweep.results import Results
    from workbench.hands.sweep.tasks import Batch

NOTE = "sweep.json"  # beside the results: what they were made from


def add(declare: Callable[..., argparse.ArgumentParser]) -> None:
    sweep = declare("sweep", _sweep, "do many explanations or runs over a grid of values")
    sweep.add_argument("grid", metavar="GRID", help="a YAML or JSON file; see the help of workbench.hands.sweep")
    sweep.add_argument("--out", metavar="D", required=True, help="folder for the results, made when missing")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786")
    sweep.add_argument("--workers", metavar="N", type=int, help="workers of this machine (default: one a core)")
    sweep.add_argument("--retry", action="store_true", help="try again what failed before")
    sweep.add_argument("--dry-run", action="store_true", help="check the grid, say how much there is to do, and stop")


def _sweep(options: argparse.Namespace) -> int:
    from workbench.artifacts.lock import run_lock
    from workbench.artifacts.provenance import package_versions
    from workbench.hands.headless.watch import writable
    from workbench.hands.sweep.grid import read_grid
    from workbench.hands.sweep.results import PARQUET, ROWS, Results

    file, out = typed(options.grid), typed(options.out)
    grid = read_grid(file)
    for name in (ROWS, PARQUET, NOTE):
        check_outputs({"--out": out / name}, reads=[file])
    batches = _planned(grid, out)
    ids = [task.id for batch in batches for task in batch.tasks]
    with writable(out, option="--out"), run_lock(out, option="--out"):
        results = Results(out)
        done = results.finished(retry=options.retry)
        left = [rest for batch in batches if (rest := batch.only(lambda task: task.id not in done)).tasks]
        count = sum(len(batch.tasks) for batch in left)
        say(f"{grid.file}: {len(ids):,} tasks, {len(ids) - count:,} done before, {count:,} to do")
        if options.dry_run:
            return exit.DONE
        try:
            spent = _swept(options, grid, results, left, Spent(count)) if left else {}
        finally:
            table = results.write(ids)
        failed = sum(results.rows[i]["status"] == "failed" for i in ids)
        # beside the results: the grid as it was read, versions, and what this part of the work cost
        note = {"grid": dict(grid.values), "versions": package_versions(), "spent": spent}
        atomic_write_json(out / NOTE, note)
    say(f"{len(ids) - failed:,} of {len(ids):,} done, {failed:,} failed; the results are in {os.path.relpath(table)}")
    if failed:
        say("what failed says why in the column `error`; --retry tries it again")
    return exit.FAILED if failed else exit.DONE


def _planned(grid: Grid, out: Path) -> list[Batch]:
    if grid.what == "chain":
        from workbench.hands.sweep.chains import plan_runs

        return plan_runs(grid, out)
    from workbench.hands.sweep.explaining import plan_explanations

    return plan_explanations(grid)


@dataclass
class Spent:
    """What a sweep cost. seconds: from the first batch handed out to the last row; busy, loading: of all workers."""

    total: int
    tasks: int = 0
    failed: int = 0
    batches: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    loading: float = 0.0

    def tell(self) -> None:
        """How far it is, and how long the rest will take at the mean pace so far."""
        from workbench.hands.headless.watch import Event, clock

        left = self.seconds / self.tasks * (self.total - self.tasks)
        words = [f"{self.tasks:,} of {self.total:,}", *([f"{self.failed:,} failed"] if self.failed else [])]
        words += [f"{clock(self.seconds)} spent", f"about {clock(left)} left"]
        fields = {"done": self.tasks, "total": self.total, "failed": self.failed, "seconds": round(self.seconds, 1)}
        tell(Event("progress", ", ".join(words), fields | {"left_seconds": left}))


def _swept(
    options: argparse.Namespace, grid: Grid, results: Results, left: list[Batch], spent: Spent
) -> dict[str, Any]:
    """Does what is left; the rows of a batch are on the disk before another is handed out in its place. What it cost;
    `overhead`: seconds of a worker a task that went into neither tasks nor loading."""
    from workbench.hands.headless.kernel import signals_as_exceptions
    from workbench.hands.sweep.dispatch import answers, connected
    from workbench.hands.sweep.results import rows_of

    where, workers = {"workers": options.workers, "resources": grid.resources}, set[str]()
    with (
        signals_as_exceptions(),
        connected(options.scheduler, **where, say=say) as client,
        closing(answers(client, left, grid.resources)) as coming,
    ):
        started = time.perf_counter()
        for batch, answer in coming:
            rows = rows_of(batch, answer)
            results.add(rows)
            workers |= {row["worker"] for row in rows if row["worker"]}
            spent.tasks += len(rows)
            spent.failed += sum(bool(row["error"]) for row in rows)
            spent.batches += 1
            spent.busy += answer["seconds"]
            spent.loading += answer["loading"]
            spent.seconds = time.perf_counter() - started
            spent.tell()
    idle = spent.seconds * max(len(workers), 1) - spent.busy
    return asdict(spent) | {"workers": len(workers), "overhead": idle / spent.tasks if spent.tasks else None}
