"""`bench gpu`: what a GPU does with the engine and the training at the size of an 8B model, in one command.

Everything is made on the spot: a model of the 8B shape with random weights (`subject`), a tokenizer and cases. Parts
follow one another, each within its share of the time; what fails says why, and the others go on. Whatever is measured
is handed to `keep` at once, so that a command that is ended early leaves what it has.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from workbench import models
from workbench.artifacts.files import plain
from workbench.artifacts.provenance import package_versions
from workbench.game import Engine
from workbench.hands.bench import Say
from workbench.hands.bench.gpu.rates import certified, decisions, gates, generation, qlora, rows, smollm2
from workbench.hands.bench.gpu.shared import Bench, OutOfTime, Row, Steps, within
from workbench.hands.bench.gpu.subject import Subject, random_lm, tiny_config
from workbench.models.checkpoint import release

SECONDS = 480.0
TRACED = 6  # last lines of an error's trace that are kept
COLUMNS = ("rate", "unit", "share", "ratio", "seconds", "n", "peak_gib")


class Part(NamedTuple):
    """weight: its share of the time that is left when it begins, beside those of the parts after it."""

    steps: Callable[[Bench], Steps]
    weight: float
    of_8b: bool = True


def card(bench: Bench) -> Steps:
    """The device, and what it does by itself: a bf16 matrix product of random data, a copy of its memory."""
    yield "device", partial(described, bench)
    yield "bf16 product", partial(product, bench)
    yield "memory copy", partial(copy, bench)


def described(bench: Bench) -> Row:
    """Name, memory, driver, versions."""
    gpu = torch.cuda.get_device_properties(bench.device) if bench.device.type == "cuda" else None
    asked = ("nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv,noheader")
    said = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout if shutil.which(asked[0]) else ""
    return {
        "name": gpu.name if gpu else "processor",
        "memory_gib": gpu.total_memory / 2**30 if gpu else None,
        "driver_clock_power": said.strip(),
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "versions": package_versions(),
    }


def product(bench: Bench) -> Row:
    """The rate that shares are told of."""
    side, count = bench.size.side, bench.size.products
    a, b = (torch.randn(side, side, device=bench.device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    spent = bench.clock.timed(lambda: [torch.mm(a, b, out=out) for _ in range(count)])
    bench.rate = 2 * side**3 * count / spent["seconds"]
    return {"side": side, "products": count, **spent, "rate": bench.rate / 1e12, "unit": "TFLOP/s"}


def copy(bench: Bench) -> Row:
    """Bytes a second, read and written."""
    source = torch.empty(bench.size.copied, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    spent = bench.clock.timed(lambda: [target.copy_(source) for _ in range(10)])
    moved = 20 * bench.size.copied
    return {"bytes": moved, **spent, "rate": moved / spent["seconds"] / 1e12, "unit": "TB/s"}


def model(bench: Bench) -> Steps:
    """The 8B model with a random adapter."""
    yield "made", partial(made, bench)


def made(bench: Bench) -> Row:
    """Seconds of making it, and what it is."""
    config = tiny_config() if bench.quick else models.deepseek_8b_config()
    world, folder = bench.world, bench.folder / "8b"

    def make() -> None:
        lm = random_lm(config, world.names, name="random-8b", folder=folder, seed=bench.seed)
        bench.subject = Subject(lm, world, facts=bench.size.facts)
        bench.subject.adapt(seed=bench.seed)

    bench.clock.forget_peak()
    seconds = bench.clock.seconds(make)
    prompts, answer, _ = bench.asked(np.ones((1, len(bench.model.case.facts)), bool))
    shape = {"prompt_tokens": len(prompts[0].ids), "answer_tokens": len(answer), "facts": len(bench.model.case.facts)}
    sizes = {"parameters": bench.model.parameters, "matrices": bench.model.matrices}
    default = {"default_batch_tokens": Engine(bench.model.lm).batch_tokens, "threads": torch.get_num_threads()}
    return {"seconds": seconds, "n": 1, **bench.clock.memory(), **shape, **sizes, **default}


PARTS = {
    "card": Part(card, 30, of_8b=False),
    "model": Part(model, 120),
    "rows": Part(rows, 110),
    "decisions": Part(decisions, 70),
    "generation": Part(generation, 60),
    "certified": Part(certified, 40),
    "gates": Part(gates, 30),
    "qlora": Part(qlora, 100),
    "smollm2": Part(smollm2, 40, of_8b=False),  # the last: it lets the 8B model go
}


def run(
    *,
    run_dir: Path,
    quick: bool,
    seed: int,
    say: Say,
    seconds: float = SECONDS,
    parts: Sequence[str] = (),
    keep: Callable[[dict], None] = lambda figures: None,
) -> dict:
    """Figures of the parts, by name: `rows` of what was measured, `errors`, seconds. run_dir is not used.

    quick: a model of two layers, to see whether everything runs. seconds: for all parts together. parts: none means
    all; the model is made where one needs it. keep: is given the figures so far whenever there are new ones.
    ValueError: no such part, or no time.
    """
    todo = chosen(parts)
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, not {seconds!r}")
    ends = time.monotonic() + seconds
    done: dict[str, dict] = {name: {"rows": [], "errors": []} for name in todo}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(quick=quick, seed=seed, folder=Path(folder))
        for number, name in enumerate(todo):
            weights = [PARTS[one].weight for one in todo[number:]]
            budget = max(0.0, ends - time.monotonic()) * weights[0] / sum(weights)
            _carry_out(name, bench, budget, done, say=say, keep=keep)
    return figures(done)


def chosen(parts: Sequence[str]) -> list[str]:
    """Parts in their order, with the model where one needs it, and the card, whose rate the others are measured by."""
    unknown = set(parts) - PARTS.keys()
    if unknown:
        raise ValueError(f"bench gpu has no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    wanted = set(parts) or set(PARTS)
    if any(PARTS[name].of_8b for name in wanted):
        wanted |= {"card", "model"}
    return [name for name in PARTS if name in wanted]


def _carry_out(name: str, bench: Bench, budget: float, done: dict, *, say: Say, keep: Callable[[dict], None]) -> None:
    """Does a part's steps within its time; errors are recorded, and end a step, or the part where its time is over."""
    own, started = done[name], time.monotonic()
    bench.clock.ends = started + budget
    own["budget_seconds"] = budget
    step = name
    try:
        for step, work in PARTS[name].steps(bench):
            _guarded(step, work, own, seconds=bench.clock.ends - time.monotonic(), say=say)
            own["seconds"] = time.monotonic() - started
            keep(figures(done))
    except (Exception, OutOfTime) as error:
        _record(step, error, own, say=say)
    own["seconds"] = time.monotonic() - started
    release()
    keep(figures(done))


def _guarded(step: str, work: Callable[[], Row], own: dict, *, seconds: float, say: Say) -> None:
    """Does one step, and records its row or its error. OutOfTime: it took too long, or had no time at all."""
    try:
        with within(seconds):
            row = work()
        row = plain({"what": step, **row}, where=step)
        own["rows"].append(row)
        told = {column: row[column] for column in COLUMNS if row.get(column) is not None}
        say(", ".join([step, *(f"{key} {value:.4g}" if key != "unit" else value for key, value in told.items())]))
    except Exception as error:
        _record(step, error, own, say=say)
    release()


def _record(step: str, error: BaseException, own: dict, *, say: Say) -> None:
    trace = [line.rstrip() for line in "".join(traceback.format_exception(error)).splitlines()][-TRACED:]
    own["errors"].append({"what": step, "error": f"{type(error).__name__}: {error}"[:500], "trace": trace})
    say(f"{step}: {type(error).__name__}: {error}"[:500])


def figures(done: dict) -> dict:
    """Parts, and a table with a line a row and a line an error."""
    table = []
    for name, part in done.items():
        table += [{"part": name, "what": row["what"], **{c: row.get(c) for c in COLUMNS}} for row in part["rows"]]
        table += [
            {"part": name, "what": f"{e['what']}: {e['error']}", **dict.fromkeys(COLUMNS)} for e in part["errors"]
        ]
    return {"table": table, "parts": done}
