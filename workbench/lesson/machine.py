"""Whether this machine is fit for the lesson, in one call: versions, memory, models at hand, state of the run."""

from __future__ import annotations

import os
import platform

import pandas as pd
import psutil

from workbench.artifacts import cache
from workbench.artifacts.origin import PACKAGE_FOLDER
from workbench.artifacts.provenance import package_versions
from workbench.artifacts.runs import STAGES, MissingStage, require_stage
from workbench.bench import machine
from workbench.version import __version__

NEEDED = 2.0  # GB that the reader's notebooks take at most, beside the browser


def environment(run_dir: str | os.PathLike[str]) -> pd.DataFrame:
    """One row a thing, with `state` and `to do`, empty where nothing is to be done. No model is loaded."""
    here, free = machine(), psutil.virtual_memory().available / 1e9
    close = "" if free >= NEEDED else f"close other programs: {NEEDED:g} GB should be free"
    rows = [
        ("workbench", f"{__version__}, Python {platform.python_version()}", ""),
        ("packages", *_packages()),
        ("memory", f"{free:.1f} of {here['memory_bytes'] / 1e9:.1f} GB free", close),
        ("processor", f"{here['cores']} cores, {here['processor']}", ""),
        *_models(),
        *((f"run: {name}", *_stage(run_dir, stage)) for stage, name in STAGES.items()),
    ]
    return pd.DataFrame(rows, columns=["what", "state", "to do"]).set_index("what")


def _packages() -> tuple[str, str]:
    """The versions that can change a number, and which packages are missing."""
    versions = package_versions()
    missing = [name for name, version in versions.items() if version == "not installed"]
    told = ", ".join(f"{name} {versions[name]}" for name in versions if name not in missing)
    return told, f"install {', '.join(missing)}" if missing else ""


def _models() -> list[tuple[str, str, str]]:
    """The named models: in the package, in the cache, or still to be fetched."""
    reader, fetched = PACKAGE_FOLDER / "data" / "reader", cache.folder_of("smollm2")
    here = fetched.is_dir()
    made = "in the cache" if here else "not fetched"
    return [
        ("model: reader", f"in the package, {cache.size_of(reader) / 1e6:.0f} MB", ""),
        ("model: smollm2", made, "" if here else "only if you want it: `workbench models fetch`"),
    ]


def _stage(run_dir: str | os.PathLike[str], stage: str) -> tuple[str, str]:
    try:
        require_stage(run_dir, stage)
    except MissingStage as problem:
        return "not finished", str(problem)
    return "finished", ""
