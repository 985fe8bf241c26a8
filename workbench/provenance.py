"""What a result was made from: package versions, and inputs described by digest."""

import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.files import MANIFEST, digest_folder, sha256_file

Inputs = Mapping[str, str | os.PathLike[str]]
"""Name -> path of a file or folder, or text that is no existing path: an identifier such as a model id."""

RECORDED_PACKAGES = (
    "torch transformers peft bitsandbytes accelerate tokenizers safetensors networkx edam-ontology numpy scipy "
    "scikit-learn"
).split()
"""Distributions whose version can change a number."""

PACKAGE_FOLDER = Path(__file__).parent


def package_versions() -> dict[str, str]:
    """Installed version of each of `RECORDED_PACKAGES`, or `not installed`."""
    versions = {}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def load_manifest(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The manifest in a folder, or None where there is none that can be read."""
    try:
        manifest = json.loads(Path(folder, MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    sound = isinstance(manifest, dict) and all(isinstance(manifest.get(key), dict) for key in ("files", "inputs"))
    return manifest if sound else None


def describe_input(run_dir: str | os.PathLike[str], name: str, value: str | os.PathLike[str]) -> dict[str, str]:
    """`{"path", "sha256"}` of a file or folder, or `{"id"}` of an identifier.

    Raises:
        FileNotFoundError: a path object names nothing.
    """
    path = Path(value)
    if not path.exists():
        if isinstance(value, str):
            return {"id": value}
        raise FileNotFoundError(f"input {name!r} is {path}, which does not exist; nothing was recorded")
    return {"path": _portable(Path(run_dir), path), "sha256": _digest(path)}


def input_change(run_dir: str | os.PathLike[str], name: str, recorded: Mapping[str, str]) -> str | None:
    """What happened to a recorded input since, in words; None when it is the same, as identifiers always are."""
    if "sha256" not in recorded:
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
        return sha256_file(path)
    manifest = load_manifest(path)
    return digest_folder(path, only=manifest["files"] if manifest else None)


def _portable(run_dir: Path, path: Path) -> str:
    """Name a path relative to the run or to the package where it lies in one: runs get moved and shared."""
    resolved = path.resolve()
    for prefix, root in (("run:", run_dir.resolve()), ("package:", PACKAGE_FOLDER.resolve())):
        if resolved.is_relative_to(root):
            return prefix + resolved.relative_to(root).as_posix()
    return resolved.as_posix()


def _unportable(run_dir: Path, text: str) -> Path:
    for prefix, root in (("run:", run_dir), ("package:", PACKAGE_FOLDER)):
        if text.startswith(prefix):
            return root / text.removeprefix(prefix)
    return Path(text)
