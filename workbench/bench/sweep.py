"""`bench sweep`: the same explanations by one local worker and by two.

Every sweep is the command that a user gives, in a process of its own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.bench import Say, command, means

EXPLANATIONS, QUICK_EXPLANATIONS = 200, 10
ROUNDS, QUICK_ROUNDS = 2, 1
GRIDS = ("in_loop", "certified")  # a method that takes its time, and the quickest, which shows what surrounds it
WORKERS = (1, 2)


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """For each method, seconds with one worker and with two, their ratio by round with 95 % intervals; and what a
    worker spends an explanation on neither explaining nor loading.

    MissingStage: the run has no finished adapter.
    """
    count, rounds = (QUICK_EXPLANATIONS, QUICK_ROUNDS) if quick else (EXPLANATIONS, ROUNDS)
    table, grids = [], {}
    with tempfile.TemporaryDirectory(prefix="workbench-sweep-") as place:
        for method in GRIDS:
            folder = Path(place) / method
            folder.mkdir()
            file = write_grid(folder, run_dir, [method], cases=count)
            rows = measured(file, rounds=rounds, say=lambda text, of=method: say(f"{of}: {text}"))  # type: ignore[misc]
            figures = figures_of(rows, seed=seed)
            grids[method] = {"figures": figures, "rows": rows}
            middles = {name: figure["mean"] for name, figure in figures.items()}
            table.append({"method": method, **middles})
    return {"table": table, "grids": grids}


def write_grid(folder: Path, run_dir: Path, methods: Sequence[str], *, cases: int) -> Path:
    """A grid file of so many held-out cases with each method, everything else as it comes."""
    file = folder / "grid.json"
    grid = {"what": "explain", "runs": str(run_dir.resolve()), "cases": f"held_out[:{cases}]", "methods": list(methods)}
    file.write_text(json.dumps(grid), encoding="utf-8")
    return file


def measured(file: Path, *, rounds: int, say: Say) -> list[dict]:
    """A row a round and number of workers; the order turns from round to round."""
    rows = []
    for number in range(rounds):
        for workers in WORKERS if number % 2 else WORKERS[::-1]:
            out = file.parent / f"{number}-{workers}"
            row = swept(file, out, workers) | {"round": number, "workers": workers}
            rows.append(row)
            say(f"round {number + 1} of {rounds}, {workers} at work: {row['command_seconds']:.0f} s")
    return rows


def swept(file: Path, out: Path, workers: int) -> dict:
    """One sweep to its end: what it noted of itself, and `command_seconds` from the start of the interpreter."""
    seconds = command("sweep", str(file), "--out", str(out), "--workers", str(workers), "--quiet")
    spent = json.loads((out / "sweep.json").read_text(encoding="utf-8"))["spent"]
    return {"command_seconds": seconds, **spent}


def figures_of(rows: Sequence[dict], *, seed: int) -> dict[str, dict]:
    """Means with intervals over the rounds. `times_*`: how many times as fast two workers are as one, by the command
    (start and end included), by the sweep (first batch handed out to last row) and by its explanations (loading left
    out); `overhead_ms_*`: of a worker, an explanation, spent on neither explaining nor loading."""
    one, two = ([row for row in rows if row["workers"] == workers] for workers in WORKERS)
    pairs = list(zip(one, two, strict=True))
    figures = {f"seconds_{w}": [row["seconds"] for row in rows if row["workers"] == w] for w in WORKERS}
    figures |= {f"overhead_ms_{w}": [1e3 * row["overhead"] for row in rows if row["workers"] == w] for w in WORKERS}
    figures |= {
        "times_command": [a["command_seconds"] / b["command_seconds"] for a, b in pairs],
        "times_sweep": [a["seconds"] / b["seconds"] for a, b in pairs],
        "times_explaining": [explaining(a) / explaining(b) for a, b in pairs],
    }
    return means(figures, seed=seed)


def explaining(row: dict) -> float:
    """Seconds of a sweep without those that its workers, side by side, took to load."""
    return row["seconds"] - row["loading"] / row["workers"]
