"""What a process that belongs to the workbench alone, a command or a kernel of a chain, sets at its start."""

import gc
import sys


def own_process() -> None:
    """Makes what follows in this process start faster. Not for a process of somebody else's, who may want it otherwise.

    Examples:
        >>> own_process()
        >>> gc.get_threshold()[2] >= 100
        True
    """
    # Imports make a million objects that stay. Python looks through all of them at every tenth collection of younger
    # ones, which takes a fifth of a start; at every hundredth it takes none. What is young is collected as ever.
    gc.set_threshold(*gc.get_threshold()[:2], 100)
    # jsonschema, which comes with all that reads notebooks, compiles a grammar of addresses for two seconds where this
    # package is installed. No schema of a notebook asks for one, and it does without what cannot be imported.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
