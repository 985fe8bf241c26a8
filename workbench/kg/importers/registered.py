"""Tools and commands as registries describe them, made into items: the part that all tool importers share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from workbench.kg.columns import branch_of
from workbench.kg.importers.items import FactItem, Item, Node, Provenance, Report, Spot
from workbench.kg.importers.vocabulary import COMPRESSION, SPOKEN, Term, Vocabulary, licence_id, text, texts
from workbench.kg.naming import MAX_URL, is_url, slug

MANY = 2000  # ports of a command, terms of a port: more is a broken record
_DOI = re.compile(r"10\.\d{4,9}/\S+")


class Given(NamedTuple):
    """A term as it is written, with the label beside it where there is one."""

    value: Any
    label: Any = None


@dataclass
class Port:
    """An input or output: alternatives of formats, kinds of data.

    beside: given beside the main data, as a reference is. `fallback` (patterns) is read where the formats say nothing,
    `prose` (a name, a description) where neither does.
    """

    formats: Sequence[Given] = ()
    data: Sequence[Given] = ()
    optional: bool = False
    beside: bool = False
    fallback: Sequence[Given] = ()
    prose: str = ""


@dataclass
class Tool:
    """A tool, values as the registry writes them."""

    id: Any
    name: Any = None
    biotools_id: Any = None
    homepage: Any = None
    download: Any = None
    license: Any = None
    packages: Any = ()
    doi: Any = ()
    aliases: Any = ()
    listed: Any = ()  # registries that know it
    topics: Sequence[Given] = ()

    def items(self, source: Provenance, spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
        """Its node, topics and licence; nothing where it has no id."""
        node = tool_id(self.id, spot.at("id"))
        if not node:
            return
        attributes = {key: read(getattr(self, key), spot.at(key)) for key, read in READ.items()}
        name = text(self.name, spot.at("name")) or node.partition(":")[2]
        yield Node(node, "tool", name, {key: value for key, value in attributes.items() if value})
        if attributes["license"]:
            yield Node(f"license:{attributes['license']}", "license", attributes["license"])
            yield FactItem(node, "licensed_under", f"license:{attributes['license']}", source)
        for term in _terms(self.topics, "topic", spot.at("topics"), vocabulary):
            yield FactItem(node, "has_topic", term.id, source)


@dataclass
class Command:
    """A command, values as the registry writes them. id: what follows `command:`."""

    id: str
    name: str
    operations: Sequence[Given] = ()
    inputs: Sequence[Port] = ()
    outputs: Sequence[Port] = ()
    aliases: Sequence[str] = field(default_factory=list)

    def items(self, tool: str, source: Provenance, spot: Spot, vocabulary: Vocabulary) -> Iterator[Item]:
        """Its node and facts. tool: node id of the tool it belongs to."""
        node = f"command:{self.id}"
        attributes = {
            "optional_ports": [n for n, port in enumerate(self.inputs) if port.optional],
            "side_ports": [n for n, port in enumerate(self.inputs) if port.beside],
            "aliases": [a for a in self.aliases if a and a != self.name],
        }
        yield Node(node, "command", self.name, {key: value for key, value in attributes.items() if value})
        yield FactItem(node, "command_of", tool, source)
        for term in _terms(self.operations, "operation", spot.at("operations"), vocabulary):
            yield FactItem(node, "performs", term.id, source)
        for side, ports in (("input", self.inputs), ("output", self.outputs)):
            for number, port in enumerate(ports[:MANY]):
                for term in port_terms(port, spot.at(f"{side}s", number), vocabulary):
                    relation = side if branch_of(term.id) == "format" else f"{side}_data"
                    ends = (term.id, node) if side == "input" else (node, term.id)
                    yield from own_term_items(term, source)
                    yield FactItem(ends[0], relation, ends[1], source, number)


def tool_id(value: object, spot: Spot) -> str:
    """The node id of a tool, "" (and a finding) where its name has nothing to make one of."""
    name = slug(text(value, spot))
    if not name:
        spot.dropped("tool without an id or name", value)
    return f"tool:{name}" if name else ""


def source_items(
    node: Node, ports: Sequence[Port], source: Provenance, spot: Spot, vocabulary: Vocabulary
) -> Iterator[Item]:
    """A source's node and what it delivers."""
    yield node
    for number, port in enumerate(ports):
        for term in port_terms(port, spot.at("outputs", number), vocabulary):
            yield from own_term_items(term, source)
            yield FactItem(node.id, "download_from", term.id, source)


def own_term_items(term: Term, source: Provenance) -> Iterator[Item]:
    """What an own term needs beside the fact it stands in: its node and the terms above it; nothing for EDAM's."""
    if term.name:
        branch = branch_of(term.id)
        yield Node(term.id, branch, term.name)
        for parent in term.parents:
            yield FactItem(term.id, f"{branch}_is_a", parent, source)


def port_terms(port: Port, spot: Spot, vocabulary: Vocabulary) -> list[Term]:
    """Formats and data of a port; a packing (gzip) beside a content format says nothing of the content and is left."""
    found = _terms(port.formats, "format", spot.at("formats"), vocabulary)
    found += _terms(port.data, "data", spot.at("data"), vocabulary)
    content = [term for term in found if term.id not in COMPRESSION]
    if not any(branch_of(term.id) == "format" for term in content) and port.fallback:
        content += _terms(port.fallback, "format", spot.at("pattern"), vocabulary)
    if not content and port.prose:
        content = _spoken(port.prose, spot, vocabulary)
    formats = [term for term in content if branch_of(term.id) == "format" and term.id not in COMPRESSION]
    if formats or not found:
        for term in found:
            if term.id in COMPRESSION:
                spot.dropped("compression given as a format or data type", term.id)
        found = content
    return list(dict.fromkeys(found))


def _spoken(prose: str, spot: Spot, vocabulary: Vocabulary) -> list[Term]:
    """Formats that are named in a sentence."""
    words = dict.fromkeys(word for word in re.split(r"[^a-z0-9]+", prose[:2000].lower()) if word in SPOKEN)
    named = (vocabulary.terms(word.removesuffix("s"), "format", Report().at("")) for word in words)
    found = list(dict.fromkeys(chain.from_iterable(named)))
    if found:
        spot.repaired("no format stated, read from the description", ", ".join(words))
    return found


def _terms(given: Iterable[Given], branch: str, spot: Spot, vocabulary: Vocabulary) -> list[Term]:
    found: dict[Term, None] = {}
    for index, (value, label) in enumerate(given):
        if index >= MANY:
            spot.dropped(f"more than {MANY} values")
            break
        found.update(dict.fromkeys(vocabulary.terms(value, branch, spot.at(index), label=label)))
    return list(found)


def _url(value: object, spot: Spot) -> str:
    url = text(value, spot, limit=MAX_URL)
    if url and not is_url(url):
        if is_url(f"https://{url}") and re.match(r"(www\.)?[\w-]+(\.[\w-]+)+(/|$)", url):
            spot.repaired("address without https://", url)
            return f"https://{url}"
        spot.dropped("not an http(s) address", url)
        return ""
    return url


def _dois(value: object, spot: Spot) -> list[str]:
    found = []
    for doi in texts(value, spot):
        if match := _DOI.search(doi):
            found.append(match[0].lower())
        else:
            spot.dropped("not a DOI", doi)
    return found


READ: dict[str, Callable[[object, Spot], Any]] = {  # attribute of a tool -> how what the registry writes is read
    "biotools_id": text, "homepage": _url, "download": _url, "license": licence_id, "packages": texts, "doi": _dois,
    "aliases": texts, "listed": texts,
}  # fmt: skip
