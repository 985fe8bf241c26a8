"""Tables of a sweep's results: which columns were varied, which were measured, and their means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.artifacts.extras import this_command
from workbench.explain.metrics import METRICS
from workbench.stats import bootstrap_mean, proportion
from workbench.sweep.results import DONE, PARQUET

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
    known = column.dropna()
    if known.map(lambda one: isinstance(one, bool | int | float | np.number | np.bool_)).all() and len(known):
        return column.astype("float64")
    return column


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
                share = group[measure].dropna().map(lambda one: isinstance(one, bool | np.bool_)).all()
                figures = _mean(values, share=bool(share), within=WITHIN.get(measure, ANYWHERE), seed=seed)
                rows.append({**dict(zip(by, key, strict=True)), "measure": measure, **figures})
    return pd.DataFrame(rows)


def _mean(values: np.ndarray, *, share: bool, within: tuple[float, float], seed: int) -> dict[str, float]:
    if share:
        found = proportion(values)
        return {"mean": found.share, "low": found.low, "high": found.high, "n": found.n}
    return bootstrap_mean(values, rng=np.random.default_rng(seed), within=within)._asdict()


ANYWHERE = (-np.inf, np.inf)
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
