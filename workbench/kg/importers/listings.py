"""Importers `biotools`, of entries of bio.tools as JSON, and `tables`, of normalised registry tables.

Entries stand one to a file or many, in a folder of them or in pages of the registry's interface. Every function of one
is a command; a database portal is a source of what its functions deliver as well.

Tables are a folder of JSON lines. `registry.jsonl` has a record per tool (`id`, `name`, `biotools_id`, `homepage`,
`license`, `package`, `doi`, `topics`, `sources`, the registries that list it), `components.jsonl` one per command (`id`
as `registry:name`, `tool`, `inputs` and `outputs` as ports, `ops`), `data_sources.jsonl` one per source (`outputs` as
ports), `ext_formats.tsv` the parents of `ext:` formats. Any one of the first three is enough. Commands keep the
registry in their id: the same command of two registries stays two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.kg.edam import EDAM_ID
from workbench.kg.importers.imports import Importer, Options, ending_in
from workbench.kg.importers.items import REGISTRIES, UNKNOWN, Item, Node, Provenance, Report, Spot, Unit
from workbench.kg.importers.reading import json_lines, json_records, numbered_lines
from workbench.kg.importers.registered import Command, Given, Port, Tool, own_term_items, source_items, tool_id
from workbench.kg.importers.vocabulary import Vocabulary, listed, text, texts
from workbench.kg.naming import slug

Record = dict[str, Any]
MAX_FUNCTIONS = 200
_PACKAGE = re.compile(r"anaconda\.org/([\w.-]+)/([\w.-]+)", re.I)


def _entries(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one file."""
    for spot, record in json_records(unit, note):
        if isinstance(record, dict):
            yield from _entry(record, spot, options.vocabulary)
        else:
            spot.dropped("entry is not an object", record)


def _entry(record: Record, spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
    given = record.get("biotoolsID") or record.get("biotoolsCURIE") or record.get("name")
    short = text(given, spot.at("biotoolsID")).removeprefix("biotools:")
    node = tool_id(short, spot.at("biotoolsID"))
    if not node:
        return
    source = Provenance("bio.tools", short, REGISTRIES["bio.tools"])
    yield from _tool_of(record, short, spot).items(source, spot, vocabulary)
    functions = _objects(record.get("function"), spot.at("function"))
    if not functions:
        spot.at("function").kept("tool without functions, so without commands", short)
    for number, (place, function) in enumerate(functions[:MAX_FUNCTIONS], start=1):
        yield from _function(function, short, number, place).items(node, source, place, vocabulary)
    if "Database portal" in listed(record.get("toolType")):
        yield from _portal(record, node, functions, source, vocabulary)


def _tool_of(record: Record, short: str, spot: Spot) -> Tool:
    addresses = [
        one.get("url") for key in ("download", "link") for _, one in _objects(record.get(key), Report().at("", key))
    ]
    packages = [match.groups() for url in addresses if isinstance(url, str) and (match := _PACKAGE.search(url))]
    downloads = _objects(record.get("download"), spot.at("download"))
    return Tool(
        short,
        biotools_id=short,
        **{key: record.get(key) for key in ("name", "homepage", "license")},
        download=next((one.get("url") for _, one in downloads), None),
        packages=[f"{channel}::{name}" for channel, name in packages],
        doi=[one["doi"] for _, one in _objects(record.get("publication"), spot.at("publication")) if one.get("doi")],
        topics=[_term(one) for _, one in _objects(record.get("topic"), spot.at("topic"))],
    )


def _function(function: Record, short: str, number: int, spot: Spot) -> Command:
    """Named after its call where one is given, else after the tool, from the second function on with its number."""
    call = text(function.get("cmd"), spot.at("cmd"), limit=60)
    name = short if number == 1 else f"{short} function {number}"
    operations = [_term(one) for _, one in _objects(function.get("operation"), spot.at("operation"))]
    ports = {side: _sides(function.get(side), spot.at(side)) for side in ("input", "output")}
    words = re.match(r"[\w.-]+( [a-z][\w.-]*)?(?= |$)", call)
    called = words[0] if words and words[0].split(" ")[0].lower() == short.lower() else name
    return Command(id=name, name=called, operations=operations, inputs=ports["input"], outputs=ports["output"])


def _portal(
    record: Record, node: str, functions: list[tuple[Spot, Record]], source: Provenance, vocabulary: Vocabulary
) -> Iterator[Item]:
    untold = Report().at("")  # what is odd is told once, where the command was read
    ports = [port for place, one in functions[:MAX_FUNCTIONS] for port in _sides(one.get("output"), place.at("output"))]
    made = Node(f"source:{node.partition(':')[2]}", "source", text(record.get("name"), untold) or node)
    yield from source_items(made, ports, source, untold, vocabulary)


def _sides(value: object, spot: Spot) -> list[Port]:
    ports = []
    for place, port in _objects(value, spot):
        formats = [_term(one) for _, one in _objects(port.get("format"), place.at("format"))]
        data = [_term(one) for _, one in _objects(port.get("data"), place.at("data"))]
        ports.append(Port(formats, data))
    return ports


def _term(value: Record) -> Given:
    """A term is `{"uri": ..., "term": label}`; either may lack."""
    return Given(value.get("uri") or value.get("term"), value.get("term"))


def _objects(value: object, spot: Spot) -> list[tuple[Spot, Record]]:
    """The objects of a list, or the one given in its place; anything else is told."""
    found = []
    for index, one in enumerate([value] if isinstance(value, dict | str | int) else listed(value)):
        place = spot if isinstance(value, dict) else spot.at(index)
        if isinstance(one, dict):
            found.append((place, one))
        elif isinstance(one, str) and one:
            found.append((place, {"term": one, "url": one, "doi": one}))
        else:
            place.dropped("not an object", one)
    return found


BIOTOOLS = Importer("biotools", ending_in(".json", ".jsonl"), _entries)


FILES = ("registry.jsonl", "components.jsonl", "data_sources.jsonl", "ext_formats.tsv")
NAMES = {
    "nfcore": "nf-core",
    "biotools": "bio.tools",
    "galaxy": "Galaxy",
    "galaxy-app": "Galaxy",
    "debian": "Debian",
    "bioconda": "Bioconda",
}


def _units(path: Path) -> list[Unit]:
    """The files of the table that are there; of one file alone, that one."""
    if path.is_file():
        return [Unit(path, path.parent)] if path.name in FILES[:3] else []
    parents = tuple(path / name for name in FILES[3:] if (path / name).is_file())
    return [Unit(path / name, path, parents) for name in FILES[:3] if (path / name).is_file()]


def _records(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one of the three files of JSON lines."""
    read, kind = READ[unit.path.name]
    for path in unit.beside:
        if unit.path.name == FILES[0]:
            yield from _parents(path, note, options.vocabulary)
    seen: set[str] = set()
    for spot, record in json_lines(unit, note):
        if not isinstance(record, dict):
            spot.dropped("record is not an object", record)
            continue
        for item in read(record, spot, options.vocabulary):
            if isinstance(item, Node) and item.type == kind:
                if item.id in seen:
                    spot.kept("id that an earlier record has, joined with it", item.id)
                seen.add(item.id)
            yield item


def provenance(registry: object, record: str, spot: Spot) -> Provenance:
    """Where a record of a registry is from; registries are known by the short names of the tables."""
    short = text(registry, spot)
    name = NAMES.get(short.lower(), short) or "unknown"
    return Provenance(name, record, REGISTRIES.get(name, UNKNOWN))


def _tool(record: dict[str, Any], spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
    name = text(record.get("id"), spot.at("id"))
    sources = record.get("sources")
    first = sources[0] if isinstance(sources, list) and sources else None
    package = re.sub(r"^conda:|=.*$", "", text(record.get("package"), spot.at("package")))
    tool = Tool(
        **{key: record.get(key) for key in ("id", "name", "biotools_id", "homepage", "license", "doi")},
        download=record.get("download_url"),
        packages=[f"bioconda::{package}"] if package and "::" not in package else [package],
        listed=[NAMES.get(name.lower(), name) for name in texts(sources, spot.at("sources"))],
        topics=_given(record.get("topics"), spot.at("topics")),
    )
    yield from tool.items(provenance(first, name, spot.at("sources", 0)), spot, vocabulary)


def _command(record: dict[str, Any], spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
    name = text(record.get("id"), spot.at("id"))
    registry, _, short = name.partition(":") if ":" in name else ("", "", name)
    tool = tool_id(record.get("tool"), spot.at("tool"))
    if not short.strip() or not tool:
        return spot.dropped("command without an id or tool", name)
    source = provenance(registry, name, spot.at("id"))
    command = Command(
        id=name,
        name=re.sub(r"[/_]", " ", short, count=1) if registry == "nfcore" else short,
        operations=_given(record.get("ops"), spot.at("ops")),
        inputs=_ports(record.get("inputs"), spot.at("inputs")),
        outputs=_ports(record.get("outputs"), spot.at("outputs")),
    )
    yield Node(tool, "tool", text(record["tool"], spot.at("tool")))
    yield from command.items(tool, source, spot, vocabulary)


def _source(record: dict[str, Any], spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
    short = text(record.get("id"), spot.at("id"))
    node = slug(short)
    if not node:
        return spot.dropped("source without an id", record.get("id"))
    source = provenance(record.get("source"), short, spot.at("source"))
    links = {key: text(record.get(key), spot.at(key), limit=2000) for key in ("homepage", "kind")}
    name = text(record.get("name"), spot.at("name")) or short
    made = Node(f"source:{node}", "source", name, {key: value for key, value in links.items() if value})
    ports = _ports(record.get("outputs"), spot.at("outputs"))
    yield from source_items(made, ports, source, spot, vocabulary)


def _ports(value: object, spot: Spot) -> list[Port]:
    ports = []
    for index, port in enumerate(_list(value, spot)):
        here = spot.at(index)
        if isinstance(port, dict):
            formats, data = (_given(port.get(key), here.at(key)) for key in ("formats", "data"))
            ports.append(Port(formats, data, optional=port.get("optional") is True))
        else:
            here.dropped("port is not an object", port)
    return ports


def _given(value: object, spot: Spot) -> list[Given]:
    """Terms as a list of ids, of (id, label) pairs, or a single id."""
    values = [value] if isinstance(value, str) else _list(value, spot)
    return [Given(*one) if isinstance(one, list) and len(one) == 2 else Given(one) for one in values]


def _list(value: object, spot: Spot) -> list[Any]:
    if value is not None and not isinstance(value, list):
        spot.dropped("not a list", value)
    return value if isinstance(value, list) else []


def _parents(path: Path, note: Report, vocabulary: Vocabulary) -> Iterator[Item]:
    """is_a facts of the formats that have a parent in `ext_formats.tsv`: columns format, `parent=ID` or a label."""
    for spot, line in numbered_lines(path, path.name, note):
        name, _, rest = line.partition("\t")
        parent = rest.partition("\t")[0].removeprefix("parent=")
        if not name.startswith("ext:") or not EDAM_ID.fullmatch(parent):
            continue
        for term in vocabulary.terms(name, "format", Report().at(path.name)):
            above = vocabulary.terms(parent, "format", spot)
            source = Provenance("tables", name, UNKNOWN)
            if term.name and above:
                yield from own_term_items(term._replace(parents=tuple(up.id for up in above)), source)


READ = {FILES[0]: (_tool, "tool"), FILES[1]: (_command, "command"), FILES[2]: (_source, "source")}
TABLES = Importer("tables", _units, _records)
