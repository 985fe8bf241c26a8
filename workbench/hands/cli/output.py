"""What the command line gives back: lines, progress, tables, errors, for people or one JSON object a line; and an exit
code, from which a script may conclude."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.hands.headless.watch import Event

LONG_ROW, FEW_ROWS = 8, 4  # columns and rows of a table that is turned on its side
LOGGED_SECONDS = 30.0  # between two lines of progress where there is no terminal to draw over


class OutputError(Exception):
    """Standard output takes no more: its reader has gone (`gone`), or what it is written to is full."""

    def __init__(self, error: OSError) -> None:
        self.gone = isinstance(error, BrokenPipeError)
        why = os.strerror(error.errno or 0)
        super().__init__(f"standard output cannot be written: {why}. What was finished is kept.")


@dataclass
class Manner:
    """How the command line speaks; `main` sets it once from the options."""

    quiet: bool = False
    as_json: bool = False
    drawn: bool = False  # a line of progress stands on the terminal, to be drawn over
    logged: float = -LOGGED_SECONDS  # time of the last line of progress


manner = Manner()


def settle(*, quiet: bool, as_json: bool) -> None:
    """Set how the command line speaks from here on."""
    manner.quiet, manner.as_json, manner.drawn, manner.logged = quiet, as_json, False, -LOGGED_SECONDS


@contextmanager
def _output() -> Iterator[None]:
    """Whatever is printed inside is out at the end. OutputError: it cannot be; from then on nothing is printed."""
    with suppress(OSError):  # stderr may be gone, and stdout still there
        _clear()
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        silence()
        raise OutputError(error) from error


def flush() -> None:
    """See that what was printed is out. OutputError: it cannot be."""
    with _output():
        pass


def silence() -> None:
    """Let standard output lead nowhere, so that the interpreter's end has nothing to complain about."""
    with suppress(OSError, ValueError, AttributeError):  # no real file, as in tests
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(line: str) -> None:
    """A line of the course of work; nothing with --quiet."""
    _write("note", line)


def result(line: str) -> None:
    """A line of what a command was asked for; printed with --quiet too."""
    _write("result", line)


def tell(event: Event) -> None:
    """What the chain tells: lines, and progress that is drawn over where there is a terminal."""
    if event.name == "progress" and not manner.as_json:
        _progress(event.line)
    else:
        _write(event.name, event.line, event.fields)


def _write(name: str, line: str, fields: Mapping[str, Any] | None = None) -> None:
    if name == "result" or not manner.quiet:
        with _output():
            print(_record(name, line, fields or {}) if manner.as_json else line)


def _record(name: str, line: str, fields: Mapping[str, Any]) -> str:
    record = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, "message": line, **fields}
    return json.dumps(record, ensure_ascii=True)


def _progress(line: str) -> None:
    if manner.quiet:
        return
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[2K{line[:width]}", end="", file=sys.stderr, flush=True)
        manner.drawn = True
    elif time.monotonic() - manner.logged >= LOGGED_SECONDS:
        manner.logged = time.monotonic()
        print(line, file=sys.stderr, flush=True)


def _clear() -> None:
    if manner.drawn:
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
        manner.drawn = False


def show(rows: Sequence[dict], *, title: str) -> None:
    """Rows of plain values as a table; of few long rows, each is a column. Columns that do not fit beside each other
    follow below, again with the first."""
    from rich.table import Table

    columns = [(name, *(plain(row[name]) for row in rows)) for name in rows[0]]
    if len(columns) > LONG_ROW and len(rows) <= FEW_ROWS:
        columns = list(zip(*columns, strict=True))
    for part in beside(columns, shutil.get_terminal_size().columns):
        head, *body = zip(*part, strict=True)
        table = Table(*head, title=title)
        for line in body:
            table.add_row(*line)
        draw(table)


def beside(columns: Sequence[Sequence[str]], width: int) -> list[list[Sequence[str]]]:
    """The columns in groups that fit into so many characters, each group led by the first column."""
    first, *rest = columns
    sizes = [max(map(len, column)) + 3 for column in columns]  # a rule, and a blank on either side
    groups, room = [[first]], width - 1 - sizes[0]
    for column, size in zip(rest, sizes[1:], strict=True):
        if size > room and len(groups[-1]) > 1:
            groups.append([first])
            room = width - 1 - sizes[0]
        groups[-1].append(column)
        room -= size
    return groups


def draw(what: Any) -> None:
    """A line, table or tree of rich, as the result of a command; printed with --quiet too. Lines are not broken."""
    from rich.console import Console
    from rich.text import Text

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            raise  # the error at hand, which rich would turn into an exit of its own

    with _output():
        Screen().print(what, soft_wrap=isinstance(what, Text))


def answer(document: Any) -> None:
    """The result of a command as JSON, printed in whatever manner."""
    with _output():
        print(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False))


def printable(text: str) -> str:
    """What is recorded or typed is data, never a command to the terminal."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text)


def plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def complain(message: str, *, code: int) -> None:
    """An error, on one line of stderr; where stderr takes none, the exit code has to do."""
    line = printable(" ".join(message.split()))
    with suppress(OSError):
        _clear()
        if manner.as_json:
            print(_record("error", line, {"exit_code": code}), file=sys.stderr, flush=True)
        else:
            from rich.console import Console
            from rich.text import Text

            Console(stderr=True).print(Text(line, style="red"), soft_wrap=True)


DONE = 0
DIFFERENT = 1  # `verify`: something no longer matches; `diff`: the runs differ
REFUSED = 2  # what was asked for cannot be done as asked; nothing was run
FAILED = 3  # a notebook failed; what was finished before it is kept
IN_USE = 4  # another process works in the run folder
NOT_WRITTEN = 5  # the disk is full, or the folder may not be written; what was finished is kept
PIPE = 13  # the number of SIGPIPE, on systems that have none too: the reader of what was printed has gone
DEFECT = 70  # an error nobody foresaw; please report it
SIGNAL = 128  # and the number of the signal that ended it

BY_NAME = {
    "ChainError": FAILED,
    "NotWritten": NOT_WRITTEN,
    "ModelNotWritten": NOT_WRITTEN,
    "OutputError": NOT_WRITTEN,
    "RunLocked": IN_USE,
    "FolderError": NOT_WRITTEN,
}
"""Name of an error of ours -> exit code; looked up along its base classes, so that nothing need be imported."""


def code_of(error: BaseException) -> int:
    """Exit code for an error that reached the command line."""
    if getattr(error, "gone", False):
        return SIGNAL + PIPE
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return NOT_WRITTEN
    for kind in type(error).__mro__:
        if kind.__module__.startswith("workbench") and kind.__name__ in BY_NAME:
            return BY_NAME[kind.__name__]
    return DEFECT if is_unforeseen(error) else REFUSED


def is_unforeseen(error: BaseException) -> bool:
    """Errors of ours say what to do, and so do ValueErrors that we raise; of others the kind helps to understand."""
    if type(error).__module__.startswith("workbench") or isinstance(error, OSError):
        return False
    raised_in = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return not (isinstance(error, ValueError) and raised_in and raised_in[-1].startswith("workbench"))
