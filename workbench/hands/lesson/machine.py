"""Whether this machine is fit for the lesson, in one call: versions, memory, models at hand, state of the run."""

from __future__ import annotations

import os
import platform

import pandas as pd
import psutil

from workbench.artifacts import cache
from workbench.artifacts.origin import PACKAGE_FOLDER
from workbench.artifacts.provenance import package_versions
from workbench.artifacts.runs import STAGES, MissingStage, StaleStage, require_stage
from workbench.artifacts.version import __version__
from workbench.hands.bench import machine

TOLD = ("torch", "transformers", "peft", "bitsandbytes")
NEEDED = 2.0  # GB that the reader's notebooks take at most, beside the browser


def environment(run_dir: str | os.PathLike[str]) -> pd.DataFrame:
    """One row a thing, with `state` and `to do`, empty where nothing is to be done. No model is loaded.

    >>> environment("no/such/run").loc["run: 01_build_kg", "state"]
    'not made yet'
    """
    here, free = machine(), psutil.virtual_memory().available / 1e9
    close = "" if free >= NEEDED else f"close other programs: {NEEDED:g} GB should be free"
    rows = [
        ("workbench", f"{__version__}, Python {platform.python_version()}", ""),
        *_packages(),
        ("memory", f"{free:.1f} of {here['memory_bytes'] / 1e9:.1f} GB free", close),
        ("processor", f"{here['cores']} cores, {here['processor']}", ""),
        *_models(),
        *((f"run: {name}", *_stage(run_dir, stage)) for stage, name in STAGES.items()),
    ]
    return pd.DataFrame(rows, columns=["what", "state", "to do"]).set_index("what")


def _packages() -> list[tuple[str, str, str]]:
    """The versions of what trains and reads models, and every package that is missing."""
    found = package_versions()
    missing = [name for name, version in found.items() if version == "not installed"]
    shown = dict.fromkeys([*TOLD, *missing])
    return [(name, found[name], f"install {name}" if name in missing else "") for name in shown]


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
    except StaleStage:
        return "out of date", f"run {STAGES[stage]} again"
    except MissingStage:
        return "not made yet", f"run {STAGES[stage]}"
    return "finished", ""
