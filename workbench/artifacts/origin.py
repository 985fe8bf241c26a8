"""Where a number comes from besides its inputs: the code that ran, and the machine it ran on; commands as one types
them here."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from workbench.artifacts.files import sha256_file

PACKAGE_FOLDER = Path(__file__).parent.parent
GIT_SECONDS = 10.0  # a revision is good to have, not worth waiting for


def code_state() -> dict[str, Any]:
    """The code that runs now.

    Returns:
        `revision`: commit of the checkout that tracks this package, None outside one; `edited`: whether its files
        differ from that commit, None outside one; `package_sha256`: over all sources of the package;
        `sources`: relative path -> SHA-256 of the modules loaded in this process.
    """
    return {
        **git_state(PACKAGE_FOLDER),
        "package_sha256": sources_digest(PACKAGE_FOLDER),
        "sources": {name: sha256_file(PACKAGE_FOLDER / name) for name in loaded_sources()},
    }


def loaded_sources() -> list[str]:
    """Relative paths of the modules of this package that are loaded, sorted."""
    ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "workbench"]
    paths = {Path(file).resolve() for module in ours if (file := getattr(module, "__file__", None))}
    root = PACKAGE_FOLDER.resolve()
    return sorted(p.relative_to(root).as_posix() for p in paths if p.is_relative_to(root) and p.is_file())


def source_changes(recorded: Mapping[str, str]) -> list[str]:
    """Which of the recorded sources (path -> SHA-256) are different now or gone; paths relative to the package."""
    paths = {name: PACKAGE_FOLDER / name for name in recorded}
    return [name for name, path in paths.items() if not path.is_file() or sha256_file(path) != recorded[name]]


def sources_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all Python files below a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        total.update(f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    return total.hexdigest()


def git_state(folder: Path) -> dict[str, Any]:
    """`revision` and `edited` of the git checkout that tracks `folder`; both None where there is none.

    A package installed below someone's project is in a checkout too, but not of it: its files are not tracked.
    """
    nothing = {"revision": None, "edited": None}
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return nothing
    revision, edits = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "--", ".")
    return {"revision": revision, "edited": None if edits is None else bool(edits)} if revision else nothing


def _git(folder: Path, *words: str) -> str | None:
    """What git prints, stripped; None where it fails. Nothing that the checkout's settings name is run."""
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, env=quiet)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine_state() -> dict[str, Any]:
    """The machine and how much of it was used: `processor`, `threads` of torch, `peak_bytes` of memory so far."""
    torch = sys.modules.get("torch")  # loading it to ask would cost more than the answer is worth
    return {
        "processor": processor_name(),
        "threads": torch.get_num_threads() if torch else None,
        "peak_bytes": peak_bytes(),
    }


@functools.cache
def processor_name() -> str:
    """Model name of the processor: on another one the last digits of a sum may differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def peak_bytes() -> int:
    """The most memory this process has held at once, bytes.

    On Linux its own count is read: what `getrusage` says begins with what the process held that started it.
    """
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


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
