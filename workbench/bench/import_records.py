"""A small sound record for every importer, what stays sound in a file of many, and the files they are written to."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workbench.bench.mutate import damaged, damaged_bytes

RECORDS = importlib.resources.files("workbench") / "data" / "records"
NFCORE, BIOTOOLS, WORKFLOW, TOOL, COMMAND, TRIPLE = (
    json.loads((RECORDS / f"{name}.json").read_bytes())
    for name in ("nfcore", "biotools", "workflow", "tool", "command", "triple")
)
GALAXY, OWL, TURTLE, GRAPHML = (
    (RECORDS / name).read_bytes() for name in ("galaxy.xml", "edam.owl", "facts.ttl", "facts.graphml")
)

Write = Callable[[Path, int, np.random.Generator], None]


class Fuzz(NamedTuple):
    """How an importer is fuzzed: `write` puts `records` damaged records below a folder; `path` is what is imported.

    intact: a node that a sound record among the damaged ones gives, "" where each file holds one record.
    """

    write: Write
    path: str
    intact: str = ""
    batch: int = 1


def _lines(*sound: tuple[str, Any, Any]) -> Write:
    """JSON lines: damaged records and, last, a sound one under another name. sound: (file, record, change)."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for file, record, change in sound:
            rows = [_dumped(damaged(record, rng), rng) for _ in range(records)]
            rows.append(json.dumps({**record, **change}).encode())
            (folder / file).write_bytes(b"\n".join(rows))

    return write


def _dumped(tree: Any, rng: np.random.Generator) -> bytes:
    """A record as JSON on one line, one in five with damaged bytes as well."""
    line = json.dumps(tree).encode()
    return damaged_bytes(line, rng).replace(b"\n", b" ").replace(b"\r", b" ") if rng.random() < 0.2 else line


def _page(record: Any, change: Any) -> Write:
    """A page of an interface: {"list": [...]}, the sound record among the damaged ones."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        rows = [damaged(record, rng) for _ in range(records)]
        rows.insert(int(rng.integers(records + 1)), {**record, **change})
        (folder / "page.json").write_text(json.dumps({"count": records, "list": rows, "next": None}))

    return write


def _trees(record: Any, name: str) -> Write:
    """A file per record, damaged as a tree and one in five as bytes."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for number in range(records):
            place = folder / name.format(number)
            place.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps(damaged(record, rng)).encode()  # JSON is YAML too
            place.write_bytes(damaged_bytes(content, rng) if rng.random() < 0.2 else content)

    return write


def _texts(content: bytes, name: str) -> Write:
    """A file per record, damaged as bytes."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for number in range(records):
            (folder / name.format(number)).write_bytes(damaged_bytes(content, rng))

    return write


FUZZ: dict[str, Fuzz] = {
    "nfcore": Fuzz(_trees(NFCORE, "m{}/meta.yml"), ".", batch=25),
    "biotools": Fuzz(_page(BIOTOOLS, {"biotoolsID": "intact"}), "page.json", "tool:intact", batch=25),
    "galaxy": Fuzz(_texts(GALAXY, "tool{}.xml"), ".", batch=25),
    "workflow": Fuzz(_trees(WORKFLOW, "w{}.ga"), ".", batch=25),
    "edam": Fuzz(_texts(OWL, "e{}.owl"), ".", batch=25),
    "rdf": Fuzz(_texts(TURTLE, "r{}.ttl"), ".", batch=25),
    "triples": Fuzz(_lines(("t.jsonl", TRIPLE, {"head": "intact"})), "t.jsonl", "command:intact", batch=50),
    "graphml": Fuzz(_texts(GRAPHML, "g{}.graphml"), ".", batch=25),
    "tables": Fuzz(
        _lines(("registry.jsonl", TOOL, {"id": "intact"}), ("components.jsonl", COMMAND, {"id": "galaxy:intact"})),
        ".",
        "command:galaxy:intact",
        batch=25,
    ),
}
