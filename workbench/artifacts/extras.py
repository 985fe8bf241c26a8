"""Commands as one would type them here: the package's own, and those that install what it goes without."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from workbench.artifacts.origin import PACKAGE_FOLDER

DISTRIBUTION = "lora-workbench"  # as pyproject.toml names it; `workbench` is another project's on the package index
CHECKOUT = PACKAGE_FOLDER.resolve().parent


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
    needed = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or []]
    wanted = [one for one in needed if one.marker and one.marker.evaluate({"extra": extra})]
    return shlex.join([*pip, *(str(one).partition(";")[0] for one in wanted)])
