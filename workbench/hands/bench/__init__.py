"""Benchmarks: what the explanations find, how surely, and what they cost. Each gives one JSON object; two of them are
compared here (`bench compare`), and the lines of the code are counted (`bench size`).

Loads nothing slow: the command line takes the names from here.
"""

from __future__ import annotations

import ast
import json
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workbench.artifacts.provenance import PACKAGE_FOLDER, machine_state, package_versions

if TYPE_CHECKING:
    from workbench.cases import Case
    from workbench.game import Engine

Say = Callable[[str], None]

BENCHES = {
    "planted": "truth.planted",
    "certified": "truth.certified",
    "peers": "peers.run",
    "cited": "cited.run",
    "kg": "full_size.run",
    "train": "train.run",
    "card": "accuracy.cards",
    "precision": "accuracy.precision",
    "gpu": "gpu.run",
    "size": "size",
}
"""Name -> the function here that measures it."""


def measure(name: str, *, run_dir: Path, quick: bool, seed: int, say: Say, **own: Any) -> dict:
    """The figures of a benchmark, one of `BENCHES`, with a flat `table` (rows of plain values), machine, versions and
    seconds.

    run_dir: the run whose adapter is measured, where a benchmark needs one. quick: a small part of the measurement.
    own: what this benchmark alone takes.
    """
    module, _, function = BENCHES[name].rpartition(".")
    started = time.perf_counter()
    run = getattr(import_module(f".{module}", __name__), function)
    return {
        "benchmark": name,
        "quick": quick,
        "seed": seed,
        **run(run_dir=run_dir, quick=quick, seed=seed, say=say, **own),
        "machine": machine(),
        "versions": package_versions(),
        "seconds": time.perf_counter() - started,
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on: `processor`, `cores` this process may use, `memory_bytes`, `threads` of torch,
    `peak_bytes` of this process so far, and the names of its `gpus`."""
    torch = sys.modules.get("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {**machine_state(), "cores": cores, "memory_bytes": psutil.virtual_memory().total, "gpus": gpus}


def load(run_dir: Path) -> tuple[Engine, list[Case]]:
    """The run's tuned model and its held-out cases, `mixed`. MissingStage: its adapter is not there or has changed."""
    from workbench import Run
    from workbench.cases import mixed

    run = Run(run_dir)
    return run.engine, mixed(run.cases["held_out"])


LEFT_OUT = {"rows", "table", "versions", "machine", "seed", "train", "n", "low", "high", "p"}
MIDDLES = ("mean", "median", "share")  # a map with one of these, `low` and `high` is a figure with its interval

Figure = tuple[float, float | None, float | None]
"""A value with the ends of its 95 % interval, None where it has none."""


def compare(first: Path, second: Path) -> dict:
    """Rows `figure`, `a`, `b`, `ratio`, `low`, `high`, and what differs in machine and versions.

    The ratio's interval takes the two results as independent and their logarithms as normal; it is None where one of
    the two has none, or an end that is not above 0. ValueError: a file is no result, or of another benchmark.
    """
    a, b = read(first), read(second)
    if a["benchmark"] != b["benchmark"]:
        raise ValueError(
            f"{first} is of bench {a['benchmark']!r}, {second} of {b['benchmark']!r}; give two of the same"
        )
    left, right = dict(figures(a)), dict(figures(b))
    rows = [{"figure": name, **ratio(left[name], right[name])} for name in left if name in right]
    same = {key: [a.get(key), b.get(key)] for key in ("quick", "seed") if a.get(key) != b.get(key)}
    differs = {key: differences(a.get(key) or {}, b.get(key) or {}) for key in ("machine", "versions")}
    only = {"a": sorted(left.keys() - right.keys()), "b": sorted(right.keys() - left.keys())}
    return {"benchmark": a["benchmark"], "table": rows, "differs": {**same, **differs}, "only": only}


def read(file: Path) -> dict[str, Any]:
    """A result that `bench NAME --json FILE` wrote."""
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is no JSON: {error}; give a file that `bench NAME --json FILE` wrote") from error
    if not isinstance(result, dict) or not isinstance(result.get("benchmark"), str):
        raise ValueError(f"{file} does not say of which benchmark it is; give what `bench NAME --json FILE` wrote")
    return result


def figures(value: Any, name: str = "") -> Iterator[tuple[str, Figure]]:
    """Every number of a result under the names that lead to it; list entries by their texts, or their place."""
    if isinstance(value, Mapping):
        middle = next((value[m] for m in MIDDLES if m in value), None)
        low, high = value.get("low"), value.get("high")
        if all(isinstance(one, int | float) and _is_number(one) for one in (middle, low, high)):
            yield name, (float(middle or 0), float(low or 0), float(high or 0))
            return
        for key, one in value.items():
            if key not in LEFT_OUT:
                yield from figures(one, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from figures(one, f"{name}[{_label(one) or place}]")
    elif _is_number(value):
        yield name, (float(value), None, None)


def ratio(a: Figure, b: Figure) -> dict[str, float | None]:
    """b over a, None where a is 0, with its interval."""
    from workbench.stats.intervals import WILSON_Z

    times = b[0] / a[0] if a[0] else None
    low = high = None
    errors = [error for one in (a, b) if (error := _log_error(one, WILSON_Z)) is not None]
    if times is not None and times > 0 and len(errors) == 2:
        reach = math.exp(WILSON_Z * math.hypot(*errors))
        low, high = times / reach, times * reach
    return {"a": a[0], "b": b[0], "ratio": times, "low": low, "high": high}


def _log_error(one: Figure, z: float) -> float | None:
    """Standard error of a figure's logarithm, from its interval; z: the normal quantile of the interval."""
    _, low, high = one
    return math.log(high / low) / (2 * z) if low is not None and high is not None and low > 0 else None


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What is not the same: name -> [in A, in B]."""
    return {name: [a.get(name), b.get(name)] for name in {**a, **b} if a.get(name) != b.get(name)}


def _label(value: Any) -> str:
    return ", ".join(str(one) for one in value.values() if isinstance(one, str)) if isinstance(value, Mapping) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def size(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """`table`: files and lines of every room, of the whole package and of the tests beside it. Nothing else is used."""
    rooms: defaultdict[str, list[int]] = defaultdict(list)
    for path in sorted(PACKAGE_FOLDER.rglob("*.py")):
        inside, count = path.relative_to(PACKAGE_FOLDER).parts, code_lines(path.read_text("utf-8"))
        room = f"hands/{inside[1]}" if inside[0] == "hands" else inside[0]
        for name in (room.removesuffix(".py"), "workbench"):
            rooms[name].append(count)
    for path in sorted((PACKAGE_FOLDER.parent / "tests").glob("*.py")):
        rooms["tests"].append(code_lines(path.read_text("utf-8")))
    table = [{"room": name, "files": len(some), "lines": sum(some)} for name, some in rooms.items()]
    return {"table": sorted(table, key=lambda row: -row["lines"])}


def code_lines(source: str) -> int:
    """How many lines hold code.

    >>> code_lines("x = 1  # why")
    1
    """
    written = enumerate(source.splitlines(), 1)
    lines = {number for number, line in written if line.strip() and not line.lstrip().startswith("#")}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:  # within a text a line may be blank, or look like a comment
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and "\n" in str(node.value)):
            lines |= _lines_of(node)
    for node in nodes:
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            lines -= _lines_of(node.body[0])
    return len(lines)


def _lines_of(node: ast.expr | ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or 0) + 1))
