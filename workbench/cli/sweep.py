"""`python -m workbench sweep`: many explanations or runs over the values of a grid, on this machine or a cluster."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli import exit
from workbench.cli.places import typed
from workbench.cli.screen import say, tell

if TYPE_CHECKING:
    from workbench.sweep import Batch, Grid, Results

NOTE = "sweep.json"  # beside the results: what they were made from


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    sweep = commands.add_parser("sweep", parents=[common], help="do many explanations or runs over a grid of values")
    sweep.set_defaults(command=_sweep)
    sweep.add_argument("grid", metavar="GRID", help="a YAML or JSON file; see the help of workbench.sweep")
    sweep.add_argument("--out", metavar="D", required=True, help="folder for the results, made when missing")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786")
    sweep.add_argument("--workers", metavar="N", type=int, help="workers of this machine (default: one a core)")
    sweep.add_argument("--retry", action="store_true", help="try again what failed before")
    sweep.add_argument("--dry-run", action="store_true", help="check the grid, say how much there is to do, and stop")


def _sweep(options: argparse.Namespace) -> int:
    from workbench.artifacts.outputs import check_outputs
    from workbench.headless.hints import writable
    from workbench.sweep import read_grid
    from workbench.sweep.rows import PARQUET, ROWS

    file, out = typed(options.grid), typed(options.out)
    grid = read_grid(file)
    for name in (ROWS, PARQUET, NOTE):
        check_outputs({"--out": out / name}, reads=[file])
    planned = _planned(grid, out)
    with writable(out, option="--out"):
        return _swept(options, grid, out, *planned)


def _swept(
    options: argparse.Namespace, grid: Grid, out: Path, batches: list[Batch], work: Callable, split: Callable
) -> int:
    from workbench.artifacts.lock import run_lock
    from workbench.sweep import Results

    with run_lock(out, option="--out"):
        results = Results(out)
        done = results.finished(retry=options.retry)
        left = [one for batch in batches if (one := batch.without(done, split=split))]
        ids = [task.id for batch in batches for task in batch.tasks]
        count = sum(len(batch.tasks) for batch in left)
        say(f"{grid.file}: {len(ids):,} tasks, {len(ids) - count:,} done before, {count:,} to do")
        if options.dry_run:
            return 0
        try:
            spent = _driven(options, grid, results, left, work, split) if left else {}
        finally:
            table = results.write(ids)
        failed = sum(results.rows[i]["status"] == "failed" for i in ids)
    _note(out, grid, spent)
    say(f"{len(ids) - failed:,} of {len(ids):,} done, {failed:,} failed; the results are in {os.path.relpath(table)}")
    if failed:
        say("what failed says why in the column `error`; --retry tries it again")
    return exit.FAILED if failed else exit.DONE


def _planned(grid: Grid, out: Path) -> tuple[list[Batch], Callable, Callable]:
    """Batches, the function that does one, and the one that takes tasks out of it."""
    from workbench.cluster import hand

    if grid.what == "chain":
        from workbench.cluster.whole_runs import plan_runs, whole

        return plan_runs(grid, out), hand.run, whole
    from workbench.sweep.explaining import only, plan_explanations

    return plan_explanations(grid), hand.explain, only


def _driven(
    options: argparse.Namespace, grid: Grid, results: Results, left: list[Batch], work: Callable, split: Callable
) -> dict[str, Any]:
    """Do what is left, and say how far it is and how long it will take."""
    from workbench.cluster.connect import connected
    from workbench.cluster.drive import Drive, progress

    total = sum(len(batch.tasks) for batch in left)
    with (
        _stops(),
        connected(options.scheduler, workers=options.workers, resources=grid.resources, say=say) as client,
    ):
        drive = Drive(client, results, work, split, grid.resources, tick=lambda spent: tell(progress(spent, total)))
        return drive.run(left).to_dict()


def _note(out: Path, grid: Grid, spent: dict[str, Any]) -> None:
    """Beside the results: the grid as it was read, versions, and what this part of the work cost."""
    from workbench.artifacts.files import atomic_write_json
    from workbench.artifacts.provenance import package_versions

    record = {"grid": dict(grid.values), "versions": package_versions(), "spent": spent}
    atomic_write_json(out / NOTE, record)


@contextmanager
def _stops() -> Iterator[None]:
    """SIGTERM and SIGHUP end a sweep as Ctrl-C does: rows are kept, workers stopped."""

    def stop(signum: int, _frame: Any) -> None:
        error = KeyboardInterrupt()
        error.signum = signum  # type: ignore[attr-defined]
        raise error

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
