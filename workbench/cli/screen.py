"""What the command line prints: lines, progress, tables, errors; for people, or one JSON object a line."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.headless.watch import Event

LONG_ROW, FEW_ROWS = 8, 4  # columns and rows of a table that is turned on its side
LOGGED_SECONDS = 30.0  # between two lines of progress where there is no terminal to draw over


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


def say(line: str) -> None:
    """A line of the course of work; nothing with --quiet."""
    _write("note", line, {})


def tell(event: Event) -> None:
    """What the chain tells: lines, and progress that is drawn over where there is a terminal."""
    if event.name == "progress" and not manner.as_json:
        _progress(event.line)
    else:
        _write(event.name, event.line, event.fields)


def _write(name: str, line: str, fields: Mapping[str, Any]) -> None:
    if manner.as_json:
        _write_json(name, line, fields)
    elif not manner.quiet:
        _clear()
        print(line, flush=True)


def _write_json(name: str, line: str, fields: Mapping[str, Any], stream: Any = None) -> None:
    if manner.quiet and name != "error":
        return
    record = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, "message": line, **fields}
    print(json.dumps(record, ensure_ascii=True), flush=True, file=stream)


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
    """Rows of plain values as a table; of few long rows, each is a column."""
    from rich.table import Table

    cells = [(name, *(plain(row[name]) for row in rows)) for name in rows[0]]
    head, *body = cells if len(cells) > LONG_ROW and len(rows) <= FEW_ROWS else zip(*cells, strict=True)
    table = Table(*head, title=title)
    for line in body:
        table.add_row(*line)
    draw(table)


def draw(what: Any) -> None:
    """A line, table or tree of rich, as the result of a command; printed with --quiet too. Lines are not broken."""
    from rich.console import Console
    from rich.text import Text

    _clear()
    Console().print(what, soft_wrap=isinstance(what, Text))


def answer(document: Any) -> None:
    """The result of a command as JSON, printed in whatever manner."""
    _clear()
    print(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False), flush=True)


def printable(text: str) -> str:
    """What is recorded or typed is data, never a command to the terminal."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text)


def plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def complain(message: str, *, code: int) -> None:
    """An error, on one line of stderr."""
    line = printable(" ".join(message.split()))
    if manner.as_json:
        _write_json("error", line, {"exit_code": code}, sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    _clear()
    Console(stderr=True).print(Text(line, style="red"), soft_wrap=True)
