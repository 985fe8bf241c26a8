"""Importer `edam`: EDAM in any version or branch, as OWL (RDF/XML) or as the table (TSV, CSV) it is published with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.kg.edam import EDAM_ID, ROOTS, Edam, terms_of
from workbench.kg.importers.core import Importer, Options, ending_in
from workbench.kg.importers.items import REGISTRIES, FactItem, Item, Node, Provenance, RegistryError, Report, Unit
from workbench.kg.importers.reading import table_rows, xml_events
from workbench.kg.importers.vocabulary import text

Row = dict[str, str]
COLUMNS = ("Class ID", "Preferred Label", "Obsolete", "Parents")
_OBO = "http://www.geneontology.org/formats/oboInOwl#"
_OWL = "{http://www.w3.org/2002/07/owl#}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_RDFS = "{http://www.w3.org/2000/01/rdf-schema#}"
_EXTENSION = "{http://edamontology.org/}file_extension"
MAX_CELL = 20_000  # characters that are kept of a cell


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """Nodes and is_a facts of one file."""
    spot = note.at(unit.name)
    terms = _read(unit, note)
    if not terms:
        spot.dropped("no EDAM classes in it")
    source = REGISTRIES["EDAM"]
    for term_id, term in sorted(terms.items()):
        branch = term_id.split("_")[0]
        name = text(term.label, spot.at(term_id))
        if term.obsolete or not name:
            spot.at(term_id).dropped("obsolete class" if term.obsolete else "class without a label", term.label)
            continue
        yield Node(term_id, branch, name)
        for parent in term.parents:
            yield FactItem(term_id, f"{branch}_is_a", parent, Provenance("EDAM", term_id, source))


def read_edam(path: str | Path, note: Report | None = None) -> Edam:
    """EDAM from a file in place of the installed one, for looking terms up; its version is what the file says.

    Raises `RegistryError` when there is no such file or no EDAM class in it.
    """
    note = note or Report()
    found: dict[str, Any] = {}
    for unit in IMPORTER.find(path):
        found.update(_read(unit, note))
    missing = [root for root in ROOTS.values() if root not in found]
    if missing:
        raise RegistryError(f"{path}: no complete EDAM, the branch roots {', '.join(missing)} are missing")
    return Edam(found, version=Path(path).stem)


def _read(unit: Unit, note: Report) -> dict[str, Any]:
    table = unit.path.suffix.lower() in (".tsv", ".csv")
    rows = list(_table(unit, note) if table else _owl(unit, note))
    return dict(terms_of(rows))


def _table(unit: Unit, note: Report) -> Iterator[Row]:
    """The rows of the table, with a cell for every column."""
    header: list[str] = []
    by = "," if unit.path.suffix.lower() == ".csv" else "\t"
    for spot, cells in table_rows(unit, note, quoted=True, by=by):
        if not header:
            header = cells
            if missing := [column for column in COLUMNS if column not in header]:
                return note.at(unit.name).dropped(f"columns missing: {', '.join(missing)}")
            continue
        note.record(unit.name)
        row = dict(zip(header, (cell[:MAX_CELL] for cell in cells), strict=False))
        if not EDAM_ID.fullmatch(row.get("Class ID", "").rsplit("/", 1)[-1]):
            spot.dropped("class of none of the four branches", row.get("Class ID", ""))
            continue
        yield dict.fromkeys((*header, _OBO + "replacedBy", _OBO + "consider"), "") | row
    return None


def _owl(unit: Unit, note: Report) -> Iterator[Row]:
    """The classes of an OWL file as rows of the table."""
    for element in xml_events(unit.path, note.at(unit.name), keep=lambda e: e.tag == f"{_OWL}Class"):
        identifier = element.get(f"{_RDF}about", "")
        if not EDAM_ID.fullmatch(identifier.rsplit("/", 1)[-1]):
            continue
        note.record(unit.name)
        obsolete = [e.text for e in element.iterfind(f"{_OWL}deprecated")]
        yield {
            "Class ID": identifier,
            "Preferred Label": next((e.text or "" for e in element.iterfind(f"{_RDFS}label")), "")[:MAX_CELL],
            "Obsolete": "TRUE" if any((text or "").strip().lower() == "true" for text in obsolete) else "FALSE",
            "Parents": _joined(element, f"{_RDFS}subClassOf"),
            "Synonyms": _joined(element, *(f"{{{_OBO}}}has{kind}Synonym" for kind in ("Exact", "Narrow", "Related"))),
            "File extension": _joined(element, _EXTENSION),
            _OBO + "replacedBy": _joined(element, f"{{{_OBO}}}replacedBy"),
            _OBO + "consider": _joined(element, f"{{{_OBO}}}consider"),
        }


def _joined(element: Any, *tags: str) -> str:
    """The values of child elements, addresses or texts, as one cell."""
    values = [child.get(f"{_RDF}resource") or child.text or "" for tag in tags for child in element.iterfind(tag)]
    return "|".join(value.strip().replace("|", "/") for value in values if value.strip())[:MAX_CELL]


IMPORTER = Importer("edam", ending_in(".owl", ".rdf", ".xml", ".tsv", ".csv"), read_unit)
