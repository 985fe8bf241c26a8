"""An import from start to end: which files a path holds, reading each of them, the graph written at once.

Interrupted, it goes on at the file where it stopped: beside the output, `<out>.partial/` holds the items of every file
that is done, under a digest of all that they depend on: the file, those that belong to it, the importer's code, the
ontology and the mapping.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import networkx as nx

from workbench.artifacts.files import atomic_write_text, check_outputs, is_inside, sha256_file
from workbench.kg.importers.assemble import assemble
from workbench.kg.importers.items import Item, Line, RegistryError, Report, Unit, from_plain, to_plain, write_report
from workbench.kg.importers.mapping import Words, words
from workbench.kg.importers.vocabulary import FILE as ENDINGS
from workbench.kg.importers.vocabulary import Vocabulary
from workbench.kg.store import to_json

MAX_DEPTH = 12  # folders below the one given


@dataclass(frozen=True)
class Options:
    """What an import may be told: the ontology to look terms up in, and a mapping for formats without a fixed form.

    Examples:
        >>> from workbench.kg.importers import read_mapping
        >>> Options(mapping=read_mapping("none.yaml"))
        Traceback (most recent call last):
            ...
        workbench.kg.importers.items.RegistryError: none.yaml: ...
    """

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    mapping: Words | Mapping[str, Any] | None = None  # of `read_mapping`, or as the file has it


@dataclass(frozen=True)
class Importer:
    """Reads one format: `units` finds the files of a path, `read_unit` gives the items of one of them.

    Called as `importer(path, note)` it is the generator of all items. Only `RegistryError` is ever raised.

    Examples:
        >>> from workbench.kg import default_folder
        >>> from workbench.kg.importers import IMPORTERS
        >>> [unit.name for unit in IMPORTERS["triples"].find(default_folder().parent / "mediakg" / "triples.tsv")]
        ['triples.tsv']
    """

    name: str
    units: Callable[[Path], list[Unit]]
    read_unit: Callable[[Unit, Report, Options], Iterator[Item]]
    resumable: bool = True  # whether it is worth keeping what was read of a file

    def __call__(self, path: str | Path, note: Report, options: Options | None = None) -> Iterator[Item]:
        options = options or Options()
        for unit in self.find(path):
            yield from self.read_unit(unit, note, options)

    def find(self, path: str | Path) -> list[Unit]:
        """The files to read, sorted; raises `RegistryError` for a path that is missing or holds none."""
        path = Path(path)
        try:
            units = self.units(path) if path.exists() else None
        except (OSError, ValueError) as problem:
            raise RegistryError(f"{path}: cannot be read ({problem})") from problem
        if units is None:
            raise RegistryError(f"{path}: no such file or folder; give the path of a {self.name} file or folder")
        if not units:
            raise RegistryError(f"{path}: holds nothing that reads as {self.name}; check the path and the format")
        return units


def shown(path: Path) -> str:
    """A relative path as the graph and the report name it: with `/`, and without what is no text."""
    plain = "".join(character if character.isprintable() else "�" for character in path.as_posix())
    return plain.encode("utf-8", "replace").decode()


def one_file(path: Path, *suffixes: str) -> list[Unit]:
    """The file given, or in a folder every file whose name ends in one of `suffixes`."""
    if path.is_file():
        return [Unit(path, shown(Path(path.name)), root=path.parent)]
    return [Unit(file, shown(file.relative_to(path)), root=path) for file in files_below(path, *suffixes)]


def ending_in(*suffixes: str) -> Callable[[Path], list[Unit]]:
    """`one_file` with these suffixes: what most importers read."""
    return lambda path: one_file(path, *suffixes)


def files_below(folder: Path, *suffixes: str) -> list[Path]:
    """Files below a folder by the end of their name, in any case, sorted; links out of the folder are not followed."""
    found, root = [], folder.resolve()
    for here, folders, names in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and depth < MAX_DEPTH)
        paths = (Path(here, name) for name in names if name.lower().endswith(suffixes) and not name.startswith("."))
        found += [path for path in paths if path.is_file() and path.resolve().is_relative_to(root)]
    return sorted(found)


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Silences a library's logger for a while: what it would say of a bad record is in the report."""
    found = logging.getLogger(logger)
    before = found.level
    found.setLevel(logging.CRITICAL + 1)  # children of the logger follow it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        found.setLevel(before)


_END = ["end"]
_ENTRY = 24  # hex digits that name a file of the partial folder


@dataclass(frozen=True)
class Imported:
    """What an import gave; `resumed` counts the files whose items were there already.

    Examples:
        >>> Imported(nx.MultiDiGraph(), Report(), files=3, resumed=2).resumed  # of three files two were there already
        2
    """

    graph: nx.MultiDiGraph
    report: Report
    files: int
    resumed: int


def import_registry(
    importer: Importer,
    path: str | Path,
    *,
    out: str | Path,
    report: str | Path | None = None,
    options: Options | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> Imported:
    """Imports `path` and writes the graph (node-link JSON) to `out` and the findings to `report`, each in one step.

    progress: called with (records, file) after every record. Raises `RegistryError` when there is nothing to import or
    nothing of it can be read, and `ValueError` when `out` or `report` is a file that is read, or would be read the next
    time; then nothing is written. Interrupted, it leaves `<out>.partial/` and goes on from there.

    Examples:
        >>> import tempfile
        >>> from workbench.kg import default_folder
        >>> from workbench.kg.importers import IMPORTERS, read_mapping
        >>> media = default_folder().parent / "mediakg"
        >>> how = Options(mapping=read_mapping(None, media / "schema.json"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     out = Path(folder, "graph.json")
        ...     found = import_registry(IMPORTERS["triples"], media / "triples.tsv", out=out, options=how)
        >>> len(found.graph) > 200, found.report.counts
        (True, {})
    """
    out, options, note = Path(out), options or Options(), Report(progress)
    units = importer.find(path)
    _check_outputs(importer, Path(path), units, {"out": out, "report": report})
    cache = _Cache(Path(f"{out}.partial"), importer, options, keep=len(units) > 1 and importer.resumable)
    try:
        items = (item for unit in units for item in cache.items(unit, note))
        schema = words(options.mapping).schema
        graph = assemble(items, note=note, edam=options.vocabulary.edam, name=importer.name, schema=schema)
        if not graph and not graph.graph.get("toolchains"):
            why = f", the first finding: {note.lines[0].rule} {note.lines[0].value}" if note.lines else ""
            raise RegistryError(f"{path}: nothing in it reads as {importer.name}{why}")
    except RegistryError:
        cache.remove()
        raise
    if report is not None:
        write_report(note, report)
    to_json(graph, out)
    cache.remove()
    return Imported(graph, note, len(units), cache.resumed)


def _check_outputs(importer: Importer, path: Path, units: list[Unit], outputs: Mapping[str, str | Path | None]) -> None:
    """ValueError: an output is a file of the registry, or would be taken for one."""
    check_outputs(outputs, reads=[file for unit in units for file in (unit.path, *unit.beside)])
    for name, file in outputs.items():
        if file is not None and is_inside(file, path):
            with TemporaryDirectory() as like_it:
                twin = Path(like_it, Path(file).resolve().relative_to(path.resolve()))
                twin.parent.mkdir(parents=True, exist_ok=True)
                twin.touch()
                if importer.units(Path(like_it)):
                    raise ValueError(f"{name} {file} lies in {path}, and would be read as a part of it the next time")


class _Cache:
    """Items by file. keep: whether to, which is not worth it for a single file."""

    def __init__(self, folder: Path, importer: Importer, options: Options, *, keep: bool) -> None:
        self.folder, self.importer, self.options, self.keep = folder, importer, options, keep
        self.resumed = 0
        code = [sha256_file(file) for file in (*sorted(Path(__file__).parent.glob("*.py")), Path(str(ENDINGS)))]
        self.base = repr([importer.name, code, options.vocabulary.edam.version, options.mapping])
        self.digests: dict[Path, str] = {}

    def items(self, unit: Unit, note: Report) -> Iterator[Item]:
        """The items of a file: as kept, or read and kept once they are complete."""
        if not self.keep:
            yield from self.importer.read_unit(unit, note, self.options)
            return
        entry = self.folder / f"{self._digest(unit)}.jsonl"
        if (found := _kept(entry, note)) is not None:
            self.resumed += 1
            yield from found
            return
        own = Report(lambda _records, file: note.record(file))
        rows = []
        for item in self.importer.read_unit(unit, own, self.options):
            rows.append(json.dumps(to_plain(item), ensure_ascii=False))
            yield item
        note.lines += own.lines
        rows += [json.dumps(["line", *line], ensure_ascii=False) for line in own.lines]
        rows += [json.dumps(["records", own.records]), json.dumps(_END), ""]
        atomic_write_text(entry, "\n".join(rows).encode("utf-8", "replace").decode())

    def remove(self) -> None:
        """Removes what was kept, and the folder when nothing else is in it."""
        if self.folder.is_dir():
            for entry in self.folder.glob("*.jsonl"):
                if len(entry.stem) == _ENTRY and not set(entry.stem) - set("0123456789abcdef"):
                    entry.unlink()
            if not any(self.folder.iterdir()):
                os.rmdir(self.folder)

    def _digest(self, unit: Unit) -> str:
        total = hashlib.sha256(f"{self.base}\0{unit.name}".encode("utf-8", "replace"))
        for path in (unit.path, *unit.beside):
            if path not in self.digests:
                self.digests[path] = sha256_file(path) if path.is_file() else "missing"
            total.update(self.digests[path].encode())
        return total.hexdigest()[:_ENTRY]


def _kept(entry: Path, note: Report) -> list[Item] | None:
    """The items of a complete entry, its findings told; None for none or a damaged one."""
    try:
        rows = [json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines()]
        if not rows or rows[-1] != _END or rows[-2][0] != "records":
            return None
        lines = [Line(*row[1:]) for row in rows if row[0] == "line"]
        items = [from_plain(row) for row in rows[:-2] if row[0] != "line"]
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return None
    note.lines += lines
    for _ in range(int(rows[-2][1])):
        note.record(entry.name)
    return items
