"""What the tests of importers share: reference data, files written, a registry imported, its ports, its findings."""

import json
import os
from pathlib import Path
from typing import Any

import networkx as nx

from workbench.kg import check_graph
from workbench.kg.importers import IMPORTERS, Options, Report, assemble
from workbench.kg.importers.mapping import Words, words

SHARED = Path(os.environ.get("WORKBENCH_SHARED") or Path(__file__).resolve().parents[2] / "shared")
"""Reference data, where there is any."""
DATA = Path(__file__).parent / "data"


def imported(name: str, path: Path, mapping: Any = None) -> tuple[nx.MultiDiGraph, Report]:
    """The checked graph of what an importer reads, and its report."""
    note, meaning = Report(), mapping if isinstance(mapping, Words) else words(mapping)
    graph = assemble(IMPORTERS[name](path, note, Options(mapping=meaning)), note=note, schema=meaning.schema)
    check_graph(graph)
    return graph, note


def ports(graph: nx.MultiDiGraph, command: str, relation: str) -> dict[str, list[int]]:
    """Format or data -> port numbers of one side of a command."""
    if relation.startswith("input"):
        return {h: a["ports"] for h, _, k, a in graph.in_edges(command, keys=True, data=True) if k == relation}
    return {t: a["ports"] for _, t, k, a in graph.out_edges(command, keys=True, data=True) if k == relation}


def rules(note: Report) -> set[str]:
    """The rules of all findings."""
    return {line.rule for line in note.lines}


def write(path: Path, value: Any) -> Path:
    """A file of bytes, of a text, or of anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = value if isinstance(value, str | bytes) else json.dumps(value)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
