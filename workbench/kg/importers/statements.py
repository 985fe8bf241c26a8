"""Importers `triples` and `graphml`: typed statements of any domain, with a mapping of their words to ours.

Triples are TSV, CSV or JSON lines: a table has a header with columns for head, relation and tail (or three columns and
no header); JSON lines are objects with these keys, or lists of three. In GraphML a node's type and name are its data
`type` and `name` (or `label`), an edge's relation is its data `relation` (or `label`, `predicate`), else its id, which
is where networkx writes the key of a multigraph's edge. See `workbench.kg.importers.mapping` for the mapping.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.kg.columns import OWN_TERM
from workbench.kg.edam import BRANCHES, EDAM_ID, ROOTS
from workbench.kg.importers.imports import Importer, Options, ending_in
from workbench.kg.importers.items import FactItem, Item, Node, Provenance, Report, Spot, Unit, shown
from workbench.kg.importers.mapping import Words
from workbench.kg.importers.reading import json_lines, table_rows, xml_events
from workbench.kg.importers.vocabulary import licence_id, text
from workbench.kg.naming import MAX_NAME, is_url, slug

_EDAM_NAME = re.compile(r"(?:https?://(?:www\.)?edamontology\.org/|edam:)(\w+)", re.I)
Given = dict[str, Any]  # a triple by our column names, values as the file has them


class Entities:
    """Reads the triples of a file, which stands for the registry where nothing else is said.

    types, names: those that the file states of a node before or besides its triples.
    """

    def __init__(self, unit: Unit, options: Options) -> None:
        self.words, self.vocabulary = options.mapping, options.vocabulary
        self.registry = shown(Path(unit.path.stem))[:100]
        self.types: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self._met: defaultdict[str, set[str]] = defaultdict(set)  # types of ends that could have no other

    def triple(self, given: Given, spot: Spot) -> Iterator[Item]:
        """The two nodes and the fact of a triple, or a finding why there is none."""
        head, word, tail = (text(given.get(key), spot.at(key), limit=1000) for key in ("head", "relation", "tail"))
        if not (head and word and tail):
            return spot.dropped("triple without a head, relation or tail", " | ".join((head, word, tail)))
        way = self.words.way(word)
        if way is None:
            return spot.dropped("relation that has no meaning here", word)
        ends = [(head, "head"), (tail, "tail")]
        found = []
        for (name, end), types in zip(reversed(ends) if way.reverse else ends, way.ends, strict=True):
            stated = self._type(name, given.get(f"{end}_type"), types, spot.at(f"{end}_type"))
            called = text(given.get(f"{end}_name"), spot.at(f"{end}_name")) or self.names.get(name, "")
            found.append(list(self._node(name, stated, called, spot.at(end))))
        if not all(found):
            return None
        yield from found[0] + found[1]
        yield self._fact(way.relation, found[0][0].id, found[1][0].id, given, spot)

    def node(self, name: str, kind: str, attributes: Given, spot: Spot) -> Iterator[Item]:
        """A node of its own, without a triple."""
        found = list(self._node(name, kind, text(attributes.get("name"), spot) or self.names.get(name, ""), spot))
        extra = {
            key: value
            for key in ("homepage", "biotools_id")
            if (value := text(attributes.get(key), spot.at(key), limit=1000)) and (key != "homepage" or is_url(value))
        }
        yield from (item._replace(attributes=extra) if n == 0 and extra else item for n, item in enumerate(found))

    def _fact(self, relation: str, head: str, tail: str, given: Given, spot: Spot) -> FactItem:
        registry = text(given.get("registry"), spot.at("registry")) or self.words.registry or self.registry
        record = text(given.get("record"), spot.at("record")) or f"{spot.file}:{spot.place}"[:MAX_NAME]
        licence = licence_id(given.get("licence"), spot.at("licence")) or self.words.licence
        port = text(given.get("port"), spot.at("port"))
        number = int(port) if re.fullmatch(r"\d{1,4}", port) else None
        if port and number is None:
            spot.at("port").dropped("port is not a number", port)
        return FactItem(head, relation, tail, Provenance(registry, record, licence), number)

    def _type(self, name: str, stated: object, possible: tuple[str, ...], spot: Spot) -> str:
        """The type of an end: as stated, by its id, or what the relation asks for (the first of several)."""
        word = text(stated, spot)
        if word and (found := self.words.type(word)):
            return found
        if word:
            spot.dropped("type that has no meaning here", word)
        if prefixed := self.words.prefix_type(name):
            return prefixed[0]
        if self.words.edam and EDAM_ID.fullmatch(_short(name)):
            return _short(name).split("_")[0]
        if found := self.types.get(name):
            return found
        met = self._met[name]
        known = [kind for kind in possible if kind in met]
        if len(possible) > 1 and not known:
            spot.kept(f"type not stated, one of {' or '.join(possible)}; taken as the first", name)
        if len(possible) == 1:
            met.add(possible[0])
        return next(iter(known), possible[0])

    def _node(self, name: str, kind: str, called: str, spot: Spot) -> Iterator[Node]:
        """The node; nothing and a finding where its name makes no id."""
        prefixed = self.words.prefix_type(name)
        rest = (prefixed[1] if prefixed and prefixed[0] == kind else name).strip()
        shown = text(called or _tail(rest), Report().at(""))
        if not rest or not shown:
            return spot.dropped("name that makes no id", name)
        if kind in BRANCHES:
            yield from self._term(rest, kind, shown, spot)
        elif kind == "license":
            licence = licence_id(shown, spot)
            yield Node(f"license:{licence}", kind, licence)
        elif kind == "command":
            yield Node(f"command:{text(rest, spot)}", kind, shown)
        else:
            yield Node(f"{kind}:{slug(rest) if not is_url(rest) else own_name(rest)}", kind, shown)

    def _term(self, name: str, branch: str, shown: str, spot: Spot) -> Iterator[Node]:
        edam, short = self.vocabulary.edam, _short(name)
        if self.words.edam and (EDAM_ID.fullmatch(short) or short != name):
            if short in ROOTS.values():  # says nothing of a port, but stands above terms
                yield Node(short, branch, edam.label(short))
            elif not EDAM_ID.fullmatch(short):
                spot.dropped("no such EDAM id", name)
            else:
                for term in self.vocabulary.terms(short, branch, spot):
                    yield Node(term.id, term.id.split("_")[0], edam.label(term.id))
        elif self.words.edam and (found := edam.lookup(shown, branch)) and found != ROOTS[branch]:
            yield Node(found, branch, edam.label(found))
        else:
            yield Node(name if OWN_TERM.fullmatch(name) else f"{branch}:{own_name(name)}", branch, shown)


def _short(name: str) -> str:
    """Of a name in EDAM, what follows its address or prefix."""
    match = _EDAM_NAME.fullmatch(name)
    return match[1] if match else name


def own_name(name: str) -> str:
    """A name as the id of an own term: a-z, 0-9 and _; of long or foreign names a digest keeps them apart."""
    local = _tail(name) if is_url(name) else name
    plain = re.sub(r"[^a-z0-9]+", "_", slug(local).lower()).strip("_")
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:10]
    if not plain or re.fullmatch(r"x[0-9a-f]{10}", plain):
        return f"x{digest}"
    return plain if plain.isascii() and len(plain) <= 60 and not is_url(name) else f"{plain[:60]}_{digest}"


def _tail(name: str) -> str:
    """What follows the last / or # of an address; other names whole."""
    return re.split(r"[/#]", name.rstrip("/#"))[-1] if is_url(name) else name


Data = dict[str, str]
_KINDS = ("type", "kind", "entity_type", "category")
_NAMES = ("name", "label", "title")


def _graphml(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """Nodes, then edges, as an edge may stand before its ends."""
    meaning, entities = options.mapping, Entities(unit, options)
    edges: list[tuple[Spot, Data]] = []
    for tag, spot, given in _elements(unit, note):
        note.record(unit.name)
        if tag == "edge":
            edges.append((spot, given))
            continue
        kind = next((given[key] for key in (*meaning.kinds, *_KINDS) if key in given), "")
        entities.names[given["id"]] = next((given[key] for key in (*meaning.names, *_NAMES) if key in given), "")
        ours = meaning.type(kind) if kind else (meaning.prefix_type(given["id"]) or (None,))[0]
        if kind and not ours:
            spot.dropped("type that has no meaning here", kind)
        if ours:
            entities.types[given["id"]] = ours
            yield from entities.node(given["id"], ours, given, spot)
    for spot, given in edges:
        header = [key for key in given if key not in ("source", "target", "id")]
        triple = {ours: given.get(name) for ours, name in meaning.columns_of(header).items()}
        relation = triple.get("relation") or given.get("id")
        yield from entities.triple(
            {**triple, "head": given.get("source"), "relation": relation, "tail": given.get("target")}, spot
        )


def _elements(unit: Unit, note: Report) -> Iterator[tuple[str, Spot, Data]]:
    """(node or edge, place, attributes and data) in file order; an edge without ends or a node without id is told."""
    keys: dict[str, str] = {}
    counts = {"node": 0, "edge": 0}
    for element in xml_events(unit.path, note.at(unit.name), keep=lambda e: _local(e) in ("key", "node", "edge")):
        tag = _local(element)
        if tag == "key":
            keys[element.get("id", "")] = element.get("attr.name") or element.get("id", "")
            continue
        spot = note.at(unit.name, f"/graphml/graph/{tag}[{counts[tag] + 1}]")
        counts[tag] += 1
        given = _data(element, keys)
        missing = [name for name in (("id",) if tag == "node" else ("source", "target")) if not given.get(name)]
        if missing:
            note.record(unit.name)
            spot.dropped(f"{tag} without {' and '.join(missing)}")
            continue
        yield tag, spot, given


def _data(element: Any, keys: Data) -> Data:
    found = {
        keys.get(child.get("key", ""), ""): (child.text or "").strip() for child in element if _local(child) == "data"
    }
    return {**{key: value for key, value in found.items() if key and value}, **element.attrib}


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


GRAPHML = Importer("graphml", ending_in(".graphml", ".xml"), _graphml)


ENDS = ("head", "relation", "tail")
_JSON = (".jsonl", ".ndjson", ".json")


def _triples(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one file."""
    meaning, entities = options.mapping, Entities(unit, options)
    rows = _objects(unit, note, meaning) if unit.path.suffix.lower() in _JSON else _rows(unit, note, meaning)
    for spot, given in rows:
        yield from entities.triple(given, spot)


def _objects(unit: Unit, note: Report, meaning: Words) -> Iterator[tuple[Spot, dict[str, Any]]]:
    for spot, value in json_lines(unit, note):
        if isinstance(value, list) and len(value) == 3:
            yield spot, dict(zip(ENDS, value, strict=True))
        elif isinstance(value, dict):
            header = [str(key) for key in value]
            yield spot, {ours: value.get(name) for ours, name in meaning.columns_of(header).items()}
        else:
            spot.dropped("triple is neither an object nor a list of three", value)


def _rows(unit: Unit, note: Report, meaning: Words) -> Iterator[tuple[Spot, dict[str, Any]]]:
    places: dict[str, int] = {}
    quoted = unit.path.suffix.lower() == ".csv"  # else parted by tabs, without quoting
    for spot, cells in table_rows(unit, note, quoted=quoted, by="," if quoted else "\t"):
        if not places:
            places, headless = _places(cells, meaning)
            if not places:
                return spot.dropped("columns for head, relation and tail are missing", "\t".join(cells))
            if not headless:
                continue
        note.record(unit.name)
        if len(cells) <= max(places[end] for end in ENDS):
            spot.dropped(f"row of {len(cells)} cells", "\t".join(cells))
            continue
        yield spot, {ours: cells[place] for ours, place in places.items() if place < len(cells)}


def _places(header: list[str], meaning: Words) -> tuple[dict[str, int], bool]:
    """Our columns -> positions, and whether the first row is a triple already, as there is no header."""
    places = {ours: header.index(name) for ours, name in meaning.columns_of(header).items() if name in header}
    if all(end in places for end in ENDS):
        return places, False
    return ({end: number for number, end in enumerate(ENDS)}, True) if len(header) == 3 else ({}, False)


TRIPLES = Importer("triples", ending_in(".tsv", ".csv", ".txt", *_JSON), _triples)
