"""Where a figure of the report comes from, as a fold-out beside it and a record of its whole stage."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from workbench.artifacts.files import MANIFEST

SHORT = 12  # hex digits of a digest that identify it among those of a run


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


def figure_note(stage: str, manifest: Mapping[str, Any], *, notebook: str, cell: int, section: str) -> str:
    """A fold-out for one figure: the cell that drew it, and in short what its stage was made from."""
    rows = {
        "drawn by": f"{notebook}, cell {cell}" + (f", under “{section}”" if section else ""),
        "seed": manifest.get("seed"),
        "made from": "; ".join(input_line(name, one) for name, one in manifest["inputs"].items()) or "nothing else",
        "device": manifest.get("device"),
        "code": code_line(manifest),
        "finished": manifest.get("finished"),
    }
    link = f'<p><a href="#origin-{stage}">everything that is recorded of this stage</a></p>'
    return _fold("where this comes from", _rows(rows) + link)


def stage_record(stage: str, manifest: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """A fold-out with all that is recorded of a stage but its metrics, which the page shows already."""
    machine, code = manifest.get("machine", {}), manifest.get("code", {})
    made = {"seed": manifest.get("seed"), "device": manifest.get("device"), **machine}
    made |= {"Python": f"{manifest.get('python')}, {manifest.get('platform')}", "code": code_line(manifest)}
    made |= {"sources of the package": code.get("package_sha256"), "notebook": origin.get("source_sha256")}
    parameters = origin.get("parameters") or manifest.get("config", {})
    parts = {
        "made": made,
        "parameters": parameters if isinstance(parameters, Mapping) else {},
        "inputs": {name: input_line(name, one).partition(": ")[2] for name, one in manifest["inputs"].items()},
        "versions": manifest.get("packages", {}),
        "files": {name: digest[:SHORT] for name, digest in list(manifest["files"].items())[:30]},
    }
    tables = "".join(f"<h4>{title}</h4>{_rows(rows)}" for title, rows in parts.items() if rows)
    more = len(manifest["files"]) - 30
    tables += f"<p>{more} more files are listed in {stage}/{MANIFEST}.</p>" if more > 0 else ""
    return f'<div id="origin-{stage}">{_fold("where these numbers come from", tables)}</div>'


def _fold(title: str, inner: str) -> str:
    return f'<details class="origin"><summary>{title}</summary>{inner}</details>'


def _rows(rows: Mapping[str, Any]) -> str:
    cells = (f"<tr><th>{html.escape(str(n))}</th><td>{html.escape(str(v))}</td></tr>" for n, v in rows.items())
    return f"<table>{''.join(cells)}</table>"
