"""`bench chain`: seconds and peak memory of every stage of a run, from its manifests; a missing run is made."""

from __future__ import annotations

from pathlib import Path

from workbench.artifacts import runs
from workbench.bench import Say
from workbench.bench.common import command


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """A row a stage. `again`: seconds of the same command on the finished run, with the interpreter's start; None where
    the run's notebooks or code have changed since, or with quick.

    RuntimeError: the run failed.
    """
    if not all((runs.stage_folder(run_dir, stage) / runs.MANIFEST).exists() for stage in runs.STAGES):
        say(f"{run_dir} holds no finished run: making it")
        made(run_dir, seed)
    rows = [stage_row(run_dir, stage) for stage in runs.STAGES]
    again = None
    if not quick and all(runs.is_complete(run_dir, stage) for stage in runs.STAGES):
        again = made(run_dir, rows[0]["seed"])
    whole = {"stage": "all", "seconds": sum(r["seconds"] for r in rows), "peak_bytes": _largest(rows), "device": "-"}
    shown = [{name: row[name] for name in ("stage", "seconds", "peak_bytes", "device")} for row in (*rows, whole)]
    return {"table": shown, "stages": {row["stage"]: row for row in rows}, "total": whole, "again": again}


def stage_row(run_dir: Path, stage: str) -> dict:
    """What a stage's manifest says of its cost. peak_bytes: None where the manifest does not tell."""
    manifest = runs.read_manifest(run_dir, stage)
    recorded = manifest.get("machine", {})
    row = {name: manifest.get(name) for name in ("stage", "seconds", "device", "seed")}
    return row | {"peak_bytes": recorded.get("peak_bytes"), "processor": recorded.get("processor")}


def _largest(rows: list[dict]) -> int | None:
    known = [row["peak_bytes"] for row in rows if row["peak_bytes"] is not None]
    return max(known, default=None)


def made(run_dir: Path, seed: int) -> float:
    """Seconds of `workbench run` on this folder."""
    return command("run", "--run-dir", str(run_dir), "-p", "seed", str(seed))
