"""What a worker does: it loads a model once, and explains the cases of one batch after another with it."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from transformers.utils import logging

from workbench import models
from workbench.cases import Case
from workbench.explain import BASELINES, ExplainConfig, Explanation, Session, Weights
from workbench.game import Engine
from workbench.sweep.explaining import SETTINGS, adapter_digest
from workbench.sweep.tasks import told

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
    return _engines[key]


def findings(one: Explanation) -> dict[str, Any]:
    """What an explanation says, as plain types. `rows`, `tokens`, `backward_passes`: the batch's mean a case."""
    record = {name: value for name, value in one.record().items() if name not in ("case", "method")}
    cases = one.ledger.get("cases", 1)
    cost = {name: one.ledger[name] / cases for name in ("rows", "tokens", "backward_passes") if name in one.ledger}
    certificate = {k: one.certificate[k] for k in ("found", "certified", "calls") if k in one.certificate}
    elements = [e if isinstance(e, str) else list(e) for e in one.removed]
    return {**record, **cost, "elements": elements, "certificate": certificate}
