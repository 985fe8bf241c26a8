"""The results of a sweep: one row a task, written as they come, and in one parquet file at the end.

`<out>/rows.jsonl` is appended to, a line a task; a line that was cut off by a kill is dropped when the sweep goes on.
`<out>/results.parquet` holds the rows of the present grid. Columns: `id`, `status` (`done` or `failed`), `error`,
`worker`, `seconds`, `given.*` (what the task is) and `found.*` (what came out).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.artifacts.files import atomic_path, open_itself
from workbench.sweep.tasks import Batch

ROWS, PARQUET = "rows.jsonl", "results.parquet"
DONE, FAILED = "done", "failed"
FIRST = ("id", "status", "error", "worker", "seconds")  # columns that stand in front

Row = dict[str, Any]


class Results:
    """The rows of a sweep's folder, by task id. A task that was tried again has its last row."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / ROWS
        self.rows: dict[str, Row] = {}
        if self.file.exists():
            self._read()

    def _read(self) -> None:
        whole = 0
        with self.file.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    row = None
                if not isinstance(row, dict) or not isinstance(row.get("id"), str):
                    break
                self.rows[row["id"]] = row
                whole += len(line)
        if whole < self.file.stat().st_size:
            with open_itself(self.file, "r+b") as cut:  # a kill cut the last line off
                cut.truncate(whole)

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows; they are on the disk when this returns."""
        new = list(rows)
        with open_itself(self.file, "a") as out:
            out.write("".join(json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n" for row in new))
            out.flush()
            os.fsync(out.fileno())
        self.rows.update({row["id"]: row for row in new})

    def finished(self, *, retry: bool) -> set[str]:
        """Ids of the tasks that need not be done; retry: those that failed are done again."""
        return {name for name, row in self.rows.items() if row["status"] == DONE or not retry}

    def write(self, ids: Sequence[str]) -> Path:
        """The rows of these tasks, as far as there are any, as parquet in one step."""
        path = self.folder / PARQUET
        with atomic_path(path) as temporary:
            pq.write_table(table_of([self.rows[i] for i in ids if i in self.rows]), temporary, compression="zstd")
        return path


def row_of(
    id: str, given: Mapping[str, Any], *, found: Mapping[str, Any] | None = None, error: str = "", **rest: Any
) -> Row:
    """A flat row: nested names joined by dots, lists as JSON, numbers that are not finite as null."""
    head = {"id": id, "status": FAILED if error else DONE, "error": error, **rest}
    return {**head, **flat(given, "given."), **flat(found or {}, "found.")}


def rows_of(batch: Batch, answer: Mapping[str, Any]) -> list[Row]:
    """A row for every task of a batch, of what a worker sent; see `tasks.perform`."""
    outcomes = {one["id"]: one for one in answer["outcomes"]}
    sent = [(task, outcomes.get(task.id, {"error": "the worker sent no outcome"})) for task in batch.tasks]
    nothing = dict.fromkeys(("worker", "seconds"))
    return [row_of(task.id, task.given, **nothing | {k: v for k, v in one.items() if k != "id"}) for task, one in sent]


def flat(value: Mapping[str, Any], prefix: str = "") -> Row:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; lists and tuples become JSON text."""
    out: Row = {}
    for name, one in value.items():
        if isinstance(one, Mapping):
            out |= flat(one, f"{prefix}{name}.")
        elif isinstance(one, list | tuple):
            out[f"{prefix}{name}"] = json.dumps(one, ensure_ascii=False)
        elif isinstance(one, float):
            out[f"{prefix}{name}"] = float(one) if math.isfinite(one) else None
        elif one is None or isinstance(one, bool | int | str):
            out[f"{prefix}{name}"] = one
        else:
            raise TypeError(f"{prefix}{name} is a {type(one).__name__}; a row holds plain JSON types")
    return out


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Rows as a table: a column is bool, int64, float64 or text, whichever holds all its values."""
    names = list(dict.fromkeys((*FIRST, *(name for row in rows for name in row))))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return pa.table(columns)


def _column(values: Sequence[Any]) -> pa.Array:
    kinds = {type(one) for one in values if one is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(one is None or -(2**63) <= one < 2**63 for one in values):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if one is None else float(one) for one in values], pa.float64())
    texts = [one if one is None or isinstance(one, str) else json.dumps(one) for one in values]
    return pa.array([None if one is None else _sound(one) for one in texts], pa.string())


def _sound(text: str) -> str:
    """Names are data, even those that no encoding has: a lone half of a character becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
