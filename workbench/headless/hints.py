"""What to do about a run that failed: one sentence for each way in which it can."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
