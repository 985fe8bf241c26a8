"""What a result was made from: inputs described by digest, package versions, the code that ran, the machine."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.artifacts.files import MANIFEST, digest_folder, read_object, sha256_file

PACKAGE_FOLDER = Path(__file__).parent.parent
GIT_SECONDS = 10.0  # a revision is good to have, not worth waiting for

Inputs = Mapping[str, str | os.PathLike[str]]
"""Name -> path of a file or folder, or text that is no existing path: an identifier such as a model id."""

RECORDED_PACKAGES = (
    "torch transformers peft bitsandbytes accelerate tokenizers safetensors networkx edam-ontology numpy scipy "
    "scikit-learn"
).split()
"""Distributions whose version can change a number."""

MODEL_ID = re.compile(r"[A-Za-z0-9_-][\w.-]*(/[\w.-]+)?")

LARGE = 8 << 20  # bytes of a file whose digest is remembered within this process
SETTLED_SECONDS = 2.0  # a file younger than this may change again within one tick of its clock
_remembered: dict[tuple[str, int, int, int, int], str] = {}


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


def package_versions() -> dict[str, str]:
    """Installed version of each of `RECORDED_PACKAGES`, or `not installed`."""
    return {name: _version(name) for name in RECORDED_PACKAGES}


@functools.cache  # a package installed anew is another one only to the next process
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def load_manifest(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The manifest in a folder, or None where there is none that can be read."""
    manifest = read_object(Path(folder, MANIFEST))
    return manifest if _is_sound(manifest) else None


def _is_sound(manifest: Mapping[str, Any]) -> bool:
    """Whether what is read without asking has the shape it must have; a manifest may have been edited by anyone."""
    files, inputs, code = manifest.get("files"), manifest.get("inputs"), manifest.get("code", {})
    return (
        _is_texts(files)
        and isinstance(inputs, dict)
        and all(_is_texts(one) and ("path" in one) == ("sha256" in one) for one in inputs.values())
        and isinstance(code, dict)
        and _is_texts(code.get("sources", {}))
        and all(isinstance(manifest.get(name, {}), dict) for name in ("metrics", "packages", "machine", "parameters"))
        and isinstance(manifest.get("seconds", 0), int | float)
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) and "\0" not in text for text in value.values())


def describe_input(run_dir: str | os.PathLike[str], name: str, value: str | os.PathLike[str]) -> dict[str, str]:
    """`{"path", "sha256"}` of a file or folder, or `{"id"}` of an identifier.

    Of a model that was fetched from Hugging Face, `revision` is the commit of the copy on this machine.

    Raises:
        FileNotFoundError: a path object names nothing.
    """
    path = Path(value)
    if not path.exists():
        if isinstance(value, str):
            revision = model_revision(value)
            return {"id": value, "revision": revision} if revision else {"id": value}
        raise FileNotFoundError(f"input {name!r} is {path}, which does not exist; nothing was recorded")
    return {"path": _portable(Path(run_dir), path), "sha256": _digest(path)}


def model_revision(name: str) -> str | None:
    """Commit of the model `name` in the local Hugging Face cache; None where it is not there."""
    if not MODEL_ID.fullmatch(name):
        return None
    from huggingface_hub import try_to_load_from_cache  # a dependency of transformers; slow to import

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent.name if isinstance(found, str) else None


def input_change(run_dir: str | os.PathLike[str], name: str, recorded: Mapping[str, str]) -> str | None:
    """What happened to a recorded input since, in words; None when it is the same."""
    if "sha256" not in recorded:
        now = model_revision(recorded["id"]) if "revision" in recorded and "id" in recorded else None
        if now and now != recorded["revision"]:
            return f"input {name} ({recorded['id']}) is at commit {now[:12]} now, not {recorded['revision'][:12]}"
        return None
    path = _unportable(Path(run_dir), recorded["path"])
    if not path.exists():
        return f"input {name} ({path}) is gone"
    if _digest(path) != recorded["sha256"]:
        return f"input {name} ({path}) is not the one it was made from"
    return None


def _digest(path: Path) -> str:
    """Of a finished stage only what its manifest lists: a picture exported into the folder later changes no result."""
    if not path.is_dir():
        return remembered_digest(path)
    manifest = load_manifest(path)
    return digest_folder(path, only=manifest["files"] if manifest else None, digest=remembered_digest)


def remembered_digest(path: Path) -> str:
    """`sha256_file`, reading a large file once in a process as long as its inode, size and times stay as they are.

    The time of the last change of the inode is among them: no program can set it back.
    """
    state = path.stat()
    if state.st_size < LARGE or time.time() - state.st_ctime < SETTLED_SECONDS:
        return sha256_file(path)
    key = (str(path.resolve()), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    if key not in _remembered:
        _remembered[key] = sha256_file(path)
    return _remembered[key]


def cache_folder() -> Path:
    """The user's cache of this package: `workbench` in XDG_CACHE_HOME or, where that names no folder, in ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given if os.path.isabs(given) else os.path.expanduser("~/.cache")) / "workbench"


def _roots(run_dir: Path) -> tuple[tuple[str, Path], ...]:
    """What paths are named relative to where they lie in one: runs get moved and shared."""
    return ("run:", run_dir), ("package:", PACKAGE_FOLDER), ("cache:", cache_folder())


def _portable(run_dir: Path, path: Path) -> str:
    resolved = path.resolve()
    for prefix, root in _roots(run_dir):
        if resolved.is_relative_to(root.resolve()):
            return prefix + resolved.relative_to(root.resolve()).as_posix()
    return resolved.as_posix()


def _unportable(run_dir: Path, text: str) -> Path:
    for prefix, root in _roots(run_dir):
        if text.startswith(prefix):
            return root / text.removeprefix(prefix)
    return Path(text)
