"""Exit codes of the command line: what a script may conclude from each."""

from __future__ import annotations

import errno
import traceback

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
