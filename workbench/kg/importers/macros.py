"""Galaxy's tool files with macros, tokens and imports expanded, once these are checked; needs the extra `galaxy`.

Galaxy's reader trusts its files: it opens any path an import names, and macros of macros can grow without end. So every
file is checked first: no document type, imports inside the folder and without a cycle, a bound on the expansion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
from defusedxml.ElementTree import parse

from workbench.artifacts.origin import install_command
from workbench.kg.importers.core import quiet
from workbench.kg.importers.items import RegistryError
from workbench.kg.importers.reading import XML_ERRORS, levels

MAX_BYTES = 4 * 2**20  # of one file
MAX_FILES = 60  # imported by one tool
MAX_EXPANDED = 16 * 2**20  # characters of the expanded tool, at most
EXPAND = 3000  # what one expansion counts as, in characters: each is a walk through the tool
MAX_DEPTH = 80  # of nesting


class Refused(ValueError):
    """A tool that is not read, with the reason."""


def expanded(path: Path, root: Path) -> Any:
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
        raise Refused(
            f"Galaxy's reader refuses it: {' '.join(str(problem).split()) or type(problem).__name__}"
        ) from None


def tag_of(path: Path) -> str:
    """The name of the root element; raises `Refused` for a file that is no XML or may do harm."""
    return str(_parsed(path).tag)


def _trees(path: Path, root: Path) -> Iterator[Any]:
    """The tool and everything it imports, each file once; imports are relative to the tool's folder."""
    base, inside = path.parent, root.resolve()
    waiting, seen = [path], {path.resolve()}
    open_ = nx.DiGraph()
    for file in waiting:
        tree = _parsed(file)
        yield tree
        for given in _imports(tree):
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
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused(f"XML file of more than {MAX_BYTES} bytes")
        root = parse(path, forbid_dtd=True).getroot()
    except Refused:
        raise
    except XML_ERRORS as problem:
        text = " ".join(str(problem).split()) or type(problem).__name__
        raise Refused(f"not XML that can be read safely: {text}") from problem
    if any(depth > MAX_DEPTH for depth, _ in levels(root, iter)):
        raise Refused(f"XML nested deeper than {MAX_DEPTH}")
    return root


def _imports(tree: Any) -> Iterator[str]:
    places = [tree] if tree.tag == "macros" else tree.findall("macros")
    for place in places:
        yield from (element.text for element in place.findall("import") if element.text)


class _Bound:
    """The most characters an expansion can give, from sizes alone: of an `expand`, its macro's size and, as often as
    that has a `yield`, its children's."""

    def __init__(self, trees: list[Any]) -> None:
        self.tool = trees[0]
        places = [place for tree in trees for place in ([tree] if tree.tag == "macros" else tree.findall("macros"))]
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
