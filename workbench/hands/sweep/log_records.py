"""A log of any length on Dask's workers: records are read as they are handed out, and written as they come back. A
worker holds the log's models, and explains one batch of records after another.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from transformers.utils import logging

from workbench.artifacts.files import plain
from workbench.hands.sweep.tasks import Batch, Task, answers, connected
from workbench.logs.answers import Answers, Local
from workbench.logs.asked import Asked, asked, decision_of
from workbench.logs.endpoint import EndpointError, Served
from workbench.logs.records import Fault, Record, Refused, record_of
from workbench.logs.run import Work
from workbench.logs.speakers import Source, served, served_account, turns
from workbench.logs.summary import FAILED, REFUSED, Failed, Rows
from workbench.stats.games import Ledger

BATCH = 8  # records handed out together, at most: as many as a worker does in a second
Speakers = Mapping[str, Local | Served]
_turn = threading.RLock()  # an engine serves one batch at a time, however many threads a worker has


def streamed(
    folder: Path,
    lines: Callable[[], Iterable[Record | Refused]],
    who: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    failed: Failed,
    progress: Callable[[int, int], object] | None,
    scheduler: str | None = None,
    workers: int | None = None,
) -> tuple[Rows, Ledger, str, dict[str, Any]]:
    """The rows of a log's records, in a folder that is made where it is not there, what they cost, on what, and what
    was learnt of a server.

    lines: reads the log from its beginning. who: who answers, `keys`, which tell its answers from others', and `log`,
    a digest. progress: f(records done, of all). The rest as in `swept`.
    """
    folder.mkdir(exist_ok=True)
    who, spent, learnt = settled(lines, who, config)
    rows = Rows.of(folder, [dict(who), dict(config)])
    count = sum(1 for _ in lines()) if progress else 0
    shared = {"who": {name: value for name, value in who.items() if name != "log"}, "config": dict(config)}
    tell = (lambda done: progress(done, count)) if progress else (lambda done: None)
    how: dict[str, Any] = {"scheduler": scheduler, "workers": workers, "progress": tell}
    ledger, number, account = swept(lines(), rows, shared, failed=failed, **how)
    return rows, spent + ledger, f"{number} workers", _together(learnt, account)


def settled(
    lines: Callable[[], Iterable[Record | Refused]], who: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Ledger, dict[str, Any]]:
    """Who answers, with how often each prompt of a server is asked: found out here, since workers that each did so
    might not agree. And what that cost, and was learnt. EndpointError: none of the first records was answered."""
    if not who["endpoint"] or who["repeats"] is not None:
        return who, Ledger(), {}
    speakers = served(who["endpoint"], who["model"], who["against"], longest=who["longest"])[1]
    repeats, why = 1, None
    for put in islice(_askable(lines(), config), BATCH):
        try:
            repeats, why = max(Answers(one, put).repeats for one in speakers.values()), None
            break
        except EndpointError as error:  # of this record, it may be
            why = error
    if why:
        raise why
    spent = sum((one.ledger for one in speakers.values()), Ledger())
    return {**who, "repeats": repeats}, spent, served_account(speakers)


def _askable(lines: Iterable[Record | Refused], config: Mapping[str, Any]) -> Iterator[Asked]:
    """What is asked of the records that have no fault."""
    for one in lines:
        if isinstance(one, Record):
            try:
                how = {name: config[name] for name in ("template", "sentences")}
                yield asked(one, decision_of(one, config["decision"]), **how)
            except Fault:
                continue


def swept(
    lines: Iterable[Record | Refused],
    rows: Rows,
    shared: Mapping[str, Any],
    *,
    failed: Failed,
    scheduler: str | None = None,
    workers: int | None = None,
    by: str = __name__,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[Ledger, int, dict[str, Any]]:
    """Explains every record that has no row yet, on the workers of a scheduler or on so many of this machine's, and
    gives what it cost, how many workers there were, and what they learnt of a server.

    shared: plain JSON types that every worker needs. failed: rows of records that could not be explained. by: the
    module whose `work` does it. progress: called with how many rows there are. ValueError, OSError: as in
    `sweep.tasks.connected`.
    """
    total, names, account, size = Ledger(), set[str](), dict[str, Any](), 1
    with (
        connected(scheduler, workers=workers, resources={}, say=lambda text: None) as client,
        closing(answers(client, _batches(lines, rows, shared, by, failed, lambda: size), {})) as coming,
    ):
        for batch, answer in coming:
            busy = answer["seconds"] - answer["loading"]
            size = max(1, min(BATCH, int(len(batch.tasks) / max(busy, 1 / BATCH))))
            made = []
            for task, one in batch.outcomes(answer):
                if "error" in one:
                    case = batch.cases[str(task.case)]
                    made.append(failed(case["line"], str(case["record"]["id"]), FAILED, RuntimeError(one["error"])))
                else:
                    made.append(one["found"]["row"])
                    total, names = total + Ledger(**one["found"]["ledger"]), names | {one["worker"]}
                    account = _together(account, one["found"]["account"])
            rows.add(made)
            progress(len(rows))
    return total, len(names), account


def _together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two workers learnt of a server, each by asks of its own: of each number the larger."""
    both = {**one, **other}
    if any(isinstance(value, Mapping) for value in both.values()):
        return {key: _together(one.get(key, {}), other.get(key, {})) for key in both}
    known = {key: [x for x in (one.get(key), other.get(key)) if x is not None] for key in both}
    return {key: max(values, default=None) for key, values in known.items()}


def _batches(
    lines: Iterable[Record | Refused],
    rows: Rows,
    shared: Mapping[str, Any],
    by: str,
    failed: Failed,
    size: Callable[[], int],
) -> Iterator[Batch]:
    """The records that are left in batches of a size, as they are wanted; refused ones become rows at once."""

    def left() -> Iterator[Record]:
        for one in lines:
            if one.line in rows:
                continue
            if isinstance(one, Refused):
                rows.add([failed(one.line, one.id, REFUSED, one.fault)])
            else:
                yield one

    coming = left()
    while some := list(islice(coming, size())):
        cases = {str(one.line): {"line": one.line, "record": one.to_dict()} for one in some}
        yield Batch(tuple(Task({"case": line}) for line in cases), by, shared, cases)


def work(order: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """Outcomes of a batch, and the seconds in which its models were loaded. See `tasks.perform`."""
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
