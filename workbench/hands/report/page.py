"""The report's file: whether it is whole and tells of what lies in the run folder now."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from workbench.artifacts.files import MANIFEST, sha256_file
from workbench.artifacts.stage import stage_folder, stages
from workbench.artifacts.steps import REPORT, copy_path

SEAL = re.compile(rb"\n<!-- made from ([0-9a-f]{64}), sha256 ([0-9a-f]{64}) -->\n\Z")
STATIC = Path(__file__).parent / "static"


def made_from(run_dir: str | os.PathLike[str]) -> str:
    """SHA-256 over what a report is made from: manifests, executed copies, and this folder, which writes it."""
    total = hashlib.sha256()
    made = stages(run_dir)
    paths = [stage_folder(run_dir, stage) / MANIFEST for stage in made]
    paths += [copy_path(Path(run_dir), name) for name in made.values()]
    paths += sorted(path for path in STATIC.parent.rglob("*") if path.suffix in (".py", ".html", ".css", ".js"))
    for path in paths:
        total.update(sha256_file(path).encode() if path.is_file() else b"none")
    return total.hexdigest()


def sealed(page: str, run_dir: str | os.PathLike[str]) -> str:
    """The page with a last line that says what it was made from and what it was."""
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()
    return f"{page}\n<!-- made from {made_from(run_dir)}, sha256 {digest} -->\n"


def report_state(run_dir: str | os.PathLike[str]) -> str | None:
    """What is wrong with a run's report, in words; None when it is whole and up to date."""
    path = Path(run_dir) / REPORT
    try:
        content = path.read_bytes()
    except OSError:
        return f"{path} is not there"
    seal = SEAL.search(content)
    if not seal or hashlib.sha256(content[: seal.start()]).hexdigest().encode() != seal[2]:
        return f"{path} was changed"
    return None if seal[1].decode() == made_from(run_dir) else f"{path} tells of another state of the run"
