"""A graph of another domain: `triples.tsv` (head, relation, tail, port) beside the `schema.json` that types them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

import networkx as nx

from workbench.kg.build import GraphError, check_graph
from workbench.kg.edam import name_key
from workbench.kg.importers.vocabulary import slug
from workbench.kg.schema import FILE as SCHEMA_FILE
from workbench.kg.schema import Schema, read_schema
from workbench.kg.tsv import MAX_NAME

FILE = "triples.tsv"
COLUMNS = ["head", "relation", "tail", "port"]
ON_PATHS = ("source", "format", "command", "data")  # one name space: a prompt must tell these apart

Thing = tuple[str, str]  # the domain's word for its type, name


class Triple(NamedTuple):
    """A row with its number in the file. port: number of the command's input that the fact belongs to, or None."""

    row: int
    head: str
    relation: str
    tail: str
    port: int | None


def read_triples(folder: str | Path | Traversable) -> nx.MultiDiGraph:
    """The graph of a folder with `schema.json` and `triples.tsv`.

    A thing is known by type and name; ids are `type:name-as-slug`, of commands `command:name`. Raises
    `FileNotFoundError`, or `GraphError` for the first row or name that breaks a rule.
    """
    folder = Path(str(folder))
    schema = read_schema(folder / SCHEMA_FILE)
    content = (folder / FILE).read_bytes()
    rows = list(_rows(content, schema, folder / FILE))
    things = _things(rows, schema, folder / FILE)
    ids = _ids({thing for ends in things.values() for thing in ends}, schema, folder / FILE)
    graph = nx.MultiDiGraph(name=schema.name, licences=[schema.licence], schema=schema.extra)
    graph.graph["table_digest"] = hashlib.sha256((folder / SCHEMA_FILE).read_bytes() + b"\0" + content).hexdigest()
    for (word, name), node in sorted(ids.items(), key=lambda pair: pair[1]):
        graph.add_node(node, type=schema.type_of(word), name=name, kind=word)
    for row in sorted(rows, key=lambda row: tuple(ids[end] for end in things[row.row])):
        _add(graph, row, [ids[end] for end in things[row.row]], schema)
    names = {name: node for (word, name), node in ids.items() if schema.entities[word] in ON_PATHS}
    if missing := [name for name in schema.showcase if name not in names]:
        raise GraphError(f"{folder / SCHEMA_FILE}: showcase: no triple names {missing[0]!r}")
    if schema.showcase:
        graph.graph["showcase"] = [[names[name]] for name in schema.showcase]
    check_graph(graph)
    return graph


def _add(graph: nx.MultiDiGraph, row: Triple, ends: list[str], schema: Schema) -> None:
    relation = schema.relation_of(row.relation)
    if not graph.has_edge(*ends, relation):
        source = {"registry": schema.name, "record": f"row {row.row}", "licence": schema.licence}
        graph.add_edge(*ends, relation)
        graph.edges[ends[0], ends[1], relation].update(relation=relation, provenance=[source])
    if row.port is not None:
        edge = graph.edges[ends[0], ends[1], relation]
        edge["ports"] = sorted({*edge.get("ports", ()), row.port})


def _rows(content: bytes, schema: Schema, path: Path) -> Iterator[Triple]:
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as problem:
        raise GraphError(f"{path}: not UTF-8 text ({problem.reason} at byte {problem.start})") from problem
    if not lines or lines[0].split("\t") not in (COLUMNS, COLUMNS[:3]):
        raise GraphError(f"{path} row 1: the columns must be {', '.join(COLUMNS)}, parted by tabs")
    seen: set[tuple[str, ...]] = set()
    for number, line in enumerate(lines[1:], 2):
        cells = [" ".join(cell.split()) for cell in line.split("\t")]
        head, relation, tail, port, *more = [*cells, "", "", "", ""]
        place = f"{path} row {number}"
        if len(cells) > len(COLUMNS) or any(more) or not all(cells[:3]) or len(cells) < 3:
            raise GraphError(f"{place}: a row has a head, a relation, a tail and perhaps a port, got {line[:80]!r}")
        if max(map(len, cells)) > MAX_NAME or not "".join(cells).isprintable():
            raise GraphError(f"{place}: a name has up to {MAX_NAME} printable characters, got {line[:80]!r}")
        if relation not in schema.relations:
            known = ", ".join(schema.relations)
            raise GraphError(f"{place}: relation must be one of {known} ({SCHEMA_FILE}), got {relation!r}")
        if port and not (port.isdecimal() and schema.relation_of(relation).startswith("input")):
            raise GraphError(f"{place}: a port is a number and belongs to an input, got {port!r}")
        if (key := (head, relation, tail, port)) in seen:
            raise GraphError(f"{place}: the row stands twice; remove one")
        seen.add(key)
        yield Triple(number, head, relation, tail, int(port) if port else None)


def _things(rows: list[Triple], schema: Schema, path: Path) -> dict[int, tuple[Thing, Thing]]:
    """Row number -> the typed ends. Where a relation allows several types, what other rows say of the name decides."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        relation = schema.relations[row.relation]
        for name, words in ((row.head, relation.head), (row.tail, relation.tail)):
            if len(words) == 1:
                known[name].add(words[0])

    def typed(row: Triple, name: str, words: tuple[str, ...]) -> Thing:
        found = list(words) if len(words) == 1 else [word for word in words if word in known[name]]
        if len(found) != 1:
            raise GraphError(
                f"{path} row {row.row}: {name!r} may be a {' or a '.join(words)}; add a row that tells which"
            )
        return found[0], name

    ends = ((row, schema.relations[row.relation]) for row in rows)
    return {row.row: (typed(row, row.head, how.head), typed(row, row.tail, how.tail)) for row, how in ends}


def _ids(things: set[Thing], schema: Schema, path: Path) -> dict[Thing, str]:
    ids: dict[Thing, str] = {}
    taken: dict[str, Thing] = {}
    for word, name in sorted(things):
        kind = schema.type_of(word)
        ids[word, name] = f"{kind}:{name if kind == 'command' else slug(name).replace('.', '-')}"
        space = "on a path" if kind in ON_PATHS else kind
        for key in (ids[word, name], f"{space}: {name_key(name)}"):
            if taken.setdefault(key, (word, name)) != (word, name):
                other = " ".join(taken[key])
                raise GraphError(f"{path}: {f'{word} {name}'!r} and {other!r} cannot be told apart; rename one")
        if kind != "command" and not slug(name):
            raise GraphError(f"{path}: {name!r} has no letter or digit to make an id of; rename it")
    return ids
