"""What a worker of a sweep does: it holds the models of a log, and explains one batch of records after another."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers.utils import logging

from workbench.artifacts.files import plain
from workbench.logs.answers import Local
from workbench.logs.endpoint import Served
from workbench.logs.records import record_of
from workbench.logs.run import Work
from workbench.logs.speakers import Source, served, served_account, turns
from workbench.stats.meter import Ledger

Speakers = Mapping[str, Local | Served]
_turn = threading.RLock()  # an engine serves one batch at a time, however many threads a worker has


def work(order: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """Outcomes of a batch, and the seconds in which its models were loaded. See `hands.sweep.tasks.perform`."""
    with _turn:
        started = time.perf_counter()
        speakers = _speakers(json.dumps(order["who"], sort_keys=True))
        loading = time.perf_counter() - started
        return explained(order, speakers), loading


def explained(order: Mapping[str, Any], speakers: Speakers) -> list[dict[str, Any]]:
    """An outcome a record: its `row`, what it cost, `ledger`, and what is known of a server, `account`. A record's own
    failure is in its row."""
    outcomes = []
    for task, case in zip(order["tasks"], order["cases"], strict=True):
        started, before = time.perf_counter(), _spent(speakers)
        record = record_of(case["record"], line=case["line"])
        one = Work(None, [record], order["config"], None)
        one.take(record, speakers)
        found = {"row": plain(one.done[record.line], where=record.id), "ledger": (_spent(speakers) - before).to_dict()}
        found["account"] = served_account(speakers)
        outcomes.append({"id": task["id"], "found": found, "seconds": time.perf_counter() - started})
    return outcomes


def _spent(speakers: Speakers) -> Ledger:
    return sum({id(one.ledger): one.ledger for one in speakers.values()}.values(), Ledger())


def _digests(key: str) -> Any:
    """What of `Source.key` holds on every machine; a revision is not known before the model is fetched."""
    told, *how = json.loads(key)
    return [{name: one for name, one in told.items() if isinstance(one, str)}, *how]


@lru_cache(maxsize=1)
def _speakers(told: str) -> Speakers:
    """Everyone who answers, loaded; models that would take turns are held beside one another. told: who, as JSON.
    ValueError: what lies there now has other keys."""
    logging.disable_progress_bar()
    who = json.loads(told)
    model, adapter, against, longest = (who[name] for name in ("model", "adapter", "against", "longest"))
    if who["endpoint"]:
        return served(who["endpoint"], model, against, longest=longest, repeats=who["repeats"])[1]
    source = Source(model, Path(adapter) if adapter else None, who["four_bit"])
    order, speakers = turns(source, against, who["names"], longest=longest)
    if [_digests(one.key) for one in speakers.values()] != list(map(_digests, who["keys"])):
        raise ValueError(f"what lies in {adapter or model} is not what the log was begun with; start it again")
    for turn in order:
        engine = turn.load()
        for one in turn.speakers:
            one.take(engine)
    return speakers
