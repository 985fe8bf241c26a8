"""The results of a sweep: one row a task, written as they come, and in one parquet file at the end; tables of them:
which columns were varied, which were measured, and their means with intervals.

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
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.artifacts.files import atomic_path, open_itself
from workbench.artifacts.start import this_command
from workbench.explain.metrics import METRICS
from workbench.stats import bootstrap_mean, proportion
from workbench.stats.intervals import ANYWHERE

if TYPE_CHECKING:
    from workbench.hands.sweep.tasks import Batch

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
    nothing = {"worker": None, "seconds": None}
    return [row_of(task.id, task.given, **nothing | outcome) for task, outcome in batch.outcomes(answer)]


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


GIVEN, FOUND = "given.", "found."
ITEMS = ("given.case", "given.case_sha256", "given.adapter_sha256")  # what is averaged over, or says the same twice


def read_results(folder: str | Path) -> pd.DataFrame:
    """The rows of a finished sweep. FileNotFoundError: its folder holds no results."""
    file = Path(folder) / PARQUET
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist; run `{this_command()} sweep GRID --out {folder}` first")
    return pd.read_parquet(file)


def axes(table: pd.DataFrame) -> list[str]:
    """The columns `given.*` with more than one value, cases aside."""
    return [c for c in table if c.startswith(GIVEN) and c not in ITEMS and table[c].nunique(dropna=False) > 1]


def measures(table: pd.DataFrame) -> list[str]:
    """The columns of numbers, and of true and false, that came out: `found.*` and `seconds`."""
    found = [c for c in table if (c.startswith(FOUND) or c == "seconds") and table[c].notna().any()]
    return [c for c in found if pd.api.types.is_numeric_dtype(numbers(table[c]))]


def numbers(column: pd.Series) -> pd.Series:
    """A column as float64, true as 1; unchanged where it holds text."""
    known = column.dropna().infer_objects()
    return column.astype("float64") if len(known) and pd.api.types.is_numeric_dtype(known) else column


def summary(table: pd.DataFrame, *, by: Sequence[str], measures: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """A row for each combination of `by` and each measure: `mean`, `low`, `high` (95 %), `n`, of the finished tasks.

    Shares (of true and false) have Wilson's interval, other means a bootstrap-t's. ValueError: no task is finished.
    """
    done = table[table["status"] == DONE]
    if done.empty:
        raise ValueError("no task of this sweep is finished; its column `error` says why")
    rows = []
    for key, group in done.groupby(list(by), sort=True, dropna=False) if by else [((), done)]:
        for measure in measures:
            values = numbers(group[measure]).dropna().to_numpy(float)
            if len(values):
                if pd.api.types.is_bool_dtype(group[measure].dropna().infer_objects()):
                    mean = proportion(values).as_mean()
                else:
                    rng, within = np.random.default_rng(seed), WITHIN.get(measure, ANYWHERE)
                    mean = bootstrap_mean(values, rng=rng, within=within)
                rows.append({**dict(zip(by, key, strict=True)), "measure": measure, **mean._asdict()})
    return pd.DataFrame(rows)


WITHIN = {f"found.{name}": (0.0, 1.0) for name in METRICS}
"""The range of a measure's means, where it has one."""


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """Errors of the tasks that failed, and how often each came: `error`, `tasks`; the most frequent first."""
    counts = table.loc[table["status"] != DONE, "error"].value_counts()
    return counts.rename_axis("error").rename("tasks").reset_index()


def spread(means: pd.DataFrame, axis: str) -> pd.DataFrame:
    """How far each measure's means lie apart along an axis: `measure`, `lowest`, `highest`, `apart`, the widest first.

    means: of `summary` by that axis. apart: the difference in units of the mean half width of the intervals; a measure
    that does not move is 0, one whose intervals have no width is infinite.
    """
    rows = []
    for measure, group in means.groupby("measure", sort=False):
        low, high = group.loc[group["mean"].idxmin()], group.loc[group["mean"].idxmax()]
        width = float((group["high"] - group["low"]).mean()) / 2
        gap = float(high["mean"] - low["mean"])
        apart = 0.0 if gap == 0 else gap / width if width else float("inf")
        rows.append({"measure": measure, "lowest": low[axis], "highest": high[axis], "apart": apart})
    return pd.DataFrame(rows).sort_values("apart", ascending=False, ignore_index=True)
