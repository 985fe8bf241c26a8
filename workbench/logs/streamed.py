"""A log of any length on Dask's workers: records are read as they are handed out, and written as they come back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, overload

from workbench.artifacts.files import open_itself
from workbench.logs.records import Record, Refused
from workbench.logs.summary import FAILED, REFUSED
from workbench.meter import Ledger

BATCH = 8  # records handed out together
WORKER = "workbench.logs.held"

Row = dict[str, Any]
Failed = Callable[[int, str, str, Exception], Row]
"""f(line, id, state, error): the row of a record that could not be explained."""


class Rows(Sequence[Row]):
    """Rows in a file of JSON lines, in the order of their `line`; of a row only its place is in memory. What a kill has
    cut off is passed over."""

    def __init__(self, file: Path):
        self.file, self.places, place = file, dict[int, int](), 0
        if file.is_file():
            with open(file, "rb") as lines:
                for text in lines:
                    if (row := _row(text)) is not None:
                        self.places[row["line"]] = place
                    place += len(text)

    @classmethod
    def of(cls, folder: Path, settings: object) -> Rows:
        """Those in a folder that were made with the same settings."""
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]
        return cls(folder / f"rows-{name}.jsonl")

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows; they are on the disk when this returns."""
        with open_itself(self.file, "ab") as out:
            out.write(b"\n")  # whatever a stop has left of the last one
            for row in rows:
                self.places[row["line"]] = out.tell()
                out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, line: object) -> bool:
        return line in self.places

    def __iter__(self) -> Iterator[Row]:
        with open(self.file, "rb") as file:
            for line in sorted(self.places):
                file.seek(self.places[line])
                yield json.loads(file.readline())

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        if isinstance(at, slice):
            return [self[i] for i in range(len(self))[at]]
        with open(self.file, "rb") as file:
            file.seek(self.places[sorted(self.places)[at]])
            return json.loads(file.readline())


def _row(text: bytes) -> Row | None:
    try:
        row = json.loads(text)
        return row if isinstance(row, dict) and isinstance(row.get("line"), int) else None
    except ValueError:
        return None


def streamed(
    folder: Path,
    lines: Callable[[], Iterable[Record | Refused]],
    who: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    failed: Failed,
    scheduler: str | None,
    workers: int | None,
    progress: Callable[[int, int], object] | None,
) -> tuple[Rows, Ledger, str, dict[str, Any]]:
    """The rows of a log's records, in a folder that is made where it is not there, what they cost, on what, and what
    was learnt of a server.

    lines: reads the log from its beginning. who: who answers, and `keys`, which tell its answers from others'.
    progress: f(records done, of all). The rest as in `swept`.
    """
    folder.mkdir(exist_ok=True)
    rows = Rows.of(folder, [who["keys"], config])
    count = sum(1 for _ in lines()) if progress else 0
    shared = {"who": {name: value for name, value in who.items() if name != "keys"}, "config": dict(config)}
    tell = (lambda done: progress(done, count)) if progress else (lambda done: None)
    how: dict[str, Any] = {"scheduler": scheduler, "workers": workers, "progress": tell}
    ledger, number, account = swept(lines(), rows, shared, failed=failed, **how)
    return rows, ledger, f"{number} workers", account


def swept(
    lines: Iterable[Record | Refused],
    rows: Rows,
    shared: Mapping[str, Any],
    *,
    failed: Failed,
    scheduler: str | None = None,
    workers: int | None = None,
    by: str = WORKER,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[Ledger, int, dict[str, Any]]:
    """Explains every record that has no row yet, on the workers of a scheduler or on so many of this machine's, and
    gives what it cost, how many workers there were, and what they learnt of a server.

    shared: plain JSON types that every worker needs. failed: rows of records that could not be explained. by: the
    module whose `work` does it. progress: called with how many rows there are. ValueError, OSError: as in
    `sweep.dispatch.connected`.
    """
    from workbench.sweep.dispatch import answers, connected

    total, names, account = Ledger(), set[str](), dict[str, Any]()
    with (
        connected(scheduler, workers=workers, resources={}, say=lambda text: None) as client,
        closing(answers(client, _batches(lines, rows, shared, by, failed), {})) as coming,
    ):
        for batch, answer in coming:
            outcomes = {one["id"]: one for one in answer["outcomes"]}
            made = []
            for task in batch.tasks:
                one = outcomes.get(task.id, {"error": "the worker sent no outcome"})
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
    lines: Iterable[Record | Refused], rows: Rows, shared: Mapping[str, Any], by: str, failed: Failed
) -> Iterator[Any]:
    """The records that are left in batches, as they are wanted; refused ones become rows at once."""
    from workbench.sweep.tasks import Batch, Task

    def left() -> Iterator[Record]:
        for one in lines:
            if one.line in rows:
                continue
            if isinstance(one, Refused):
                rows.add([failed(one.line, one.id, REFUSED, one.fault)])
            else:
                yield one

    coming = left()
    while some := list(islice(coming, BATCH)):
        cases = {str(one.line): {"line": one.line, "record": one.to_dict()} for one in some}
        yield Batch(tuple(Task({"case": line}) for line in cases), by, shared, cases)
