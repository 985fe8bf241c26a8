"""Importer `galaxy`: Galaxy tool wrappers (XML) with their macros, tokens and imports; needs the extra `galaxy`.

A wrapper is a command of the tool that its bio.tools reference or first package names. Inputs below a conditional or a
repeat may be left out, so they are optional ports. A data source tool is a source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.kg.importers.core import Importer, Options, files_below, one_file
from workbench.kg.importers.items import REGISTRIES, Item, Node, Provenance, Report, Spot, Unit
from workbench.kg.importers.macros import Refused, expanded, tag_of
from workbench.kg.importers.records import Command, Given, Port, Tool, command_items, source_items, tool_id, tool_items
from workbench.kg.importers.vocabulary import Vocabulary, licence_id, text
from workbench.kg.names import plain_key, slug

MAX_PORTS = 500
_SKIPPED = ("", "input", "auto", "data", "_sniff_")


def units(path: Path) -> list[Unit]:
    """The file given, or the XML files of the folder, macros among the files that belong to each."""
    if path.is_file():
        return one_file(path)
    files = files_below(path, ".xml")
    macros = tuple(file for file in files if b"<macros" in _start(file))
    return [Unit(file, path, macros) for file in files if file not in macros]


def _start(path: Path) -> bytes:
    """The first bytes up to the root element's name: enough to tell a file of macros from a tool."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    return head.split(b"<tool", 1)[0]


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one tool."""
    note.record(unit.name)
    spot = note.at(unit.name)
    try:
        tag = tag_of(unit.path)
        if tag != "tool":
            return spot.dropped("no tool: another root element", tag)
        source = expanded(unit.path, unit.root)
    except Refused as problem:
        return spot.dropped("tool that cannot be read", str(problem))
    yield from _tool(source, spot.at("tool"), options.vocabulary)


def _tool(source: Any, spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
    root = source.root
    short = text(root.get("id"), spot.at("@id"))
    if not short:
        return spot.dropped("tool without an id", root.get("id"))
    packages = [text(name, spot.at("requirements")) for name in _packages(source)]
    references = [
        ref["value"] for ref in _told(source.parse_xrefs, spot.at("xrefs"), []) if ref.get("type") == "bio.tools"
    ]
    own = licence_id(root.get("license"), spot.at("@license")) or REGISTRIES["Galaxy"]
    origin = Provenance("Galaxy", short, own)
    tool = text(next(iter(references), None), spot.at("xrefs")) or next(iter(packages), "") or short
    node = tool_id(tool, spot)
    if not node:
        return None
    yield from tool_items(_record(source, tool, packages, references, spot), origin, spot, vocabulary)
    outputs, name = _outputs(root, spot.at("outputs")), text(root.get("name"), spot.at("@name")) or short
    if root.get("tool_type") in ("data_source", "data_source_async"):
        if not slug(short):
            return spot.dropped("source without an id", short)
        made = Node(f"source:{slug(short)}", "source", name)
        yield from source_items(made, outputs, origin, spot, vocabulary)
        return None
    operations = [Given(one) for one in _told(source.parse_edam_operations, spot.at("edam_operations"), [])]
    record = Command(short, name, operations, _inputs(root, spot.at("inputs")), outputs, aliases=[short])
    yield from command_items(record, node, origin, spot, vocabulary)


def _record(source: Any, tool: str, packages: list[str], references: list[str], spot: Spot) -> Tool:
    dois = [e.text for e in source.root.iterfind("./citations/citation") if e.get("type") == "doi" and e.text]
    topics = [Given(one) for one in _told(source.parse_edam_topics, spot.at("edam_topics"), [])]
    return Tool(
        id=tool,
        name=tool,
        biotools_id=next(iter(references), None),
        packages=[f"bioconda::{name}" for name in _own(packages, tool)],
        doi=[doi.strip() for doi in dois],
        topics=topics,
    )


def _packages(source: Any) -> list[str]:
    found = source.root.iterfind("./requirements/requirement")
    return [e.text.strip() for e in found if e.get("type", "package") == "package" and e.text and e.text.strip()]


def _own(packages: list[str], tool: str) -> list[str]:
    """The packages of the tool itself; the others are what it needs (htslib for samtools)."""
    same = [name for name in packages if plain_key(name) == plain_key(tool)]
    return same or [name for name in packages if name][:1]


def _inputs(root: Any, spot: Spot) -> list[Port]:
    """Parameters that take data, in order; those that need not be given are optional."""
    ports: list[Port] = []
    waiting = [(child, False) for child in root.iterfind("./inputs/*")]
    while waiting and len(ports) < MAX_PORTS:
        element, free = waiting.pop(0)
        if element.tag == "param" and element.get("type") in ("data", "data_collection"):
            formats = [Given(one) for one in str(element.get("format") or "").split(",") if one.strip() not in _SKIPPED]
            if not formats:
                spot.at(str(element.get("name"))[:80]).kept("input that takes any format", element.get("format") or "")
            optional = free or str(element.get("optional")).lower() == "true"
            ports.append(Port(formats, optional=optional))
        else:
            free = free or element.tag in ("when", "repeat")
            waiting[:0] = [(child, free) for child in element if isinstance(child.tag, str)]
    return ports


def _outputs(root: Any, spot: Spot) -> list[Port]:
    """Data and collections the tool makes; a format may depend on parameters or be that of an input."""
    takes = {e.get("name"): e.get("format") for e in root.iter("param") if e.get("format")}
    ports = []
    for element in [e for e in root.iterfind("./outputs/*") if e.tag in ("data", "collection")][:MAX_PORTS]:
        given = [element.get("format"), *(one.get("format") for one in element.iter("when"))]
        given += [one.get("format") or one.get("ext") for one in element.iter("discover_datasets")]
        given += [one.get("format") for one in element.iterfind("./data")]
        given.append(takes.get(element.get("format_source") or element.get("structured_like")))
        names = [one.strip() for value in given if value for one in value.split(",")]
        formats = [Given(one) for one in dict.fromkeys(names) if one not in _SKIPPED]
        if not formats:
            spot.at(str(element.get("name"))[:80]).kept("output without a stated format", element.get("format") or "")
        ports.append(Port(formats))
    return ports


def _told(read: Callable[[], Any], spot: Spot, default: Any) -> Any:
    """What a method of Galaxy's reader gives, or the default and a finding where it fails."""
    try:
        return read()
    except Exception as problem:  # the reader raises whatever happens on odd wrappers
        spot.dropped("part that Galaxy's reader refuses", " ".join(str(problem).split()) or type(problem).__name__)
        return default


GALAXY = Importer("galaxy", units, read_unit)
