"""The chain: the four notebooks in order, headless, each in a fresh kernel of this very interpreter.

The kernel's working directory is the caller's, so a relative path given as a parameter means what it means in the
caller's shell. Executed copies go to `<run_dir>/notebooks/`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from workbench.executed import PARTIAL, copy_path, finish_copy, is_executed, where_it_stopped
from workbench.kernel import own_kernel
from workbench.lock import run_lock
from workbench.parameters import Parameter, Value, assign_parameters, read_parameters
from workbench.runs import STAGES, clear_stage, is_complete

TIMEOUT = 3600.0  # seconds per notebook
START_TIMEOUT = 120  # seconds for a kernel to answer; a cold disk takes its time


class ChainError(RuntimeError):
    """A notebook did not run to its end; the message says which, where, why and what to do."""


class ChainInterrupted(KeyboardInterrupt):
    """A signal stopped the chain; the kernel is gone, finished stages are kept. `signum`: which signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@dataclass(frozen=True)
class Step:
    """One notebook to run, with the parameters for it."""

    stage: str
    notebook: Path
    given: Mapping[str, Value]
    effective: Mapping[str, Value] = field(default_factory=dict)  # the defaults, overlaid with what is given

    @property
    def name(self) -> str:
        return self.notebook.stem


def find_notebooks(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the notebooks: `folder`, else beside the package (a source checkout), else `./notebooks`.

    Raises:
        FileNotFoundError: none of them holds the first notebook.
    """
    beside = Path(__file__).resolve().parent.parent / "notebooks"
    places = [Path(folder)] if folder is not None else list(dict.fromkeys([beside, Path("notebooks").resolve()]))
    for place in places:
        if all((place / f"{name}.ipynb").is_file() for name in STAGES.values()):
            return place
    wanted = ", ".join(f"{name}.ipynb" for name in STAGES.values())
    raise FileNotFoundError(f"no notebooks in {' or '.join(map(str, places))}; looked for {wanted}. Give --notebooks.")


def plan(notebooks: Path, run_dir: Path, parameters: Mapping[str, Value]) -> list[Step]:
    """The steps with their parameters checked; `run_dir` goes to every notebook that knows it.

    Raises:
        FileNotFoundError: a notebook is missing.
        ParameterError: an unknown name or a wrong type.
    """
    declared: dict[str, dict[str, Parameter]] = {}
    for name in STAGES.values():
        declared[name] = read_parameters(notebooks / f"{name}.ipynb")
    handed = assign_parameters(parameters, declared)
    steps = []
    for stage, name in STAGES.items():
        given = dict(handed[name])
        if "run_dir" in declared[name]:
            given["run_dir"] = str(run_dir)
        defaults = {known: parameter.default for known, parameter in declared[name].items()}
        steps.append(Step(stage, notebooks / f"{name}.ipynb", given, {**defaults, **given}))
    return steps


def run_chain(
    run_dir: str | os.PathLike[str],
    *,
    parameters: Mapping[str, Value] | None = None,
    notebooks: str | os.PathLike[str] | None = None,
    timeout: float | None = TIMEOUT,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Run the notebooks in order and return the paths of their executed copies.

    Args:
        run_dir: run folder, made when missing.
        parameters: name -> value, each handed to the notebooks that know the name.
        notebooks: folder of the notebooks; see `find_notebooks`.
        timeout: seconds for each notebook; None for no limit.
        resume: keep the stages that are finished and unchanged, up to the first that is not.
        say: takes one line of progress at a time.

    Raises:
        ParameterError, FileNotFoundError: before anything runs.
        RunLocked: another process runs in this folder.
        ChainError: a notebook failed.
        ChainInterrupted: SIGINT, SIGTERM or SIGHUP arrived.
    """
    folder = Path(run_dir).expanduser().resolve()
    steps = plan(find_notebooks(notebooks), folder, parameters or {})
    with run_lock(folder):
        done = _finished(folder, steps) if resume else 0
        _forget(folder, steps[done:], checkpoints=not resume)
        for number, step in enumerate(steps, start=1):
            if number <= done:
                say(f"[{number}/{len(steps)}] {step.name}: finished before, kept")
            else:
                say(f"[{number}/{len(steps)}] {step.name}")
                _run_step(folder, step, timeout, label=f"{number}/{len(steps)} {step.name}")
    return [copy_path(folder, step.name) for step in steps]


def _finished(run_dir: Path, steps: list[Step]) -> int:
    """How many steps from the first on need not run again."""
    for count, step in enumerate(steps):
        executed = is_executed(run_dir / step.stage, step.notebook, step.effective)
        if not (executed and is_complete(run_dir, step.stage)):
            return count
    return len(steps)


def _forget(run_dir: Path, steps: list[Step], *, checkpoints: bool) -> None:
    """Take away executed copies that are about to be made again, so that a report never mixes two runs."""
    (run_dir / "report.html").unlink(missing_ok=True)
    for step in steps:
        copy_path(run_dir, step.name).unlink(missing_ok=True)
        if checkpoints:
            clear_stage(run_dir, step.stage)


def _run_step(run_dir: Path, step: Step, timeout: float | None, *, label: str) -> None:
    partial = copy_path(run_dir, step.name, PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        with own_kernel(), _signals_as_exceptions():
            executed = _execute(step, partial, timeout, label)
    except PapermillExecutionError as error:
        raise ChainError(_message(step, partial, f"{error.ename}: {error.evalue}", _HINTS["error"])) from error
    except CellTimeoutError as error:
        spent = f"stopped after {time.monotonic() - started:.0f} s (time-out {timeout:g} s for a notebook)"
        raise ChainError(_message(step, partial, spent, _HINTS["time"])) from error
    except DeadKernelError as error:
        raise ChainError(_message(step, partial, "the kernel died", _HINTS["dead"])) from error
    except (NoSuchKernel, RuntimeError) as error:
        raise ChainError(_message(step, partial, f"no kernel could be started: {error}", _HINTS["start"])) from error
    if not is_complete(run_dir, step.stage):
        raise ChainError(
            f"{step.name} ran to its end but left no valid manifest in {run_dir / step.stage}; "
            "its last cells must call runs.write_manifest."
        )
    finish_copy(run_dir / step.stage, step.notebook, executed, step.effective)


def _execute(step: Step, output: Path, timeout: float | None, label: str) -> nbformat.NotebookNode:
    deadline = None if timeout is None else time.monotonic() + timeout

    def seconds_left(_cell: Any) -> float | None:
        return None if deadline is None else max(deadline - time.monotonic(), 0.01)  # 0 would mean no limit

    return papermill.execute_notebook(
        _verbatim(step.notebook),
        _verbatim(output),
        parameters=dict(step.given),
        kernel_name="python3",
        language="python",
        progress_bar={"desc": label, "leave": False},
        start_timeout=START_TIMEOUT,
        timeout_func=seconds_left,
        store_widget_state=False,  # a plotly widget would add 5 MB to the copy
        shutdown_kernel="immediate",
    )


def _verbatim(path: Path) -> str:
    """papermill fills `{name}` in paths with parameters; doubled braces stand for themselves."""
    return str(path).replace("{", "{{").replace("}", "}}")


_HINTS = {
    "error": "Its traceback is in {partial}. Mend the cause, then run again with --resume.",
    "time": "Give more with --timeout SECONDS, or less work with -p, then run again with --resume.",
    "dead": "Most often the memory ran out: give smaller sizes with -p or a smaller --model, run again with --resume.",
    "start": "Check that this Python has ipykernel below 7: {python} -m pip install 'ipykernel<7'.",
}


def _message(step: Step, partial: Path, what: str, hint: str) -> str:
    where = where_it_stopped(partial)
    place = f"{step.name}, {where}" if where else step.name
    return f"{place}: {_one_line(what)}. {hint.format(partial=partial, python=sys.executable)}"


def _one_line(text: str, limit: int = 600) -> str:
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split()).rstrip(".: ")
    return line if len(line) <= limit else f"{line[:limit]}... ({len(line):,} characters)"


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Raise ChainInterrupted where a signal would end the process, so that the kernel is stopped on the way out."""

    def interrupt(signum: int, _frame: Any) -> None:
        raise ChainInterrupted(signum)

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
