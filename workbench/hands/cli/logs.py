"""`workbench explain LOG`: on which facts the answers of a log hang; `kg questions`: a log made of a graph; `sweep`:
many explanations or runs over the values of a grid, on this machine or a cluster."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.artifacts.files import atomic_write_json, atomic_write_text, check_outputs, typed
from workbench.hands.cli.output import DONE, FAILED, result, say, tell

if TYPE_CHECKING:
    from workbench.hands.sweep.grid import Grid
    from workbench.hands.sweep.results import Results
    from workbench.hands.sweep.tasks import Batch


def add(declare: Callable[..., argparse.ArgumentParser]) -> None:
    explain = declare("explain", _explain, "on which facts the answers of a log hang")
    explain.add_argument("records", metavar="LOG", help="JSON lines of question, facts, ...; see --from")
    explain.add_argument(
        "--from",
        dest="reader",
        metavar="NAME",
        help="whose output LOG is: graphrag, lightrag, llamaindex, langchain, workbench (default: told by its shape)",
    )
    explain.add_argument("--model", metavar="M", required=True, help="reader, smollm2, a Hugging Face id or a folder")
    explain.add_argument("--adapter", metavar="A", help="folder of a PEFT adapter; compared with the model without it")
    explain.add_argument("--against", metavar="M2", help="compare with this model, or adapter on the same model")
    explain.add_argument("--out", metavar="DIR", required=True, help="folder for the results")
    explain.add_argument(
        "--decision",
        metavar="D",
        default="text",
        help="what of an answer counts: chain, option[:a|b], entities, yesno, text, regex:..., json; record: what its "
        "field `decision` names (default text)",
    )
    explain.add_argument("--template", metavar="FILE", help="Jinja template of the prompt, for all records")
    explain.add_argument("--sentences", action="store_true", help="search within texts too, sentence by sentence")
    explain.add_argument(
        "--span",
        dest="spans",
        metavar="S",
        action="append",
        default=[],
        help="also ask which facts hold this piece of the answer: a text, regex:... or json:path (may be repeated)",
    )
    explain.add_argument("--budget", metavar="N", type=int, default=300, help="most answers asked for one set")
    explain.add_argument(
        "--tokens",
        dest="max_new_tokens",
        metavar="N",
        type=int,
        default=32,
        help="most tokens of an answer (default 32)",
    )
    explain.add_argument("--full", dest="four_bit", action="store_false", help="weights as they are, not in 4 bits")
    explain.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible server of M; key in WORKBENCH_API_KEY")
    explain.add_argument("--requests", metavar="N", type=int, help="most requests to the endpoint")
    explain.add_argument("--spend", dest="tokens", metavar="N", type=int, help="most tokens spent at the endpoint")
    explain.add_argument("--repeats", metavar="N", type=int, help="most asks of one prompt (default: found out)")
    explain.add_argument("--workers", metavar="N", type=int, help="so many processes; a log of any length is streamed")
    explain.add_argument("--scheduler", metavar="ADDRESS", help="the workers of a Dask scheduler, tcp://host:8786")
    explain.add_argument("--redact", action="store_true", help="leave nothing with a text of the log in it")


def _through(workers: int | None, scheduler: str | None) -> Callable | None:
    if workers is None and scheduler is None:
        return None
    from workbench.hands.sweep.log_records import streamed

    return partial(streamed, workers=workers, scheduler=scheduler)


def _explain(options: argparse.Namespace) -> int:
    from workbench.hands.report.write import write_report
    from workbench.logs.run import explain_log
    from workbench.logs.summary import EXPLAINED

    asked = vars(options).keys() & signature(explain_log).parameters.keys() - {"log"}  # there, how messages are written
    given = {name: getattr(options, name) for name in asked} | {
        "template": Path(options.template).read_text("utf-8") if options.template else None,
        "through": _through(options.workers, options.scheduler),
    }
    found = explain_log(options.records, **given, progress=lambda done, of: say(f"{done} of {of} records"))
    counts = found.metrics["records"]
    for state, number in counts.items():
        if number or state == EXPLAINED:
            result(f"{state}: {number:,}")
    result(f"the report is {os.path.relpath(write_report(found.folder))}")
    return DONE if counts[EXPLAINED] else FAILED


def add_questions(declare: Callable[..., argparse.ArgumentParser]) -> None:
    """Declares `kg questions`."""
    text = "a log of questions about a graph, with answers and the facts that decide them"
    command = declare("questions", _questions, text, description=f"Make {text}.")
    command.add_argument("graph", metavar="GRAPH", help="biotoolkg, mediakg, node-link JSON, or a folder of tables")
    command.add_argument("--out", metavar="FILE", required=True, help="where the log goes (JSON lines)")
    command.add_argument("--n", metavar="N", type=int, default=500, help="how many questions (default 500)")
    command.add_argument("--facts", metavar="N", type=int, default=12, help="facts shown with each (default 12)")
    command.add_argument("--kinds", metavar="KIND", nargs="+", default=[], help="kinds of questions (default: all)")
    command.add_argument("--seed", metavar="N", type=int, default=0, help="seed of what is drawn (default 0)")


def _questions(options: argparse.Namespace) -> None:
    import numpy as np

    from workbench.kg import load_graph
    from workbench.kg.asked_log import log_of
    from workbench.stats.games import whole

    for name in ("n", "facts"):
        whole(f"--{name}", getattr(options, name), least=1)
    given, out = load_graph(options.graph), typed(options.out)
    check_outputs({"--out": out}, reads=given.files)
    how = {"facts": options.facts, "kinds": options.kinds, "rng": np.random.default_rng(options.seed)}
    records = list(log_of(given.graph, options.n, **how))
    if not records:
        raise ValueError(f"{options.graph} gives no question of these kinds; ask for others with --kinds")
    atomic_write_text(out, "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in records))
    for kind, count in Counter(one["kind"] for one in records).items():
        say(f"{count:>7,}  {kind}")
    few = "" if len(records) == options.n else f" of the {options.n:,} asked for: the graph gives no more"
    say(f"{len(records):,} questions{few}; explain them by: workbench explain {options.out} --decision record ...")


NOTE = "sweep.json"  # beside the results: what they were made from


def add_sweep(declare: Callable[..., argparse.ArgumentParser]) -> None:
    sweep = declare("sweep", _sweep, "do many explanations or runs over a grid of values")
    sweep.add_argument("grid", metavar="GRID", help="a YAML or JSON file; see the help of workbench.hands.sweep")
    sweep.add_argument("--out", metavar="D", required=True, help="folder for the results, made when missing")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786")
    sweep.add_argument("--workers", metavar="N", type=int, help="workers of this machine (default: one a core)")
    sweep.add_argument("--retry", action="store_true", help="try again what failed before")
    sweep.add_argument("--dry-run", action="store_true", help="check the grid, say how much there is to do, and stop")


def _sweep(options: argparse.Namespace) -> int:
    from workbench.artifacts.lock import run_lock
    from workbench.artifacts.provenance import package_versions
    from workbench.hands.headless.watch import writable
    from workbench.hands.sweep.grid import read_grid
    from workbench.hands.sweep.results import PARQUET, ROWS, Results

    file, out = typed(options.grid), typed(options.out)
    grid = read_grid(file)
    for name in (ROWS, PARQUET, NOTE):
        check_outputs({"--out": out / name}, reads=[file])
    batches = _planned(grid, out)
    ids = [task.id for batch in batches for task in batch.tasks]
    with writable(out, option="--out"), run_lock(out, option="--out"):
        results = Results(out)
        done = results.finished(retry=options.retry)
        left = [rest for batch in batches if (rest := batch.only(lambda task: task.id not in done)).tasks]
        count = sum(len(batch.tasks) for batch in left)
        say(f"{grid.file}: {len(ids):,} tasks, {len(ids) - count:,} done before, {count:,} to do")
        if options.dry_run:
            return DONE
        try:
            spent = _swept(options, grid, results, left, Spent(count)) if left else {}
        finally:
            table = results.write(ids)
        failed = sum(results.rows[i]["status"] == "failed" for i in ids)
        # beside the results: the grid as it was read, versions, and what this part of the work cost
        note = {"grid": dict(grid.values), "versions": package_versions(), "spent": spent}
        atomic_write_json(out / NOTE, note)
    say(f"{len(ids) - failed:,} of {len(ids):,} done, {failed:,} failed; the results are in {os.path.relpath(table)}")
    if failed:
        say("what failed says why in the column `error`; --retry tries it again")
    return FAILED if failed else DONE


def _planned(grid: Grid, out: Path) -> list[Batch]:
    if grid.what == "chain":
        from workbench.hands.sweep.chain_runs import plan_runs

        return plan_runs(grid, out)
    from workbench.hands.sweep.explaining import plan_explanations

    return plan_explanations(grid)


@dataclass
class Spent:
    """What a sweep cost. seconds: from the first batch handed out to the last row; busy, loading: of all workers."""

    total: int
    tasks: int = 0
    failed: int = 0
    batches: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    loading: float = 0.0

    def tell(self) -> None:
        """How far it is, and how long the rest will take at the mean pace so far."""
        from workbench.hands.headless.watch import Event, clock

        left = self.seconds / self.tasks * (self.total - self.tasks)
        words = [f"{self.tasks:,} of {self.total:,}", *([f"{self.failed:,} failed"] if self.failed else [])]
        words += [f"{clock(self.seconds)} spent", f"about {clock(left)} left"]
        fields = {"done": self.tasks, "total": self.total, "failed": self.failed, "seconds": round(self.seconds, 1)}
        tell(Event("progress", ", ".join(words), fields | {"left_seconds": left}))


def _swept(
    options: argparse.Namespace, grid: Grid, results: Results, left: list[Batch], spent: Spent
) -> dict[str, Any]:
    """Does what is left; the rows of a batch are on the disk before another is handed out in its place. What it cost;
    `overhead`: seconds of a worker a task that went into neither tasks nor loading."""
    from workbench.hands.headless.kernel import signals_as_exceptions
    from workbench.hands.sweep.results import rows_of
    from workbench.hands.sweep.tasks import answers, connected

    where, workers = {"workers": options.workers, "resources": grid.resources}, set[str]()
    with (
        signals_as_exceptions(),
        connected(options.scheduler, **where, say=say) as client,
        closing(answers(client, left, grid.resources)) as coming,
    ):
        started = time.perf_counter()
        for batch, answer in coming:
            rows = rows_of(batch, answer)
            results.add(rows)
            workers |= {row["worker"] for row in rows if row["worker"]}
            spent.tasks += len(rows)
            spent.failed += sum(bool(row["error"]) for row in rows)
            spent.batches += 1
            spent.busy += answer["seconds"]
            spent.loading += answer["loading"]
            spent.seconds = time.perf_counter() - started
            spent.tell()
    idle = spent.seconds * max(len(workers), 1) - spent.busy
    return asdict(spent) | {"workers": len(workers), "overhead": idle / spent.tasks if spent.tasks else None}
