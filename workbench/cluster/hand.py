"""What is sent to a worker: a light function, so that the time to import the libraries is booked, not hidden."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any


def explain(order: Mapping[str, Any]) -> dict[str, Any]:
    """`sweep.work.explain_batch`, the time of the first import counted as `loading`."""
    started = time.perf_counter()
    from transformers.utils import logging

    from workbench.sweep.work import explain_batch

    logging.disable_progress_bar()  # a bar a worker would be drawn over the sweep's own progress
    imported = time.perf_counter() - started
    answer = explain_batch(order)
    return {**answer, "seconds": answer["seconds"] + imported, "loading": answer["loading"] + imported}


def run(order: Mapping[str, Any]) -> dict[str, Any]:
    """`whole_runs.run_one`."""
    from workbench.cluster.whole_runs import run_one

    return run_one(order)
