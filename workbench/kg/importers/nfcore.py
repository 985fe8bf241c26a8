"""Importer `nfcore`: modules and subworkflows of nf-core, a folder (or clone) of `meta.yml` with `environment.yml`.

A module is a command of the first of its tools that its name begins with. A file of a channel is a port: its formats
are what `ontologies` says, else what the file pattern says; all channels but the first bring what is needed beside, as
references; what is described as optional is. A subworkflow is a toolchain whose links are not stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.kg.importers.imports import Importer, Options, files_below
from workbench.kg.importers.items import REGISTRIES, Item, Provenance, Report, Spot, Toolchain, Unit, shown
from workbench.kg.importers.reading import read_yaml
from workbench.kg.importers.registered import Command, Given, Port, Tool, tool_id
from workbench.kg.importers.vocabulary import listed, text, texts
from workbench.kg.naming import plain_key

META = ("meta.yml", "meta.yaml")
ENVIRONMENT = "environment.yml"
OF_A_MODULE = (*META, "main.nf", ENVIRONMENT)
MAX_FILES = 500  # of a module's channels
_DATA = re.compile(r"(^|[/:])data_\d+/?$", re.I)
_OPTIONAL = re.compile(r"\W*optional", re.I)
_FILES = ("file", "directory", "list", "path")


Entry = tuple[str, dict[str, Any]]
"""A file (or value) of a channel: its name or pattern, and what is said of it."""


def units(path: Path) -> list[Unit]:
    """Every `meta.yml`, and the modules that lack one."""
    if path.is_file():
        return [_unit(path, path.parent)] if path.name in META else []
    files = [file for file in files_below(path, *OF_A_MODULE) if file.name in OF_A_MODULE]
    found = [file for file in files if file.name in META]
    bare = {file.parent for file in files} - {file.parent for file in found}
    lost = [folder / META[0] for folder in bare if "tests" not in folder.parts]
    return [_unit(file, path) for file in sorted(found + lost)]


def _unit(meta: Path, root: Path) -> Unit:
    environment = meta.parent / ENVIRONMENT
    return Unit(meta, root, (environment,) if environment.is_file() else ())


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one module or subworkflow."""
    note.record(unit.name)
    spot = note.at(unit.name)
    if not unit.path.is_file():
        return spot.dropped("module without a meta.yml")
    meta = read_yaml(unit.path, spot)
    if not isinstance(meta, dict):
        return spot.dropped("no module: not a mapping", meta)
    name = text(meta.get("name"), spot.at("name")).strip()
    if not name:
        return spot.dropped("module without a name", meta.get("name"))
    words = _words(name, unit)
    source = Provenance("nf-core", "/".join(words), REGISTRIES["nf-core"])
    if "components" in meta or "subworkflows" in unit.path.parts:
        yield from _subworkflow(name, meta, source, spot)
        return None
    node = yield from _tool(words, meta, unit, source, note, options)
    if node:
        command = Command(
            id=" ".join(words),
            name=" ".join(words),
            inputs=_inputs(meta.get("input"), spot.at("input")),
            outputs=[_port(entry) for entry in _entries(meta.get("output"), spot.at("output"))],
            aliases=[name],
        )
        yield from command.items(node, source, spot, options.vocabulary)


def _words(name: str, unit: Unit) -> list[str]:
    """`samtools_sort` in the folder samtools/sort is `samtools sort`; a name that is not its folder's stays."""
    folders = unit.path.absolute().parent.parts
    for count in (3, 2, 1):
        if plain_key("".join(folders[-count:])) == plain_key(name):
            return [shown(Path(folder)) for folder in folders[-count:]]
    return [name]


def _subworkflow(name: str, meta: dict[str, Any], source: Provenance, spot: Spot) -> Iterator[Item]:
    given = meta.get("components")
    names = [next(iter(one), "") if isinstance(one, dict) else one for one in listed(given)]
    commands = [f"command:{one.replace('/', ' ')}" for one in texts(names, spot.at("components"))]
    if not commands:
        return spot.dropped("subworkflow without components", given)
    spot.kept("subworkflow: a toolchain whose links are not stated", name)
    yield Toolchain(f"nf-core:{name}", name, (), tuple(commands), source)


def _tool(
    words: list[str], meta: dict[str, Any], unit: Unit, source: Provenance, note: Report, options: Options
) -> Any:
    """Yields the items of the module's tool and returns its node id, "" where there is none."""
    spot = note.at(unit.name).at("tools")
    tools = list(_tools(meta.get("tools"), spot))
    if not tools:
        spot.kept("module that names no tool, called after itself", meta.get("tools"))
        tools = [(words[0], {})]
    first = next((n for n, (name, _) in enumerate(tools) if plain_key(name) == plain_key(words[0])), 0)
    for number, (name, _) in enumerate(tools):
        if number != first:
            spot.at(number).dropped("further tool of a module, whose command belongs to one", name)
    name, said = tools[first]
    identifier = text(said.get("identifier"), spot.at(first, "identifier")).rpartition(":")[2]
    packages = _packages(unit, (words[0], name), note)
    alias = name
    if plain_key(words[0]) in {plain_key(one.split("::")[-1]) for one in (identifier, *packages)}:
        name = words[0]  # modules call a tool by one of its commands (bcftools: view)
    if plain_key(alias) != plain_key(name):
        spot.at(first).repaired(f"tool of another name, called {name} after its package", alias)
    licence = said.get("licence") or said.get("license")
    record = Tool(
        id=name,
        name=name,
        biotools_id=identifier,
        aliases=[alias],
        homepage=said.get("homepage") or said.get("tool_dev_url"),
        license=next(iter(licence), None) if isinstance(licence, list) else licence,
        packages=packages,
        doi=_doi(said.get("doi")),
    )
    yield from record.items(source, spot.at(first), options.vocabulary)
    return tool_id(name, spot.at(first))


def _tools(value: Any, spot: Spot) -> Iterator[tuple[str, dict[str, Any]]]:
    """`tools` is a list of mappings of one key, the name, to what is said of the tool."""
    for index, one in enumerate(value if isinstance(value, list) else [value] if value else []):
        pairs = one.items() if isinstance(one, dict) else [(one, {})]
        for name, said in pairs:
            if clean := text(name, spot.at(index)):
                yield clean, said if isinstance(said, dict) else {}


def _doi(value: Any) -> Any:
    """A DOI, a list of them, or words to say that there is none."""
    return [one for one in value if "10." in str(one)] if isinstance(value, list) else [value] * ("10." in str(value))


def _packages(unit: Unit, tools: tuple[str, ...], note: Report) -> list[str]:
    """The conda packages that go by one of the names, or the only one there is."""
    for path in unit.beside:
        spot = note.at(f"{unit.name.rpartition('/')[0] or '.'}/{path.name}")
        found = read_yaml(path, spot)
        given = listed(found.get("dependencies") if isinstance(found, dict) else None)
        plain = texts([one for one in given if not isinstance(one, dict)], spot)
        names = [re.sub(r"[=<> \[].*$", "", one) for one in plain]
        same = [name for name in names if plain_key(name.split("::")[-1]) in map(plain_key, tools)]
        return same or names * (len(names) == 1)
    return []


def _inputs(value: Any, spot: Spot) -> list[Port]:
    """The inputs. The first channel with files brings the main data; the files of the others are given beside it."""
    several = isinstance(value, list) and any(isinstance(one, list) for one in value)
    channels = [(one, spot.at(index)) for index, one in enumerate(value)] if several else [(value, spot)]
    ports: list[Port] = []
    for channel, here in channels:
        beside = bool(ports)
        ports += [replace(_port(entry), beside=beside) for entry in _entries(channel, here)]
    return ports


def _entries(value: Any, spot: Spot) -> list[Entry]:
    """The files of all channels, however the lists are nested; what carries no data (`val`, versions) is left."""
    found: list[Entry] = []
    waiting: list[tuple[Any, str, Spot]] = [(value, "", spot)]
    while waiting:
        one, name, here = waiting.pop(0)
        if isinstance(one, list):
            waiting[:0] = [(part, name, here.at(index)) for index, part in enumerate(one)]
        elif isinstance(one, dict) and name and ({"type", "pattern", "ontologies"} & one.keys()):
            if _is_file(name, one):
                found.append((name, one))
        elif isinstance(one, dict):
            waiting[:0] = [(part, str(key)[:200], here.at(str(key)[:200])) for key, part in one.items()]
        elif one not in (None, "", "null", "~"):
            here.dropped("channel that is no mapping", one)
        if len(found) > MAX_FILES:
            spot.dropped(f"more than {MAX_FILES} files")
            return found[:MAX_FILES]
    return found


def _is_file(name: str, said: dict[str, Any]) -> bool:
    kind = said.get("type")
    pattern = said.get("pattern")
    plain = isinstance(kind, str) and kind.strip().lower() not in _FILES
    return not plain and not name.startswith(("versions", "meta")) and pattern != "versions.yml"


def _port(entry: Entry) -> Port:
    name, said = entry
    terms = [Given(one) for one in _ontologies(said.get("ontologies"))]
    pattern = said.get("pattern")
    patterns = pattern if isinstance(pattern, list) else [pattern]
    description = str(said.get("description"))
    named = [name] if "." in name and not any(patterns) else []
    return Port(
        formats=[one for one in terms if not _DATA.search(str(one.value))],
        data=[one for one in terms if _DATA.search(str(one.value))],
        optional=str(said.get("optional")).lower() == "true" or bool(_OPTIONAL.match(description)),
        fallback=[Given(one) for one in (*patterns, *named)],
        prose=f"{name} {description[:80]}",
    )


def _ontologies(value: Any) -> Iterator[Any]:
    """`ontologies` is a list of `edam: address`; plain lists and single values occur as well."""
    for one in value if isinstance(value, list) else [value]:
        yield from one.values() if isinstance(one, dict) else [one]


NFCORE = Importer("nfcore", units, read_unit)
