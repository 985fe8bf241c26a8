"""An import from start to end: which files a path holds, reading each of them, the graph written at once."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx

from workbench.artifacts.files import check_outputs, is_inside
from workbench.kg.importers.assemble import assemble
from workbench.kg.importers.items import Item, RegistryError, Report, Unit, write_report
from workbench.kg.importers.mapping import Words, words
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
    mapping: Words = field(default_factory=words)  # of `read_mapping`


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


def ending_in(*suffixes: str) -> Callable[[Path], list[Unit]]:
    """What most importers read: the file given, or in a folder every file whose name ends in one of `suffixes`."""

    def units(path: Path) -> list[Unit]:
        return [Unit(path, path.parent)] if path.is_file() else [Unit(f, path) for f in files_below(path, *suffixes)]

    return units


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


def import_registry(
    importer: Importer,
    path: str | Path,
    *,
    out: str | Path,
    report: str | Path | None = None,
    options: Options | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> tuple[nx.MultiDiGraph, Report]:
    """The graph of `path` and the findings, written to `out` (node-link JSON) and to `report`, each in one step.

    progress: called with (records, file) after every record. Raises `RegistryError` when there is nothing to import or
    nothing of it can be read, and `ValueError` when `out` or `report` is a file that is read, or would be read the next
    time; then nothing is written.

    Examples:
        >>> import tempfile
        >>> from workbench.kg import default_folder
        >>> from workbench.kg.importers import IMPORTERS, read_mapping
        >>> media = default_folder().parent / "mediakg"
        >>> how = Options(mapping=read_mapping(None, media / "schema.json"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     out = Path(folder, "graph.json")
        ...     graph, report = import_registry(IMPORTERS["triples"], media / "triples.tsv", out=out, options=how)
        >>> len(graph) > 200, report.counts
        (True, {})
    """
    out, options, note = Path(out), options or Options(), Report(progress)
    units = importer.find(path)
    _check_outputs(importer, Path(path), units, {"out": out, "report": report})
    items = (item for unit in units for item in importer.read_unit(unit, note, options))
    schema, edam = options.mapping.schema, options.vocabulary.edam
    graph = assemble(items, note=note, edam=edam, name=importer.name, schema=schema)
    if not graph and not graph.graph.get("toolchains"):
        why = f", the first finding: {note.lines[0].rule} {note.lines[0].value}" if note.lines else ""
        raise RegistryError(f"{path}: nothing in it reads as {importer.name}{why}")
    if report is not None:
        write_report(note, report)
    to_json(graph, out)
    return graph, note


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
