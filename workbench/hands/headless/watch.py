"""What a headless run tells while it works: which notebook, which cell, how far its loop is, how long it will take;
and what to do about one that failed, a sentence for each way in which it can.

The kernel draws its progress bars as widgets that nobody sees in a headless run. Their texts pass by as messages; here
they are read, so that the terminal shows the loop that is running and not only the cell.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from workbench.artifacts.runs import RUN_DIR

if TYPE_CHECKING:
    from papermill.exceptions import PapermillExecutionError


ENGINE = "workbench"
LONGEST = 20_000  # characters of a text in which a progress bar is looked for
EVERY_SECONDS = 0.5  # between two reports of one cell
BAR = re.compile(r"(\d+)/(\d+)\s*\[?\s*([\d:]+)\s*(?:<|&lt;)\s*([\d:]+)")
"""`37/1400 [00:10<05:20`, as tqdm writes it, and `37/1400 00:10 < 05:20`, as the Trainer does in notebooks."""


@dataclass(frozen=True)
class Event:
    """Something a run tells. `line` is for people; `fields` are plain JSON, times in seconds."""

    name: str  # `start`, `kept`, `progress`, `finished`, `note`
    line: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Tell = Callable[[Event], object]


@dataclass(frozen=True)
class Loop:
    """How far a loop inside a cell is; `left`: seconds until it ends."""

    done: int
    total: int
    left: float

    @classmethod
    def read(cls, text: str) -> Loop | None:
        """From the text of a progress bar; None where it is none, or says no time yet."""
        found = BAR.search(re.sub(r"<(?!\s*[\d:])[^>]*>", " ", text).replace("\u2007", " "))
        if not found:
            return None
        left = 0
        for part in found[4].split(":"):
            left = left * 60 + int(part or 0)
        return cls(int(found[1]), int(found[2]), float(left))


@dataclass
class Watch:
    """Turns what happens in one notebook into events.

    earlier: seconds that each cell took when the notebook ran before, empty where it did not.
    """

    tell: Tell
    stage: str
    title: str
    cells: int
    earlier: Sequence[float] = ()
    started: float = field(default_factory=time.monotonic)
    cell: int = 0
    cell_started: float = field(default_factory=time.monotonic)
    _last: float = 0.0

    def enter(self, index: int) -> None:
        """A cell begins."""
        self.cell, self.cell_started = index, time.monotonic()
        self._report(None)

    def message(self, message: Mapping[str, Any]) -> None:
        """A message of the kernel; those that hold the text of a progress bar are told, now and then."""
        if loop := Loop.read(_text(message)):
            self._report(loop)

    def left(self, loop: Loop | None) -> float | None:
        """Seconds until the notebook ends, as far as an earlier run tells; else those of the loop, else None."""
        if len(self.earlier) == self.cells:
            spent = time.monotonic() - self.cell_started
            here = loop.left if loop else max(0.0, self.earlier[self.cell] - spent)
            return here + sum(self.earlier[self.cell + 1 :])
        return loop.left if loop else None

    def _report(self, loop: Loop | None) -> None:
        now = time.monotonic()
        if now - self._last < EVERY_SECONDS:
            return
        self._last = now
        left, fields = self.left(loop), {"stage": self.stage, "cell": self.cell + 1, "cells": self.cells}
        words = [self.title, f"cell {self.cell + 1} of {self.cells}"]
        if loop:
            fields |= {"done": loop.done, "total": loop.total}
            words.append(f"{loop.done:,} of {loop.total:,}")
        words.append(f"{clock(now - self.started)} spent")
        if left is not None:
            whole = len(self.earlier) == self.cells
            words.append(f"about {clock(left)} left" + ("" if whole else " in this cell"))
        fields |= {"seconds": round(now - self.started, 1), "left_seconds": left}
        self.tell(Event("progress", ", ".join(words), fields))


def clock(seconds: float) -> str:
    """`48 s`, `3 min 05 s`, `2 h 03 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def cell_seconds(copy: Path) -> list[float]:
    """Seconds that each cell of an executed copy took; empty where there is none that can be read."""
    try:
        cells = nbformat.read(copy, as_version=4).cells
        return [float(cell.metadata.get("papermill", {}).get("duration") or 0.0) for cell in cells]
    except Exception:  # missing, cut off, edited: then nothing is known of earlier times
        return []


def _text(message: Mapping[str, Any]) -> str:
    """The text of a widget or a display, which a progress bar may have written; empty where there is none."""
    kind, data = str(message.get("msg_type", "")), message.get("content", {}).get("data", {})
    text = None
    if kind.startswith("comm"):
        state = data.get("state", {})
        text = state.get("value") if isinstance(state, Mapping) else None
    elif kind in ("display_data", "update_display_data"):
        text = data.get("text/html")
    return text if isinstance(text, str) and len(text) < LONGEST else ""


class WatchedClient(PapermillNotebookClient):
    """Executes cells as papermill does, and shows a `Watch` what passes by."""

    def __init__(self, nb_man: Any, *, watch: Watch, **how: Any) -> None:
        super().__init__(nb_man, **how)
        self.watch = watch

    def execute_cell(self, cell: Any, cell_index: int, *more: Any, **how: Any) -> Any:
        self.watch.enter(cell_index)
        return super().execute_cell(cell, cell_index, *more, **how)

    def process_message(self, message: Any, *more: Any, **how: Any) -> Any:
        self.watch.message(message)
        return super().process_message(message, *more, **how)


class OwnKernel(AsyncKernelManager):
    """Starts this interpreter as the kernel, whatever kernels the user has."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "workbench.hands.headless.kernel", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="chain", language="python")


class WatchedEngine(NBClientEngine):
    """papermill's engine with a `WatchedClient` and an `OwnKernel`; `watch` and `run_dir` are handed through
    `papermill.execute_notebook`.

    The user's start-up files are not read. Sets and dictionaries of text have one order in every such kernel: the same
    run writes the same bytes.
    """

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, watch: Watch, run_dir: Path, start_timeout: int, **how: Any
    ) -> Any:
        for name in ("input_path", "stdout_file", "stderr_file", "execution_timeout"):
            how.pop(name, None)
        own = {"kernel_name": kernel_name, "kernel_manager_class": OwnKernel, "startup_timeout": start_timeout}
        with tempfile.TemporaryDirectory(prefix="workbench-", ignore_cleanup_errors=True) as folder:
            environment = os.environ | {"IPYTHONDIR": folder, "PYTHONHASHSEED": "0", RUN_DIR: str(run_dir)}
            return WatchedClient(nb_man, watch=watch, **own, **how).execute(env=environment)


papermill_engines.register(ENGINE, WatchedEngine)


HINTS = {
    "error": "Its traceback is in {partial}. Mend the cause, then give the same command again.",
    "time": "Give more with --timeout SECONDS, or less work with -p, then run again.",
    "dead": "Most often the memory ran out: give smaller sizes with -p or a smaller --model, then run again.",
    "start": "Check that this Python has ipykernel below 7: {python} -m pip install 'ipykernel<7'.",
    "full": "The disk is full or a quota is used up. Make room, then give the same command again: "
    "what was finished is kept.",
    "denied": "The folder may not be written. Change its permissions or give another --run-dir; what was finished is "
    "kept.",
    "gpu": "The GPU's memory ran out with a single prompt. Take a smaller --model, or shorter answers or prompts, with "
    "-p; then give the same command again.",
}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
NUMBER = re.compile(r"\[Errno (\d+)\]|os error (\d+)")
TORCH_WRITES = re.compile(r"PytorchStreamWriter failed writing|unexpected pos \d+ vs \d+|basic_ios::clear: iostream")
"""What `torch.save` says of a disk that is full; it keeps the number of the error to itself."""


class FolderError(OSError):
    """A folder for results cannot be written; the message says why and what to do."""


def hint_for(error: PapermillExecutionError) -> str:
    """What to do about an error that a cell raised."""
    if error.ename == "OutOfMemoryError":
        return HINTS["gpu"]
    return _hint_of(_number(str(error.evalue))) or HINTS["error"]


def _number(text: str) -> int | None:
    """Number of the error of the system that a text tells of: Python's own, or that of a library in Rust or C++."""
    if TORCH_WRITES.search(text):
        return errno.ENOSPC
    told = NUMBER.search(text)
    return int(told[1] or told[2]) if told else None


def not_written(error: PapermillExecutionError, folder: Path) -> bool:
    """Whether a cell failed since the disk is full, or a place in `folder` may not be written."""
    number, text = _number(str(error.evalue)), str(error.evalue)
    return number in FULL | {errno.EROFS} or (number in DENIED and str(folder) in text)


def _hint_of(number: int | None) -> str | None:
    return HINTS["full"] if number in FULL else HINTS["denied"] if number in DENIED else None


@contextmanager
def writable(folder: Path, *, option: str = "--run-dir") -> Iterator[None]:
    """Turn an error of the file system below the block into a FolderError that says what to do.

    option: of the command line that names the folder.
    """
    try:
        yield
    except OSError as error:
        ours = isinstance(error, FolderError) or error.errno is None or type(error).__module__ != "builtins"
        if ours or isinstance(error, ConnectionError | TimeoutError):  # nothing about files
            raise
        place = error.filename or folder
        hint = _hint_of(error.errno) or "Check the folder, then give the same command again."
        why, hint = os.strerror(error.errno or 0), hint.replace("--run-dir", option)
        raise FolderError(f"{one_line(str(place))} cannot be written: {why}. {hint}") from error


def one_line(text: str, limit: int = 600) -> str:
    """`text` without line ends and control characters, and not too long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split()).rstrip(".: ")
    return line if len(line) <= limit else f"{line[:limit]}... ({len(line):,} characters)"
