"""What is not installed with the package unless it is asked for: how to get it here."""

from __future__ import annotations

import shlex
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

DISTRIBUTION = "lora-workbench"  # as pyproject.toml names it; `workbench` is another project's on the package index
CHECKOUT = Path(__file__).resolve().parent.parent


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
