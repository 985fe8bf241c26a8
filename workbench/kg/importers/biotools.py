"""Importer `biotools`: entries of bio.tools as JSON, one to a file or many, a folder of them or pages of its interface.

Every function of an entry is a command; a database portal is a source of what its functions deliver as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workbench.kg.importers.core import Importer, Options, ending_in
from workbench.kg.importers.items import REGISTRIES, Item, Node, Provenance, Report, Spot, Unit
from workbench.kg.importers.reading import json_records
from workbench.kg.importers.records import (
    Command,
    Given,
    Port,
    Tool,
    command_items,
    source_items,
    tool_id,
    tool_items,
)
from workbench.kg.importers.vocabulary import Vocabulary, listed, text

Record = dict[str, Any]
MAX_FUNCTIONS = 200
_PACKAGE = re.compile(r"anaconda\.org/([\w.-]+)/([\w.-]+)", re.I)


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
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
    yield from tool_items(_tool(record, short, spot), source, spot, vocabulary)
    functions = _objects(record.get("function"), spot.at("function"))
    if not functions:
        spot.at("function").kept("tool without functions, so without commands", short)
    for number, (place, function) in enumerate(functions[:MAX_FUNCTIONS], start=1):
        command = _command(function, short, number, place)
        yield from command_items(command, node, source, place, vocabulary)
    if "Database portal" in listed(record.get("toolType")):
        yield from _portal(record, node, functions, source, vocabulary)


def _tool(record: Record, short: str, spot: Spot) -> Tool:
    addresses = [
        one.get("url") for key in ("download", "link") for _, one in _objects(record.get(key), Report().at("", key))
    ]
    packages = [match.groups() for url in addresses if isinstance(url, str) and (match := _PACKAGE.search(url))]
    downloads = _objects(record.get("download"), spot.at("download"))
    return Tool(
        id=short,
        name=record.get("name"),
        biotools_id=short,
        homepage=record.get("homepage"),
        download=next((one.get("url") for _, one in downloads), None),
        license=record.get("license"),
        packages=[f"{channel}::{name}" for channel, name in packages],
        doi=[one["doi"] for _, one in _objects(record.get("publication"), spot.at("publication")) if one.get("doi")],
        topics=[_term(one) for _, one in _objects(record.get("topic"), spot.at("topic"))],
    )


def _command(function: Record, short: str, number: int, spot: Spot) -> Command:
    """Named after its call where one is given, else after the tool, from the second function on with its number."""
    call = text(function.get("cmd"), spot.at("cmd"), limit=60)
    name = short if number == 1 else f"{short} function {number}"
    operations = [_term(one) for _, one in _objects(function.get("operation"), spot.at("operation"))]
    ports = {side: _ports(function.get(side), spot.at(side)) for side in ("input", "output")}
    words = re.match(r"[\w.-]+( [a-z][\w.-]*)?(?= |$)", call)
    called = words[0] if words and words[0].split(" ")[0].lower() == short.lower() else name
    return Command(id=name, name=called, operations=operations, inputs=ports["input"], outputs=ports["output"])


def _portal(
    record: Record, node: str, functions: list[tuple[Spot, Record]], source: Provenance, vocabulary: Vocabulary
) -> Iterator[Item]:
    untold = Report().at("")  # what is odd is told once, where the command was read
    ports = [port for place, one in functions[:MAX_FUNCTIONS] for port in _ports(one.get("output"), place.at("output"))]
    made = Node(f"source:{node.partition(':')[2]}", "source", text(record.get("name"), untold) or node)
    yield from source_items(made, ports, source, untold, vocabulary)


def _ports(value: object, spot: Spot) -> list[Port]:
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


IMPORTER = Importer("biotools", ending_in(".json", ".jsonl"), read_unit)
