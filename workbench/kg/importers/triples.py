"""Importer `triples`: typed triples of any domain, as TSV, CSV or JSON lines, with a mapping of its words to ours.

A table has a header with columns for head, relation and tail (or three columns and no header); JSON lines are objects
with these keys, or lists of three. See `workbench.kg.importers.mapping` for the mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.kg.importers.core import Importer, Options, ending_in, shown
from workbench.kg.importers.entities import Entities
from workbench.kg.importers.items import Item, Report, Spot, Unit
from workbench.kg.importers.mapping import COLUMNS, Words, words
from workbench.kg.importers.reading import json_lines, table_rows

ENDS = ("head", "relation", "tail")
_JSON = (".jsonl", ".ndjson", ".json")


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one file."""
    meaning = words(options.mapping)
    entities = Entities(meaning, options.vocabulary, shown(Path(unit.path.stem))[:100])
    rows = _objects(unit, note, meaning) if unit.path.suffix.lower() in _JSON else _rows(unit, note, meaning)
    for spot, given in rows:
        yield from entities.triple(given, spot)


def _objects(unit: Unit, note: Report, meaning: Words) -> Iterator[tuple[Spot, dict[str, Any]]]:
    for spot, value in json_lines(unit, note):
        if isinstance(value, list) and len(value) == 3:
            yield spot, dict(zip(ENDS, value, strict=True))
        elif isinstance(value, dict):
            header = [str(key) for key in value]
            places = {ours: meaning.column(ours, header) for ours in COLUMNS}
            yield spot, {ours: value.get(place) for ours, place in places.items() if place is not None}
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
    return None


def _places(header: list[str], meaning: Words) -> tuple[dict[str, int], bool]:
    """Our columns -> positions, and whether the first row is a triple already, as there is no header."""
    named = {ours: meaning.column(ours, header) for ours in COLUMNS}
    places = {ours: header.index(name) for ours, name in named.items() if name in header}
    if all(end in places for end in ENDS):
        return places, False
    return ({end: number for number, end in enumerate(ENDS)}, True) if len(header) == 3 else ({}, False)


IMPORTER = Importer("triples", ending_in(".tsv", ".csv", ".txt", *_JSON), read_unit)
