"""The chain: the four notebooks in order, headless, each in a fresh kernel of this very interpreter.

The kernel's working directory is the caller's, so a relative path given as a parameter means what it means in the
caller's shell. Executed copies go to `<run_dir>/notebooks/`. What an earlier run left is kept where it is whole and was
made from the same parameters, inputs, notebook and code; where it is not, it stays until what replaces it is finished.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from workbench.artifacts.files import check_outputs, is_inside
from workbench.artifacts.lock import run_lock
from workbench.artifacts.parameters import ParameterError, Value
from workbench.artifacts.stage import MissingStage, check_inside, check_stage, check_stage_links, renew, settle
from workbench.artifacts.steps import (
    COPIES,
    PARTIAL,
    REPORT,
    Step,
    copy_path,
    find_notebooks,
    finish_copy,
    plan,
    run_folder,
    where_it_stopped,
    why_again,
)
from workbench.hands.headless.kernel import signals_as_exceptions
from workbench.hands.headless.watch import (
    ENGINE,
    HINTS,
    Event,
    Tell,
    Watch,
    cell_seconds,
    clock,
    hint_for,
    not_written,
    one_line,
    writable,
)

READER, POOL = "reader", 1024  # as `workbench.models` has them, which takes torch with it: seconds of every start

# it warns of `name: str | None` as of an unknown name; names are checked here
logging.getLogger("papermill").setLevel(logging.ERROR)
TIMEOUT = 3600.0  # seconds per notebook
START_TIMEOUT = 120  # seconds for a kernel to answer; a cold disk takes its time


class ChainError(RuntimeError):
    """A notebook did not run to its end; the message says which, where, why and what to do."""


class NotWritten(ChainError):
    """A notebook did not run to its end, since the disk is full or its folder may not be written."""


def run_chain(
    run_dir: str | os.PathLike[str],
    *,
    parameters: Mapping[str, Value] | None = None,
    notebooks: str | os.PathLike[str] | None = None,
    timeout: float | None = TIMEOUT,
    fresh: bool = False,
    say: Callable[[str], object] = print,
    tell: Tell | None = None,
) -> list[Path]:
    """Run the notebooks in order and return the paths of their executed copies.

    A notebook is skipped when what it left is whole and neither its parameters, nor what it was made from, nor the
    notebook, nor the code has changed; one that runs again and leaves the same bytes makes none after it run again.

    Args:
        run_dir: run folder, made when missing.
        parameters: name -> value, each handed to the notebooks that know the name.
        notebooks: folder of the notebooks; see `find_notebooks`.
        timeout: seconds for each notebook; None for no limit.
        fresh: run every notebook; what an earlier run left stays until the new result of its stage is finished.
        say: takes one line at a time.
        tell: takes every event, progress within the notebooks included, in place of `say`.

    Raises:
        ParameterError, ValueError, FileNotFoundError: before anything runs; nothing was touched. ValueError, too, where
            a parameter names a file that the run would make again.
        RunLocked: another process runs in this folder.
        FolderError: the folder cannot be written.
        ChainError: a notebook failed; NotWritten, one of its kind: for want of room or permission.
        Interrupted: SIGINT, SIGTERM or SIGHUP arrived.
    """
    folder = run_folder(run_dir)
    steps = plan(find_notebooks(notebooks), folder, parameters or {})
    texts = (value for value in (parameters or {}).values() if isinstance(value, str) and os.path.exists(value))
    made_again = {f"stage {step.stage}": folder / step.stage for step in steps}
    check_outputs(made_again, reads=[one for one in texts if is_inside(one, folder)])
    tell = tell or (lambda event: None if event.name == "progress" else say(event.line))
    check_first(folder, steps, tell=tell)
    with writable(folder), run_lock(folder, say=lambda line: tell(Event("note", line))):
        for step in steps:
            settle(folder, step.stage)
            if fresh:
                renew(folder, step.stage)
        for number, step in enumerate(steps, start=1):
            _keep_or_run(folder, step, f"[{number}/{len(steps)}] {step.name}", timeout, tell)
    return [copy_path(folder, step.name) for step in steps]


def check_first(run_dir: Path, steps: Sequence[Step], *, tell: Tell) -> None:
    """What must hold beyond the parameters' own rules before anything in the run folder is touched.

    A named model that is not on this machine is fetched; `tell` takes its progress.

    Raises:
        ValueError: a link would lead what is written out of the run folder.
        ParameterError: a table that cannot be read, or a field that the reader has no room for.
        ModelError, AdapterError: a base model or an adapter that cannot be had, or is not whole.
    """
    check_inside(run_dir, run_dir / COPIES)
    for step in steps:
        check_stage_links(run_dir, step.stage)
    for name in sorted({str(step.effective["model"]) for step in steps if "model" in step.effective} - {"reader"}):
        from workbench.models import check_model  # takes torch with it: seconds, and only where a model was chosen

        check_model(name, say=lambda line: tell(Event("progress", line)))
    values = {name: value for step in reversed(steps) for name, value in step.effective.items()}
    if values.get("adapter") is not None:
        from workbench.train.qlora import GivenAdapter

        GivenAdapter.chosen(str(values["adapter"]), str(values["model"]))
    if {"model", "topics", "table"} <= values.keys():
        check_room(values)


def _keep_or_run(run_dir: Path, step: Step, title: str, timeout: float | None, tell: Tell) -> None:
    reasons = why_again(run_dir, step)
    fields = {"stage": step.stage, "notebook": step.name}
    if not reasons:
        tell(Event("kept", f"{title}: finished before, kept", fields))
        return
    first = reasons == ["it was not run yet"]
    tell(Event("start", title if first else f"{title}: {'; '.join(reasons[:3])}", {**fields, "reasons": reasons}))
    earlier = cell_seconds(copy_path(run_dir, step.name))
    started = time.monotonic()
    cells = len(nbformat.read(step.notebook, as_version=4).cells) + 1  # papermill adds the given parameters
    _run_step(run_dir, step, timeout, Watch(tell, step.stage, title, cells, earlier))
    seconds = time.monotonic() - started
    tell(Event("finished", f"{title}: done in {clock(seconds)}", {**fields, "seconds": round(seconds, 1)}))


def _run_step(run_dir: Path, step: Step, timeout: float | None, watch: Watch) -> None:
    partial = copy_path(run_dir, step.name, PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        with signals_as_exceptions():
            executed = _execute(step, run_dir, partial, timeout, watch)
    except PapermillExecutionError as error:
        kind = NotWritten if not_written(error, run_dir) else ChainError
        raise kind(_message(step, partial, f"{error.ename}: {error.evalue}", hint_for(error))) from error
    except CellTimeoutError as error:
        spent = f"stopped after {time.monotonic() - started:.0f} s (time-out {timeout:g} s for a notebook)"
        raise ChainError(_message(step, partial, spent, HINTS["time"])) from error
    except DeadKernelError as error:
        raise ChainError(_message(step, partial, "the kernel died", HINTS["dead"])) from error
    except RuntimeError as error:
        raise ChainError(_message(step, partial, f"no kernel could be started: {error}", HINTS["start"])) from error
    try:
        changes = check_stage(run_dir, step.stage)
    except MissingStage:
        changes = ["none was written"]
    if changes:
        raise ChainError(
            f"{step.name} ran to its end but left no valid manifest in {run_dir / step.stage} ({'; '.join(changes)}); "
            "its last cells must call runs.write_manifest."
        )
    (run_dir / REPORT).unlink(missing_ok=True)  # a report never mixes two runs
    finish_copy(run_dir / step.stage, step.notebook, executed, step.effective)


def _execute(step: Step, run_dir: Path, output: Path, timeout: float | None, watch: Watch) -> nbformat.NotebookNode:
    deadline = None if timeout is None else time.monotonic() + timeout

    def seconds_left(_cell: Any) -> float | None:
        return None if deadline is None else max(deadline - time.monotonic(), 0.01)  # 0 would mean no limit

    return papermill.execute_notebook(
        _verbatim(step.notebook),
        _verbatim(output),
        parameters=dict(step.given),
        engine_name=ENGINE,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=START_TIMEOUT,
        timeout_func=seconds_left,
        store_widget_state=False,  # a plotly widget would add 5 MB to the copy
        shutdown_kernel="immediate",
        watch=watch,
        run_dir=run_dir,
    )


def _verbatim(path: Path) -> str:
    """papermill fills `{name}` in paths with parameters; doubled braces stand for themselves."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _message(step: Step, partial: Path, what: str, hint: str) -> str:
    place = ", ".join(filter(None, [step.name, where_it_stopped(partial)]))
    return f"{place}: {one_line(what)}. {hint.format(partial=partial, python=sys.executable)}"


def check_room(values: Mapping[str, Value]) -> None:
    """Refuse a table that cannot be read, and a field with more names than the reader has tokens.

    values: parameters of the notebooks.

    Raises:
        ParameterError: a broken table, a topic that no tool of the graph has, or more names than tokens.
    """
    from workbench.kg import field, flow_graph, load_graph  # slow to import
    from workbench.kg.table import SHIPPED

    topics, table = list(map(str, values["topics"])), values["table"]  # type: ignore[arg-type]
    try:
        graph = load_graph(None if table is None else str(table)).graph
    except (OSError, ValueError) as error:
        given = "a folder of tables or triples, a graph file, or one that ships"
        absent = table is not None and not Path(str(table)).exists()
        why = f"{table} does not exist; give {given}: {', '.join(SHIPPED)}" if absent else error
        raise ParameterError(f"table: {why}") from error
    try:
        names = len(flow_graph(field(graph, topics)))
    except ValueError as error:
        raise ParameterError(f"topics: {error}") from error
    if values["model"] == READER and names > POOL:
        raise ParameterError(
            f"topics: {', '.join(topics) or 'all of the graph'} has {names:,} names, and the reader has tokens for "
            f"{POOL:,}. Choose topics that have fewer, such as {_smaller(graph)}; or a model that reads any "
            "name, such as --model smollm2"
        )


def _smaller(graph: Any) -> str:
    """Topics of the most tools among those that fit, with their numbers of names."""
    from workbench.kg import field, flow_graph

    tools = Counter(tail for _, tail, key in graph.edges(keys=True) if key == "has_topic")
    sizes = ((topic, len(flow_graph(field(graph, [topic])))) for topic, _ in tools.most_common())
    fitting = islice(((topic, size) for topic, size in sizes if size <= POOL), 3)
    return (
        ", ".join(f"{graph.nodes[topic]['name']} ({size:,})" for topic, size in fitting) or "those of a smaller graph"
    )
