"""What an importer takes, yields and tells: files; nodes, facts and toolchains; findings with what was done about
them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from workbench.artifacts.files import atomic_write_text
from workbench.kg.naming import shorten

REGISTRIES = {  # registry -> the licence of its data
    "nf-core": "MIT",
    "bio.tools": "CC-BY-4.0",
    "Galaxy": "LicenseRef-MIT-and-others",  # tool repositories of many hands
    "EDAM": "CC-BY-SA-4.0",
    "Debian": "LicenseRef-unknown",
    "Bioconda": "MIT",
}
UNKNOWN = "LicenseRef-unknown"
ACTIONS = ("kept", "repaired", "dropped")


class RegistryError(ValueError):
    """What ends an import: no such path, nothing readable in it, an unknown format, a missing extra, a bad mapping.

    Examples:
        >>> from workbench.kg.importers import IMPORTERS
        >>> IMPORTERS["nfcore"].find("none")
        Traceback (most recent call last):
            ...
        workbench.kg.importers.items.RegistryError: none: no such file or folder; ...
    """


@dataclass(frozen=True)
class Unit:
    """One file to read with the files that belong to it. root: the folder it was found in.

    Examples:
        >>> Unit(Path("modules/star/main.nf"), Path("modules"), beside=(Path("modules/star/meta.yml"),)).name
        'star/main.nf'
    """

    path: Path
    root: Path
    beside: tuple[Path, ...] = ()

    @cached_property
    def name(self) -> str:
        """The path below the root as the graph and the report show it."""
        return shown(self.path.relative_to(self.root))


def shown(path: Path) -> str:
    """A relative path with `/`, and without what is no text."""
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in path.as_posix())
    return plain.encode("utf-8", "replace").decode()


class Provenance(NamedTuple):
    """Where a fact is from: the registry's name, the record in it, the licence of its data (SPDX id).

    Examples:
        >>> Provenance("bio.tools", "star", "CC-BY-4.0").licence
        'CC-BY-4.0'
    """

    registry: str
    record: str
    licence: str


class Node(NamedTuple):
    """A node: texts are values, lists of texts are sets (`packages`, `aliases`, `doi`).

    Examples:
        >>> Node("tool:star", "tool", "STAR", {"aliases": ["STAR aligner"]}).name
        'STAR'
    """

    id: str
    type: str
    name: str
    attributes: Mapping[str, Any] = {}


class FactItem(NamedTuple):
    """A fact with its provenance; `port` numbers the input (or output) it belongs to, which has one or more formats.

    The formats of one port are alternatives; a command needs all of its input ports but the optional ones.

    Examples:
        >>> source = Provenance("bio.tools", "star", "CC-BY-4.0")
        >>> FactItem("format_1930", "input", "command:star", source, port=0).port
        0
    """

    head: str
    relation: str
    tail: str
    source: Provenance
    port: int | None = None


class Toolchain(NamedTuple):
    """A published workflow: links (command, command), the data of the first going into the second.

    Examples:
        >>> links = (("command:star", "command:samtools sort"),)
        >>> Toolchain("w1", "align", links, links[0], Provenance("WorkflowHub", "w1", "MIT")).commands
        ('command:star', 'command:samtools sort')
    """

    id: str
    name: str
    links: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    source: Provenance


Item = Node | FactItem | Toolchain


class Line(NamedTuple):
    """One finding. place: a line number, JSON path or XML path within `file`; value: clipped, as `repr` shows it.

    Examples:
        >>> Line("mine.tsv", "3", "no name", "''", "dropped").rule
        'no name'
    """

    file: str
    place: str
    rule: str
    value: str
    action: str


@dataclass
class Report:
    """Collects the findings of an import and counts its records.

    progress: called with (records read, the file being read) after every record.

    Examples:
        >>> note = Report()
        >>> note.at("mine.tsv", 3).dropped("no name")
        >>> note.counts
        {'no name (dropped)': 1}
    """

    progress: Callable[[int, str], None] | None = None
    lines: list[Line] = field(default_factory=list)
    records: int = 0
    _told: set[tuple[str, str, str]] = field(default_factory=set)

    def at(self, file: str | Path, place: str | int = "") -> Spot:
        """A place of a file to which findings can be noted."""
        return Spot(self, str(file), str(place))

    def record(self, file: str | Path = "") -> None:
        """One more record was read, whatever became of it."""
        self.records += 1
        if self.progress:
            self.progress(self.records, str(file))

    @property
    def counts(self) -> dict[str, int]:
        """Findings by `rule (action)`, most frequent first."""
        found = Counter(f"{line.rule} ({line.action})" for line in self.lines)
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def actions(self) -> dict[str, int]:
        """Findings by action, in the order of `ACTIONS`."""
        found = Counter(line.action for line in self.lines)
        return {action: found[action] for action in ACTIONS}


@dataclass(frozen=True)
class Spot:
    """A place in a file: `at` goes deeper, the actions note a finding there."""

    report: Report
    file: str
    place: str

    def at(self, *more: str | int) -> Spot:
        """The place below this one: names are joined by a dot, indices set in brackets."""
        place = self.place
        for step in more:
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
        return Spot(self.report, self.file, place)

    def kept(self, rule: str, value: object = "") -> None:
        """Something odd that stays as it is."""
        self._note(rule, value, "kept")

    def kept_once(self, rule: str, value: str) -> None:
        """As `kept`, but told at the first place of a file only."""
        key = (self.file, rule, value)
        if key not in self.report._told:
            self.report._told.add(key)
            self.kept(rule, value)

    def repaired(self, rule: str, value: object = "") -> None:
        """Something wrong that was put right."""
        self._note(rule, value, "repaired")

    def dropped(self, rule: str, value: object = "") -> None:
        """Something wrong that was left out."""
        self._note(rule, value, "dropped")

    def _note(self, rule: str, value: object, action: str) -> None:
        text = value if isinstance(value, str) else _plain(value)
        self.report.lines.append(
            Line(shorten(self.file, 400)[1:-1], shorten(self.place, 400)[1:-1], rule, shorten(text), action)
        )


def _plain(value: object) -> str:
    """A value as text, no more of it than is shown: a deep or huge one is named by its type."""
    if isinstance(value, bool | int | float) or value is None:
        return str(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict | set | bytes) else ""
    return f"<{type(value).__name__}{size}>"


def write_report(report: Report, path: str | Path) -> Path:
    """Writes the findings in one step: a table for a name that ends in .tsv, JSON lines for any other.

    JSON lines close with `{"records": n, "counts": {...}, "actions": {...}}`; a table has the findings alone.

    Examples:
        >>> import tempfile
        >>> note = Report()
        >>> note.at("mine.tsv", 3).dropped("no name")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_report(note, Path(folder, "report.tsv")).read_text().splitlines()[0].split()
        ['file', 'place', 'rule', 'value', 'action']
    """
    if Path(path).suffix.lower() == ".tsv":
        rows = ["\t".join(" ".join(cell.split()) for cell in line) for line in (Line._fields, *report.lines)]
    else:
        rows = [json.dumps(line._asdict(), ensure_ascii=False) for line in report.lines]
        rows.append(json.dumps({"records": report.records, "counts": report.counts, "actions": report.actions}))
    return atomic_write_text(path, "\n".join([*rows, ""]))
