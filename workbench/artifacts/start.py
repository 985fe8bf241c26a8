"""How the package is started: what a process that is its own, a command or a kernel of a chain, sets at its start, and
commands as one types them here."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "lora-workbench"  # as pyproject.toml names it; `workbench` is another project's on the package index
CHECKOUT = Path(__file__).resolve().parent.parent.parent


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


def this_command() -> str:
    """The command line of this package as one types it here: `workbench` where that is found, else by its path, since
    environments are often not activated; through this Python where no script was installed."""
    script, found = Path(sys.executable).with_name("workbench"), shutil.which("workbench")
    if found and Path(found).absolute() == script:
        return "workbench"
    program, words = (script, "") if script.is_file() else (Path(sys.executable), " -m workbench")
    here = os.path.relpath(program)
    return f"{program if here.startswith(os.pardir) else here}{words}"


def install_command(extra: str) -> str:
    """The command that installs an extra of pyproject.toml into this Python, as one would type it.

    In a checkout it installs the checkout again, with the extra. A wheel is on no index, so its name would fetch
    nothing, or what someone else has put there: then the packages of the extra are named themselves.
    """
    pip = [sys.executable, "-m", "pip", "install"]
    if (CHECKOUT / "pyproject.toml").is_file():
        return shlex.join([*pip, "--editable", f"{CHECKOUT}[{extra}]"])
    from packaging.requirements import Requirement  # no start waits for it

    needed = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or []]
    wanted = [one for one in needed if one.marker and one.marker.evaluate({"extra": extra})]
    return shlex.join([*pip, *(str(one).partition(";")[0] for one in wanted)])
