"""Importer `graphml`: graphs as GraphML, with a mapping of types and relations to ours.

A node's type and name are its data `type` and `name` (or `label`), an edge's relation is its data `relation` (or
`label`, `predicate`), else its id, which is where networkx writes the key of a multigraph's edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.kg.importers.core import Importer, Options, ending_in, shown
from workbench.kg.importers.entities import Entities
from workbench.kg.importers.items import Item, Report, Spot, Unit
from workbench.kg.importers.mapping import COLUMNS, words
from workbench.kg.importers.reading import xml_events

Data = dict[str, str]
_KINDS = ("type", "kind", "entity_type", "category")
_NAMES = ("name", "label", "title")


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """Nodes, then edges; the file is read twice, as an edge may stand before its ends."""
    meaning = words(options.mapping)
    entities = Entities(meaning, options.vocabulary, shown(Path(unit.path.stem))[:100])
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
        triple = {ours: given.get(meaning.column(ours, header) or "") for ours in COLUMNS}
        relation = triple["relation"] or given.get("id")
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


IMPORTER = Importer("graphml", ending_in(".graphml", ".xml"), read_unit)
