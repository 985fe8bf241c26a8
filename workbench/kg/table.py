"""The table a graph is made from: TSV files, read and checked as a whole.

`read_table` either gives a table that keeps every rule or raises one `TableError` that names the first broken rule.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from workbench.kg.edam import Edam, load_edam
from workbench.kg.port import Port
from workbench.kg.rules import first_error
from workbench.kg.tsv import FILES, RawRow, parse, read_bytes

Folder = str | Path | Traversable


@dataclass(frozen=True)
class Term:
    """A term of the table's own, for what EDAM lacks: id `format:hisat2_index`, its name, the terms above it."""

    term: str
    name: str
    is_a: tuple[str, ...]


@dataclass(frozen=True)
class Encoding:
    """A format and the kinds of data it holds."""

    format: str
    encodes: tuple[str, ...]


@dataclass(frozen=True)
class Tool:
    """A tool: a package of one or more commands. `license` is an SPDX id, `download` a package or an address.

    reach: how widely it is used, from "1" (rare, new or fading) over "3" (well known in its field) to "5" (in nearly
    every laboratory's pipelines); "" where the table does not say.
    """

    tool: str
    name: str
    biotools_id: str
    topics: tuple[str, ...]
    license: str
    homepage: str
    download: str
    reach: str = ""


@dataclass(frozen=True)
class Command:
    """One call of a tool (`samtools sort`) with the formats and data it reads and writes.

    standing: one of `STANDINGS`, "" where the table does not say. needs, gives: the ports, () where it does not state
    them; formats and kinds of data are then all that is known.
    """

    command: str
    tool: str
    operations: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_data: tuple[str, ...]
    output_data: tuple[str, ...]
    standing: str = ""
    needs: tuple[Port, ...] = ()
    gives: tuple[Port, ...] = ()


@dataclass(frozen=True)
class Source:
    """A place data is downloaded from, with what it delivers."""

    source: str
    name: str
    homepage: str
    formats: tuple[str, ...]
    data: tuple[str, ...]
    gives: tuple[Port, ...] = ()


@dataclass(frozen=True)
class State:
    """A state of data that a port may name. States of one axis exclude one another: `coordinate_sorted`, `unsorted`."""

    state: str
    axis: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """The rows of the files in file order, and the digest of the files they came from."""

    terms: tuple[Term, ...]
    formats: tuple[Encoding, ...]
    tools: tuple[Tool, ...]
    commands: tuple[Command, ...]
    sources: tuple[Source, ...]
    digest: str
    states: tuple[State, ...] = ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the table does not say and links are judged without, in words; () for a table that says all."""
        said = {
            "ports with kinds of data (links hold where formats match)": any(c.needs for c in self.commands),
            "the standing of commands (all count alike)": any(c.standing for c in self.commands),
            "states of data": bool(self.states),
        }
        return tuple(what for what, there in said.items() if not there)


def default_folder() -> Traversable:
    """The table that ships with the package."""
    return importlib.resources.files("workbench") / "data" / "biotoolkg"


def read_table(folder: Folder | None = None, *, edam: Edam | None = None) -> Table:
    """Reads the table in `folder` (the shipped one when None) and checks every rule.

    Raises `TableError` with the first broken rule: the form of the files first, then their content, both in the order
    terms, formats, tools, commands, sources.
    """
    content = read_bytes(_place(folder))
    rows = {file: parse(file, content[file]) if file in content else [] for file in FILES}
    if error := first_error(rows, edam or load_edam()):
        raise error
    return Table(
        terms=tuple(Term(**_fields(row)) for row in rows["terms.tsv"]),
        formats=tuple(Encoding(**_fields(row)) for row in rows["formats.tsv"]),
        tools=tuple(Tool(**_fields(row)) for row in rows["tools.tsv"]),
        commands=tuple(
            Command(**_fields(row), needs=row.ports_of("inputs"), gives=row.ports_of("outputs"))
            for row in rows["commands.tsv"]
        ),
        sources=tuple(Source(**_fields(row), gives=row.ports_of("formats")) for row in rows["sources.tsv"]),
        digest=_digest(content),
        states=tuple(State(**_fields(row)) for row in rows["states.tsv"]),
    )


def digest(folder: Folder | None = None) -> str:
    """SHA-256 (hex) over the names and bytes of the files; raises `TableError` when one is missing."""
    return _digest(read_bytes(_place(folder)))


def _digest(content: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for file, data in sorted(content.items()):
        total.update(f"{file}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def _place(folder: Folder | None) -> Path | Traversable:
    if folder is None:
        return default_folder()
    return Path(folder) if isinstance(folder, str) else folder


def _fields(row: RawRow) -> dict[str, Any]:
    return {column.name: row.cells[column.name] if column.many else row.one(column.name) for column in FILES[row.file]}
