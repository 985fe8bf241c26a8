"""The frame of an importer: which files a path holds, reading each of them, and the extras they need."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.kg.importers.items import Item, RegistryError, Report, Unit
from workbench.kg.importers.mapping import Words
from workbench.kg.importers.vocabulary import Vocabulary

MAX_DEPTH = 12  # folders below the one given


@dataclass(frozen=True)
class Options:
    """What an import may be told: the ontology to look terms up in, and a mapping for formats without a fixed form."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    mapping: Words | Mapping[str, Any] | None = None  # of `read_mapping`, or as the file has it


@dataclass(frozen=True)
class Importer:
    """Reads one format: `units` finds the files of a path, `read_unit` gives the items of one of them.

    Called as `importer(path, note)` it is the generator of all items. Only `RegistryError` is ever raised.
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
            if not path.exists():
                raise RegistryError(f"{path}: no such file or folder; give the path of a {self.name} file or folder")
            units = self.units(path)
        except (OSError, ValueError) as problem:
            if isinstance(problem, RegistryError):
                raise
            raise RegistryError(f"{path}: cannot be read ({problem})") from problem
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
