"""What a worker does: it loads a model once, and explains the cases of one batch after another with it."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import models
from workbench.cases import Case
from workbench.explain import BASELINES, ExplainConfig, Explanation, Session, Weights
from workbench.game import Engine
from workbench.sweep.explaining import SETTINGS, adapter_digest, read_names
from workbench.sweep.plan import told

KEPT = 2  # models held at once

_engines: OrderedDict[tuple[str, str | None, str], Engine] = OrderedDict()
_turn = threading.RLock()  # an engine serves one batch at a time, however many threads a worker has

Outcome = dict[str, Any]
"""Of one task: `id`, `worker`, and `found` with `seconds`, or `error`. Plain JSON types."""


def explain_batch(order: Mapping[str, Any]) -> dict[str, Any]:
    """The `outcomes` of a batch, `seconds` the worker was busy and, of these, `loading` seconds for its model.

    order: see `explaining.plan_explanations`; plain JSON types in and out. A case that fails has an outcome that says
    so. `loading` is next to nothing where the model was held from an earlier batch.
    """
    started = time.perf_counter()
    with _turn:
        engine = held_engine(order)
        loading = time.perf_counter() - started
        desk = Desk(engine, order)
        outcomes = [one for method in desk.methods for one in desk.explained(desk.tasks(method))]
    return {"outcomes": outcomes, "seconds": time.perf_counter() - started, "loading": loading}


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
        names = read_names(Path(order["names"]))
        _engines[key] = Engine(models.load(shared["model"], names=names, adapter=adapter))
    _engines.move_to_end(key)
    return _engines[key]


class Desk:
    """One order at work. Methods of the same cases share a session: answers and masks are computed once."""

    def __init__(self, engine: Engine, order: Mapping[str, Any]):
        shared = order["shared"]
        self.engine, self.seed, self.order = engine, int(shared["seed"]), order
        settings = {name: shared[name] for name in SETTINGS if name in shared}
        self.config = ExplainConfig(weights=Weights.from_dict(shared["weights"]), **settings)
        self.cases = {case["id"]: Case.from_dict(case) for case in order["cases"]}
        self.sessions: dict[tuple[str, ...], Session] = {}

    @property
    def methods(self) -> list[str]:
        """Every method that is asked."""
        return list(dict.fromkeys(task["method"] for task in self.order["tasks"]))

    def tasks(self, method: str) -> list[Mapping[str, str]]:
        """The tasks of a method."""
        return [task for task in self.order["tasks"] if task["method"] == method]

    def explained(self, tasks: Sequence[Mapping[str, str]]) -> list[Outcome]:
        """Outcomes of one method's tasks: together and, where that fails, each alone, so that one spoils no other."""
        try:
            return self._together(tasks)
        except Exception as error:
            if len(tasks) == 1:
                return [{"id": tasks[0]["id"], "error": told(error), "worker": this_worker()}]
        return [self.explained([task])[0] for task in tasks]

    def _together(self, tasks: Sequence[Mapping[str, str]]) -> list[Outcome]:
        ids, method = tuple(task["case"] for task in tasks), tasks[0]["method"]
        if ids not in self.sessions:
            cases = [self.cases[one] for one in ids]
            self.sessions[ids] = Session(self.engine, cases, seed=self.seed, config=self.config)
        started = time.perf_counter()
        found = self.sessions[ids].explanations(method, with_base=method not in BASELINES)
        share = (time.perf_counter() - started) / len(ids)
        return [
            {"id": task["id"], "found": findings(one), "seconds": share, "worker": this_worker()}
            for task, one in zip(tasks, found, strict=True)
        ]


def findings(one: Explanation) -> dict[str, Any]:
    """What an explanation says, as plain types. `rows`, `tokens`, `backward_passes`: the batch's mean a case."""
    record = {name: value for name, value in one.record().items() if name not in ("case", "method")}
    cases = one.ledger.get("cases", 1)
    cost = {name: one.ledger[name] / cases for name in ("rows", "tokens", "backward_passes") if name in one.ledger}
    certificate = {k: one.certificate[k] for k in ("found", "certified", "calls") if k in one.certificate}
    elements = [e if isinstance(e, str) else list(e) for e in one.removed]
    return {**record, **cost, "elements": elements, "certificate": certificate}


def this_worker() -> str:
    """Which process this is, and on which machine."""
    return f"{platform.node()}:{os.getpid()}"
