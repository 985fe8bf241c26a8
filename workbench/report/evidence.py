"""Where the figures of a report come from: a line beside each, and a record of its whole stage."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from workbench.artifacts.files import MANIFEST

SHORT = 12  # hex digits of a digest that identify it among those of a run
FILES = 30  # of a stage that are listed


def code_line(manifest: Mapping[str, Any]) -> str:
    """The code that made a stage, in words: git revision, else version and digest of the sources."""
    code = manifest.get("code", {})
    version = f"workbench {manifest.get('workbench')}"
    sources = f"sources {str(code.get('package_sha256', 'not recorded'))[:SHORT]}"
    if not code.get("revision"):
        return f"{version}, {sources}"
    edited = ", with changes not committed" if code.get("edited") else ""
    return f"{version}, revision {str(code['revision'])[:SHORT]}{edited}, {sources}"


def input_line(name: str, recorded: Mapping[str, str]) -> str:
    """One input in words: its path and digest, or its identifier and revision."""
    if "sha256" in recorded:
        return f"{name}: {recorded['path']} {recorded['sha256'][:SHORT]}"
    revision = f" at {recorded['revision'][:SHORT]}" if recorded.get("revision") else ""
    return f"{name}: {recorded.get('id')}{revision}"


def figure_note(stage: str, *, notebook: str, cell: int, section: str) -> str:
    """A line below one figure, as HTML: the cell that drew it, with a link to the record of its stage."""
    where = html.escape(f"{notebook}, cell {cell}{f', under “{section}”' if section else ''}")
    return f'<p class="origin">{where}; <a href="#origin-{stage}">where this comes from</a></p>'


def stage_record(manifest: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All that is recorded of a stage but its metrics: title -> name -> value."""
    machine, code = manifest.get("machine", {}), manifest.get("code", {})
    made = {"seed": manifest.get("seed"), "device": manifest.get("device"), **machine}
    made |= {"Python": f"{manifest.get('python')}, {manifest.get('platform')}", "code": code_line(manifest)}
    made |= {"sources of the package": code.get("package_sha256"), "notebook": origin.get("source_sha256")}
    parameters = origin.get("parameters") or manifest.get("config", {})
    files = {name: digest[:SHORT] for name, digest in list(manifest["files"].items())[:FILES]}
    if (more := len(manifest["files"]) - FILES) > 0:
        files[f"{more} more"] = f"listed in {MANIFEST}"
    parts = {
        "made": made,
        "parameters": parameters if isinstance(parameters, Mapping) else {},
        "inputs": {name: input_line(name, one).partition(": ")[2] for name, one in manifest["inputs"].items()},
        "versions": manifest.get("packages", {}),
        "files": files,
    }
    return {title: rows for title, rows in parts.items() if rows}
