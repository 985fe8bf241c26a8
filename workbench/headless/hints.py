"""What to do about a run that failed: one sentence for each way in which it can."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from papermill.exceptions import PapermillExecutionError

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


class FolderError(OSError):
    """The run folder cannot be written; the message says why and what to do."""


def hint_for(error: PapermillExecutionError) -> str:
    """What to do about an error that a cell raised."""
    if error.ename == "OutOfMemoryError":
        return HINTS["gpu"]
    told = NUMBER.search(str(error.evalue))  # of Python's own errors, and of those of libraries in Rust
    number = int(told[1] or told[2]) if told else None
    return _hint_of(number) or HINTS["error"]


def _hint_of(number: int | None) -> str | None:
    return HINTS["full"] if number in FULL else HINTS["denied"] if number in DENIED else None


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn an error of the file system below the block into a FolderError that says what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FolderError) or error.errno is None or type(error).__module__ != "builtins":
            raise
        place = error.filename or folder
        hint = _hint_of(error.errno) or "Check the folder, then give the same command again."
        raise FolderError(f"{one_line(str(place))} cannot be written: {os.strerror(error.errno)}. {hint}") from error


def one_line(text: str, limit: int = 600) -> str:
    """`text` without line ends and control characters, and not too long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split()).rstrip(".: ")
    return line if len(line) <= limit else f"{line[:limit]}... ({len(line):,} characters)"
