"""Explanations as tasks: every case, method, adapter, model, weights, seed and setting of a grid; what a worker does
for them: it loads a model once, and explains the cases of one batch after another with it."""

from __future__ import annotations

import json
import re
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils import logging

from workbench import models
from workbench.artifacts import runs
from workbench.artifacts.files import sha256_file
from workbench.cases import Case, load_cases, withhold
from workbench.explain import BASELINES, METHODS, PRESETS, ExplainConfig, Explanation, Session, Weights
from workbench.game import Engine
from workbench.game.memory import Known
from workbench.hands.sweep.grid import Grid
from workbench.hands.sweep.tasks import Batch, Task, digest, product, told
from workbench.models.adapter_folder import CONFIG, WEIGHTS

CASES = re.compile(r"(\w+)(?:\[(\d*):(\d*)\])?", re.ASCII)
BATCH = 8  # cases explained together: what the scheduler costs is shared by them, and a kill loses no more than them

SETTINGS = tuple(f.name for f in fields(ExplainConfig) if f.name != "weights")


def plan_explanations(grid: Grid) -> list[Batch]:
    """Batches of up to `batch` cases, with every method asked of them.

    GridError: a value that cannot be carried out. MissingStage: a run without a finished adapter.
    """
    methods = grid.texts("methods", list(METHODS))
    for method in methods:
        grid.known("methods", method, METHODS)
    axes: dict[str, Sequence[Any]] = {
        "model": grid.texts("models", None, none=True),
        "adapter": grid.texts("adapters", "adapter", none=True),
        "weights": _weights(grid),
        "withheld": _shares(grid),
        **_settings(grid),
        "seed": grid.seeds,
    }
    size = grid.number("batch", BATCH)
    batches: list[Batch] = []
    for run in grid.texts("runs", None):
        folder, cases = _cases(grid, run)
        own = runs.read_manifest(folder, "adapter")["config"].get("model", models.READER)
        for one in product(grid, axes, each=len(cases) * len(methods)):
            place, weights_digest = _adapter(grid, folder, one["adapter"])
            given = {**one, "model": one["model"] or own, "run": run, "adapter_sha256": weights_digest}
            names = str((folder / "adapter" / "names.json").resolve())
            shared = {"names": names, "adapter": place, "shared": given}
            parts = (cases[start : start + size] for start in range(0, len(cases), size))
            batches += [_batch(shared, given, part, methods) for part in parts]
    return batches


def _batch(shared: Mapping[str, Any], given: Mapping[str, Any], cases: list[Case], methods: list[str]) -> Batch:
    shown = [_shown(case, given["withheld"], given["seed"]) for case in cases]
    marks = {case.id: digest([case.facts, *case.question, dict(case.names)]) for case in shown}
    asked = (
        {"method": method, "case": case, "case_sha256": mark} for case, mark in marks.items() for method in methods
    )
    return Batch(tuple(Task({**given, **one}) for one in asked), __name__, shared, {c.id: c.to_dict() for c in shown})


def _shown(case: Case, share: float, seed: int) -> Case:
    """The case with its share of needed facts withheld: the same for a case and a seed, whichever others are asked."""
    return withhold(case, share, rng=np.random.default_rng([seed, zlib.crc32(case.id.encode())]))


def _cases(grid: Grid, run: str) -> tuple[Path, list[Case]]:
    """A run's folder, and its cases as the grid names them, `held_out[:200]`."""
    folder = Path(run).expanduser()
    stage = runs.require_stage(folder, "adapter")
    known = sorted(path.stem.removeprefix("cases_") for path in stage.glob("cases_*.jsonl"))
    found: dict[str, Case] = {}
    for text in grid.texts("cases", "held_out"):
        match = CASES.fullmatch(text)
        if not match:
            raise grid.error("cases", "must be a name and, if wanted, a range: held_out, held_out[:200]", text)
        grid.known("cases", match[1], known)
        start, stop = (int(part) if part else None for part in (match[2], match[3]))
        found |= {case.id: case for case in load_cases(stage / f"cases_{match[1]}.jsonl")[start:stop]}
    if not found:
        raise grid.error("cases", f"must name at least one case of {folder}", grid.values.get("cases"))
    return folder, list(found.values())


def _adapter(grid: Grid, folder: Path, name: str | None) -> tuple[str | None, str | None]:
    """An adapter's folder, which is named relative to its run, and its digest; None: the base model alone."""
    if name is None:
        return None, None
    path = (folder / name).resolve()
    if not all((path / one).is_file() for one in (CONFIG, WEIGHTS)):
        raise grid.error("adapters", f"must be adapter folders seen from {folder}, with {WEIGHTS}", name)
    return str(path), adapter_digest(path)


def adapter_digest(folder: Path) -> str:
    """SHA-256 over an adapter's settings and weights."""
    return digest([sha256_file(folder / name) for name in (CONFIG, WEIGHTS)])


def _weights(grid: Grid) -> list[dict[str, float]]:
    """Presets by name, or maps of weights; names that are missing keep their defaults."""
    out = []
    for one in grid.axis("weights", "paper"):
        if isinstance(one, dict):
            try:
                out.append(Weights.from_dict(one).to_dict())
            except (ValueError, TypeError) as error:
                raise grid.error("weights", f"must be weights of terms ({error})", one) from error
        else:
            grid.known("weights", one, PRESETS)
            out.append(PRESETS[one].to_dict())
    return grid.listed("weights", out)


def _shares(grid: Grid) -> list[float]:
    shares = grid.axis("withheld", 0.0)
    for one in shares:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 1:
            raise grid.error("withheld", "must be shares of the needed facts, in [0, 1]", one)
    return grid.listed("withheld", [float(one) for one in shares])


def _settings(grid: Grid) -> dict[str, list[Any]]:
    """Fields of `ExplainConfig`, each value tried alone."""
    for name, values in grid.parameters.items():
        grid.known("parameters", name, SETTINGS)
        for value in values:
            try:
                ExplainConfig(**{name: value})
            except ValueError as error:
                raise grid.error(f"parameters.{name}", f"must keep its rule ({error})", value) from error
    return grid.parameters


KEPT = 2  # models held at once

_engines: OrderedDict[tuple[str, str | None, str], Engine] = OrderedDict()
_turn = threading.RLock()  # an engine serves one batch at a time, however many threads a worker has

Outcome = dict[str, Any]


def work(order: Mapping[str, Any]) -> tuple[list[Outcome], float]:
    """Outcomes of a batch, and the seconds in which its model was loaded: next to none where an earlier batch had it.

    order: of a `Batch` that `plan_explanations` made. Methods of the same cases share a session: answers and masks are
    computed once. Where cases fail together each is tried alone, so that one spoils no other.
    """
    started, given = time.perf_counter(), order["shared"]
    with _turn:
        engine = held_engine(order)
        loading = time.perf_counter() - started
        settings = {name: given[name] for name in SETTINGS if name in given}
        config = ExplainConfig(weights=Weights.from_dict(given["weights"]), **settings)
        cases = {case["id"]: Case.from_dict(case) for case in order["cases"]}

        @cache
        def session(*ids: str) -> Session:
            return Session(engine, [cases[one] for one in ids], seed=int(given["seed"]), config=config)

        def explained(tasks: Sequence[Mapping[str, str]]) -> list[Outcome]:
            ids, method, began = [task["case"] for task in tasks], tasks[0]["method"], time.perf_counter()
            try:
                found = session(*ids).explanations(method, with_base=method not in BASELINES)
            except Exception as error:
                if len(tasks) == 1:
                    return [{"id": tasks[0]["id"], "error": told(error)}]
                return [explained([task])[0] for task in tasks]
            seconds, pairs = (time.perf_counter() - began) / len(ids), zip(tasks, found, strict=True)
            return [{"id": task["id"], "found": findings(one), "seconds": seconds} for task, one in pairs]

        methods = dict.fromkeys(task["method"] for task in order["tasks"])
        each = ([task for task in order["tasks"] if task["method"] == method] for method in methods)
        return [outcome for tasks in each for outcome in explained(tasks)], loading


def held_engine(order: Mapping[str, Any]) -> Engine:
    """The engine of an order's model and adapter: held from an earlier batch, or loaded now.

    ValueError: the adapter that lies there is not the one that was planned.
    """
    shared = order["shared"]
    key = (shared["model"], shared["adapter_sha256"], order["names"])
    if key not in _engines:
        adapter = Path(order["adapter"]) if order["adapter"] else None
        if adapter and adapter_digest(adapter) != shared["adapter_sha256"]:
            raise ValueError(f"the adapter in {adapter} is not the one the sweep was planned with; start it again")
        while len(_engines) >= KEPT:
            _engines.popitem(last=False)
        logging.disable_progress_bar()  # a bar a worker would be drawn over the sweep's own progress
        names = json.loads(Path(order["names"]).read_text(encoding="utf-8"))
        _engines[key] = Engine(models.load(shared["model"], names=names, adapter=adapter))
    _engines.move_to_end(key)
    _engines[key].known = Known()  # what a batch costs does not hang on those before it
    return _engines[key]


def findings(one: Explanation) -> dict[str, Any]:
    """What an explanation says, as plain types. `rows`, `tokens`, `backward_passes`: the batch's mean a case."""
    record = {name: value for name, value in one.record().items() if name not in ("case", "method")}
    cases = one.ledger.get("cases", 1)
    cost = {name: one.ledger[name] / cases for name in ("rows", "tokens", "backward_passes") if name in one.ledger}
    certificate = {k: one.certificate[k] for k in ("found", "certified", "calls") if k in one.certificate}
    elements = [e if isinstance(e, str) else list(e) for e in one.removed]
    return {**record, **cost, "elements": elements, "certificate": certificate}
