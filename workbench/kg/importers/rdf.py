"""Importers `rdf`, of RDF, JSON-LD and OWL files through rdflib, and `edam`, of EDAM in any version or branch.

Without a mapping, properties and classes are known by their last name (`.../output`, `.../Tool`), `rdfs:subClassOf` and
`skos:broader` are is_a, and a restriction (`subClassOf some property class`) is a triple. Nothing is fetched: a JSON-LD
context that is an address is refused, `owl:imports` are not followed. N-Triples are read line by line. EDAM is read as
OWL (RDF/XML), or as the table (TSV, CSV) it is published with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.kg.edam import BRANCHES, EDAM_ID, ROOTS, Edam, terms_of
from workbench.kg.importers.imports import Importer, Options, ending_in, quiet
from workbench.kg.importers.items import REGISTRIES, FactItem, Item, Node, Provenance, RegistryError, Report, Spot, Unit
from workbench.kg.importers.reading import in_words, numbered_lines, safe_json, table_rows, xml_events
from workbench.kg.importers.statements import Entities
from workbench.kg.importers.vocabulary import text

Row = dict[str, str]
COLUMNS = ("Class ID", "Preferred Label", "Obsolete", "Parents")
_OBO = "http://www.geneontology.org/formats/oboInOwl#"
_OWL = "{http://www.w3.org/2002/07/owl#}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_RDFS = "{http://www.w3.org/2000/01/rdf-schema#}"
_EXTENSION = "{http://edamontology.org/}file_extension"
MAX_CELL = 20_000  # characters that are kept of a cell


def _ontology(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
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

    Examples:
        >>> from importlib.resources import files
        >>> "format_1930" in read_edam(str(files("edam_ontology") / "EDAM.tsv"))
        True
    """
    note = note or Report()
    found: dict[str, Any] = {}
    for unit in EDAM.find(path):
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


EDAM = Importer("edam", ending_in(".owl", ".rdf", ".xml", ".tsv", ".csv"), _ontology)


Triple = tuple[Spot, Any, str, Any]  # subject and object are terms of rdflib
Source = Callable[[Report], Iterator[Triple]]

FORMATS = {
    ".ttl": "turtle", ".nt": "nt", ".n3": "n3", ".nq": "nquads", ".trig": "trig", ".rdf": "xml", ".owl": "xml",
    ".xml": "xml", ".jsonld": "json-ld", ".json": "json-ld",
}  # fmt: skip
MAX_BYTES = 512 * 2**20  # of a file that is read whole
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
OWL = "http://www.w3.org/2002/07/owl#"
ABOVE = ("http://www.w3.org/2000/01/rdf-schema#subClassOf", "http://www.w3.org/2004/02/skos/core#broader")
NAMES = (
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    "http://schema.org/name",
    "https://schema.org/name",
    "http://xmlns.com/foaf/0.1/name",
    "http://purl.org/dc/terms/title",
)


def _items(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one file: types and names first, then the facts."""
    source = _source(unit, note)
    if source is None:
        return note.record(unit.name)
    meaning, entities = options.mapping, Entities(unit, options)
    _learn(source(Report()), entities)
    told: set[str] = set()
    for spot, subject, predicate, thing in source(note):
        note.record(unit.name)
        if predicate in (RDF_TYPE, *NAMES, *meaning.names, *meaning.kinds) or predicate.startswith(OWL):
            continue
        yield from _fact(spot, (subject, predicate, thing), entities, told)
    for name, kind in sorted(entities.types.items()):
        yield from entities.node(name, kind, {}, note.at(unit.name, name))


def _learn(triples: Iterator[Triple], entities: Entities) -> None:
    """The types and names that the file states; of several names the first in sorted order, English before others."""
    meaning, best = entities.words, dict[str, tuple[bool, str]]()
    for _, subject, predicate, thing in triples:
        node = str(subject)
        if predicate in (RDF_TYPE, *meaning.kinds) and not _blank(subject):
            if kind := meaning.type(str(thing)):
                entities.types[node] = kind
        elif predicate in (*NAMES, *meaning.names):
            language = getattr(thing, "language", None)
            rank = (language not in (None, "en"), str(thing)[:1000])
            best[node] = min(best.get(node, rank), rank)
    entities.names.update({node: name for node, (_, name) in best.items()})


def _fact(spot: Spot, triple: tuple[Any, str, Any], entities: Entities, told: set[str]) -> Iterator[Item]:
    subject, predicate, thing = triple
    head, tail = str(subject), str(thing)
    if predicate in ABOVE:
        kind = _branch(head, entities) or _branch(tail, entities)
        predicate = f"{kind}_is_a" if kind else predicate
    if entities.words.way(predicate) is None:
        if predicate not in told:
            told.add(predicate)
            spot.dropped("property that has no meaning here, told once", predicate)
    elif _blank(subject) or _blank(thing):
        spot.dropped("blank node, which has no name", predicate)
    else:
        yield from entities.triple({"head": head, "relation": predicate, "tail": tail}, spot)


def _branch(node: str, entities: Entities) -> str:
    """The branch of a term, "" for what is none."""
    kind = entities.types.get(node) or (entities.words.prefix_type(node) or ("",))[0]
    short = node.rsplit("/", 1)[-1]
    if not kind and "edamontology.org" in node and EDAM_ID.fullmatch(short):
        kind = short.split("_")[0]
    return kind if kind in BRANCHES else ""


def _blank(term: Any) -> bool:
    return type(term).__name__ == "BNode"


def _source(unit: Unit, note: Report) -> Source | None:
    """How to go through the file's triples, or None and a finding where it cannot be read."""
    kind = FORMATS.get(unit.path.suffix.lower(), "turtle")
    if kind == "nt":
        return lambda report: _lines(unit, report)
    spot = note.at(unit.name)
    try:
        if unit.path.stat().st_size > MAX_BYTES:
            spot.dropped(f"file of more than {MAX_BYTES} bytes; write it as N-Triples, which need no memory")
            return None
        content = unit.path.read_bytes()
    except OSError as problem:
        spot.dropped("file cannot be read", problem.strerror or "")
        return None
    safe = _safe_xml(unit, spot) if kind == "xml" else kind != "json-ld" or safe_json(content, spot)
    if not safe or (triples := _parsed(content, kind, spot)) is None:
        return None
    return lambda report: _sorted(triples, report.at(unit.name))


def _parsed(content: bytes, kind: str, spot: Spot) -> Any:
    import rdflib

    graph = rdflib.Dataset(default_union=True) if kind in ("nquads", "trig", "json-ld") else rdflib.Graph()
    try:
        with quiet("rdflib"):
            graph.parse(data=content, format=kind, publicID="urn:file:")
    except Exception as problem:  # the parsers raise whatever happens on what is no RDF
        spot.dropped(f"not RDF ({kind})", in_words(problem)[:200])
        return graph if len(graph) and kind not in ("json-ld",) else None
    return graph


def _sorted(graph: Any, spot: Spot) -> Iterator[Triple]:
    """The triples in the order of their texts; restrictions come as triples of the class that they restrict."""
    import rdflib

    some = rdflib.URIRef(f"{OWL}someValuesFrom")
    filled = {node: thing for node, _, thing in graph.triples((None, some, None))}
    on = {node: str(p) for node, _, p in graph.triples((None, rdflib.URIRef(f"{OWL}onProperty"), None))}
    rows = []
    for subject, predicate, thing in graph.triples((None, None, None)):
        if str(predicate) in ABOVE and thing in filled and thing in on:
            rows.append((subject, on[thing], filled[thing]))
        elif not (_blank(subject) and _blank(thing)):
            rows.append((subject, str(predicate), thing))
    for subject, predicate, thing in sorted(rows, key=lambda row: (str(row[0]), row[1], str(row[2]))):
        yield spot.at(str(subject)[:200]), subject, predicate, thing


def _lines(unit: Unit, note: Report) -> Iterator[Triple]:
    """N-Triples one line at a time: a bad line is told, the others are read."""
    from rdflib.plugins.parsers.ntriples import DummySink, W3CNTriplesParser

    found: list[tuple[Any, Any, Any]] = []

    class Sink(DummySink):
        def triple(self, s: Any, p: Any, o: Any) -> None:
            found.append((s, p, o))

    for spot, line in numbered_lines(unit.path, unit.name, note):
        found.clear()
        try:
            with quiet("rdflib"):
                W3CNTriplesParser(Sink()).parsestring(line)
        except Exception as problem:  # the parser raises whatever happens on what is no triple
            spot.dropped("not an N-Triple", f"{problem}: {line}")
            continue
        for subject, predicate, thing in found:
            yield spot, subject, str(predicate), thing


def _safe_xml(unit: Unit, spot: Spot) -> bool:
    before = len(spot.report.lines)
    for _ in xml_events(unit.path, spot, keep=lambda element: False):
        pass
    return len(spot.report.lines) == before


RDF = Importer("rdf", ending_in(*FORMATS), _items)
