"""Importer `galaxy`: Galaxy tool wrappers (XML) with their macros, tokens and imports; needs the extra `galaxy`.

A wrapper is a command of the tool that its bio.tools reference or first package names. Inputs below a conditional or a
repeat may be left out, so they are optional ports. A data source tool is a source.

Galaxy's reader trusts its files: it opens any path an import names, and macros of macros can grow without end. So every
file is checked first: no document type, imports inside the folder and without a cycle, a bound on the expansion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
from defusedxml.ElementTree import parse

from workbench.artifacts.start import install_command
from workbench.kg.importers.imports import Importer, Options, files_below, quiet
from workbench.kg.importers.items import REGISTRIES, Item, Node, Provenance, RegistryError, Report, Spot, Unit
from workbench.kg.importers.reading import XML_ERRORS, in_words, levels
from workbench.kg.importers.registered import Command, Given, Port, Tool, source_items, tool_id
from workbench.kg.importers.vocabulary import Vocabulary, licence_id, text
from workbench.kg.naming import plain_key, slug

MAX_PORTS = 500
_SKIPPED = ("", "input", "auto", "data", "_sniff_")
MAX_BYTES = 4 * 2**20  # of one file
MAX_FILES = 60  # imported by one tool
MAX_EXPANDED = 16 * 2**20  # characters of the expanded tool, at most
EXPAND = 3000  # what one expansion counts as, in characters: each is a walk through the tool
MAX_DEPTH = 80  # of nesting


def _units(path: Path) -> list[Unit]:
    """The file given, or the XML files of the folder, macros among the files that belong to each."""
    if path.is_file():
        return [Unit(path, path.parent)]
    files = files_below(path, ".xml")
    macros = tuple(file for file in files if b"<macros" in _start(file))
    return [Unit(file, path, macros) for file in files if file not in macros]


def _start(path: Path) -> bytes:
    """The first bytes up to the root element's name: enough to tell a file of macros from a tool."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    return head.split(b"<tool", 1)[0]


def _read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one tool."""
    note.record(unit.name)
    spot = note.at(unit.name)
    try:
        tag = _parsed(unit.path).tag
        if tag != "tool":
            return spot.dropped("no tool: another root element", tag)
        source = _expanded(unit.path, unit.root)
    except Refused as problem:
        return spot.dropped("tool that cannot be read", str(problem))
    yield from _tool(source, spot.at("tool"), options.vocabulary)


def _tool(source: Any, spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
    root = source.root
    short = text(root.get("id"), spot.at("@id"))
    if not short:
        return spot.dropped("tool without an id", root.get("id"))
    packages = [text(name, spot.at("requirements")) for name in _packages(source)]
    references = [ref["value"] for ref in _told(source.parse_xrefs, spot.at("xrefs")) if ref.get("type") == "bio.tools"]
    own = licence_id(root.get("license"), spot.at("@license")) or REGISTRIES["Galaxy"]
    origin = Provenance("Galaxy", short, own)
    tool = text(next(iter(references), None), spot.at("xrefs")) or next(iter(packages), "") or short
    node = tool_id(tool, spot)
    if not node:
        return None
    yield from _record(source, tool, packages, references, spot).items(origin, spot, vocabulary)
    outputs, name = _outputs(root, spot.at("outputs")), text(root.get("name"), spot.at("@name")) or short
    if root.get("tool_type") in ("data_source", "data_source_async"):
        if not slug(short):
            return spot.dropped("source without an id", short)
        made = Node(f"source:{slug(short)}", "source", name)
        yield from source_items(made, outputs, origin, spot, vocabulary)
        return None
    operations = [Given(one) for one in _told(source.parse_edam_operations, spot.at("edam_operations"))]
    record = Command(short, name, operations, _inputs(root, spot.at("inputs")), outputs, aliases=[short])
    yield from record.items(node, origin, spot, vocabulary)


def _record(source: Any, tool: str, packages: list[str], references: list[str], spot: Spot) -> Tool:
    dois = [e.text for e in source.root.iterfind("./citations/citation") if e.get("type") == "doi" and e.text]
    topics = [Given(one) for one in _told(source.parse_edam_topics, spot.at("edam_topics"))]
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


def _told(read: Callable[[], Any], spot: Spot) -> Any:
    """What a method of Galaxy's reader gives, or nothing and a finding where it fails."""
    try:
        return read()
    except Exception as problem:  # the reader raises whatever happens on odd wrappers
        spot.dropped("part that Galaxy's reader refuses", in_words(problem))
        return []


class Refused(ValueError):
    """A tool that is not read, with the reason."""


def _expanded(path: Path, root: Path) -> Any:
    """The tool's source with macros and tokens expanded: a `galaxy.tool_util.parser.xml.XmlToolSource`.

    root: the folder that imports may not leave. Raises `Refused` for a file that is harmful or that Galaxy's reader
    refuses, and `RegistryError` where the extra `galaxy` is not installed.
    """
    try:
        from galaxy.tool_util.loader import load_tool_with_refereces
        from galaxy.tool_util.parser.xml import XmlToolSource
    except ImportError as problem:
        command = install_command("galaxy")
        raise RegistryError(f"importing Galaxy tools needs galaxy-tool-util; install it with: {command}") from problem
    trees = list(_trees(path, root))
    if _Bound(trees).of_tool() > MAX_EXPANDED:
        raise Refused(f"macros that expand to more than {MAX_EXPANDED} characters")
    try:
        with quiet("galaxy"):
            tree, macro_paths = load_tool_with_refereces(str(path))
        return XmlToolSource(tree, source_path=str(path), macro_paths=macro_paths)
    except Exception as problem:  # the reader raises whatever happens, bare Exception and AssertionError too
        raise Refused(f"Galaxy's reader refuses it: {in_words(problem)}") from None


def _trees(path: Path, root: Path) -> Iterator[Any]:
    """The tool and everything it imports, each file once; imports are relative to the tool's folder."""
    base, inside = path.parent, root.resolve()
    waiting, seen = [path], {path.resolve()}
    open_ = nx.DiGraph()
    for file in waiting:
        tree = _parsed(file)
        yield tree
        for given in (e.text for place in _macros(tree) for e in place.findall("import") if e.text):
            target = (base / given.strip()).resolve()
            if "\0" in given or not target.is_relative_to(inside):
                raise Refused(f"imports a file outside the folder: {given[:80]!r}")
            if not target.is_file():
                raise Refused(f"imports a file that is missing: {given[:80]!r}")
            open_.add_edge(file.resolve(), target)
            if target not in seen:
                seen.add(target)
                waiting.append(target)
            if len(waiting) > MAX_FILES:
                raise Refused(f"imports more than {MAX_FILES} files")
    if not nx.is_directed_acyclic_graph(open_):
        raise Refused("imports in a circle")


def _parsed(path: Path) -> Any:
    """The root element; raises `Refused` for a file that is no XML or may do harm."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused(f"XML file of more than {MAX_BYTES} bytes")
        root = parse(path, forbid_dtd=True).getroot()
    except Refused:
        raise
    except XML_ERRORS as problem:
        raise Refused(f"not XML that can be read safely: {in_words(problem)}") from problem
    if any(depth > MAX_DEPTH for depth, _ in levels(root, iter)):
        raise Refused(f"XML nested deeper than {MAX_DEPTH}")
    return root


def _macros(tree: Any) -> list[Any]:
    """Where macros stand: a file of them itself, or the elements of a tool."""
    return [tree] if tree.tag == "macros" else tree.findall("macros")


class _Bound:
    """The most characters an expansion can give, from sizes alone: of an `expand`, its macro's size and, as often as
    that has a `yield`, its children's."""

    def __init__(self, trees: list[Any]) -> None:
        self.tool = trees[0]
        places = [place for tree in trees for place in _macros(tree)]
        self.tokens = {e.get("name", ""): e.text or "" for p in places for e in _named(p, "token")}
        self.macros = {e.get("name", ""): e for p in places for e in _named(p, "xml")}
        attributes = (value for tree in trees for e in tree.iter() for value in e.attrib.values())
        self.longest = max(map(len, attributes), default=0)
        self.sizes: dict[str, tuple[float, float]] = {}
        self.lengths: dict[str, float] = {}

    def of_tool(self) -> float:
        tokens = sum(self._token(name, ()) for name in self.tokens if name)  # expanded whether they are used or not
        own = sum(map(self._length, self.tool.attrib.values()))
        return tokens + own + sum(self._weight(child, ())[0] for child in self.tool if child.tag != "macros")

    def _weight(self, element: Any, above: tuple[str, ...]) -> tuple[float, float]:
        """(characters, yields) that an element becomes. above: the macros being measured."""
        inner = [self._weight(child, above) for child in element]
        size, yields = sum(pair[0] for pair in inner), sum(pair[1] for pair in inner)
        if element.tag == "expand":
            own, holes = self._macro(element.get("macro", ""), above)
            return EXPAND + own + holes * size, holes * yields
        texts = [element.text or "", element.tail or "", *element.attrib, *element.attrib.values()]
        return 20 + size + sum(map(self._length, texts)), yields + (element.tag == "yield")

    def _macro(self, name: str, above: tuple[str, ...]) -> tuple[float, float]:
        if name in above or len(above) > MAX_DEPTH:
            raise Refused(f"macro that expands itself: {name[:80]!r}")
        if name not in self.sizes:
            parts = [self._weight(child, (*above, name)) for child in self.macros.get(name, ())]
            self.sizes[name] = (sum(part[0] for part in parts), sum(part[1] for part in parts))
        return self.sizes[name]

    def _length(self, text: str) -> float:
        """Characters of a text once tokens stand in it; parameters of macros are at most the longest attribute."""
        marks = text.count("@") / 2
        named = sum(text.count(name) * self._token(name, ()) for name in self.tokens if name and name in text)
        return len(text) + named + marks * (self.longest if self.longest > 200 else 0)

    def _token(self, name: str, above: tuple[str, ...]) -> float:
        if name in above or len(above) > MAX_DEPTH:
            raise Refused(f"token that contains itself: {name[:80]!r}")
        if name not in self.lengths:
            value = self.tokens[name]
            counts = Counter({other: value.count(other) for other in self.tokens if other and other in value})
            self.lengths[name] = len(value) + sum(n * self._token(o, (*above, name)) for o, n in counts.items())
        return self.lengths[name]


def _named(place: Any, kind: str) -> Iterator[Any]:
    yield from place.findall(kind)
    yield from (e for e in place.findall("macro") if e.get("type", "xml") == kind)


GALAXY = Importer("galaxy", _units, _read_unit)
