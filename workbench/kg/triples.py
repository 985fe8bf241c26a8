"""A graph of another domain: `triples.tsv` (head, relation, tail, port) beside the `schema.json` that types them.

Everything after the graph (cases, prompts, questions, pictures) knows eight entity types and fourteen relations. A
domain says which of them its own words stand for (`as`): a recipe's step is a `command`, an ingredient a `format`.
Words that stand for none (null) stay in the graph under their own name.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx

from workbench.kg.build import ENTITY_TYPES, ON_PATHS, RELATIONS, GraphError, check_graph, name_space
from workbench.kg.naming import MAX_NAME, name_key, slug

FILE, SCHEMA_FILE = "triples.tsv", "schema.json"
COLUMNS = ["head", "relation", "tail", "port"]

Thing = tuple[str, str]  # the domain's word for its type, name


@dataclass(frozen=True)
class Relation:
    """Types of its head and tail in the domain's words; `role`: the relation it stands for, or None."""

    head: tuple[str, ...]
    tail: tuple[str, ...]
    role: str | None = None


@dataclass(frozen=True)
class Schema:
    """A domain. entities: its word -> entity type it stands for, or None. showcase: names along one chain."""

    name: str
    entities: Mapping[str, str | None]
    relations: Mapping[str, Relation]
    licence: str = "LicenseRef-unknown"
    showcase: tuple[str, ...] = ()
    source: str = field(default=SCHEMA_FILE, compare=False)

    def __post_init__(self) -> None:
        for word, role in self.entities.items():
            if role is not None and role not in ENTITY_TYPES:
                self._fail(f"entity {word!r} stands for {role!r}", f"one of {', '.join(ENTITY_TYPES)} or null")
            if role is None and not slug(word):
                self._fail(f"entity {word!r}", "a name with letters or digits")
        for word, relation in self.relations.items():
            for end in (*relation.head, *relation.tail):
                if end not in self.entities:
                    self._fail(f"relation {word!r} joins {end!r}", f"an entity: {', '.join(self.entities)}")
            if relation.role is not None:
                self._check_role(word, relation)
        if "command" not in self.entities.values() or not {"input", "output"} <= {
            relation.role for relation in self.relations.values()
        }:
            self._fail("the data flow", "a command, and relations that stand for input and output")

    def _check_role(self, word: str, relation: Relation) -> None:
        if relation.role not in RELATIONS:
            self._fail(f"relation {word!r} stands for {relation.role!r}", f"one of {', '.join(RELATIONS)} or null")
        for ends, allowed in zip((relation.head, relation.tail), RELATIONS[str(relation.role)], strict=True):
            for end in ends:
                if self.entities[end] not in allowed:
                    rule = f"ends that stand for {' or '.join(allowed)}"
                    self._fail(f"relation {word!r} stands for {relation.role!r} but joins {end!r}", rule)

    def _fail(self, what: str, rule: str) -> None:
        raise GraphError(f"{self.source}: {what}; there must be {rule}")

    def type_of(self, word: str) -> str:
        """The entity type of a domain's word in the graph: what it stands for, or a name of its own."""
        return self.entities[word] or slug(word)

    def relation_of(self, word: str) -> str:
        """The relation of a domain's word in the graph."""
        return self.relations[word].role or slug(word).replace("-", "_")

    @property
    def extra(self) -> dict[str, Any]:
        """What the graph holds beyond the usual types and relations, as `check_graph` reads it from the graph."""
        relations = {
            self.relation_of(word): [[self.type_of(end) for end in ends] for ends in (relation.head, relation.tail)]
            for word, relation in self.relations.items()
            if relation.role is None
        }
        return {"types": sorted(self.type_of(w) for w, r in self.entities.items() if r is None), "relations": relations}


def read_schema(path: str | Path) -> Schema:
    """Reads a schema file. Raises `FileNotFoundError`, or `GraphError` that names the word and the rule it breaks."""
    path = Path(path)
    try:
        document = json.loads(path.read_bytes())
        relations = {
            str(word): Relation(_words(how["head"]), _words(how["tail"]), how.get("as"))
            for word, how in document["relations"].items()
        }
        entities = {str(word): role for word, role in document["entities"].items()}
        name, licence = str(document["name"]), str(document.get("licence", Schema.licence))
        showcase = _words(document.get("showcase", []))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        keys = "name, entities {word: type or null}, relations {word: {head, tail, as}}"
        raise GraphError(f"{path}: not a schema ({problem!r}); it needs {keys}") from problem
    return Schema(name, entities, relations, licence, showcase, source=str(path))


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise ValueError(f"a list of texts is needed, got {value!r}")
    return tuple(value)


class Triple(NamedTuple):
    """A row with its number in the file. port: number of the command's input that the fact belongs to, or None."""

    row: int
    head: str
    relation: str
    tail: str
    port: int | None


def read_triples(folder: str | Path) -> nx.MultiDiGraph:
    """The graph of a folder with `schema.json` and `triples.tsv`.

    A thing is known by type and name; ids are `type:name-as-slug`, of commands `command:name`. Raises
    `FileNotFoundError`, or `GraphError` for the first row or name that breaks a rule.
    """
    folder = Path(folder)
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
        head, tail, relation = *(ids[end] for end in things[row.row]), schema.relation_of(row.relation)
        if not graph.has_edge(head, tail, relation):
            source = {"registry": schema.name, "record": f"row {row.row}", "licence": schema.licence}
            graph.add_edge(head, tail, relation, relation=relation, provenance=[source])
        if row.port is not None:
            edge = graph.edges[head, tail, relation]
            edge["ports"] = sorted({*edge.get("ports", ()), row.port})
    names = {name: node for (word, name), node in ids.items() if schema.entities[word] in ON_PATHS}
    if missing := [name for name in schema.showcase if name not in names]:
        raise GraphError(f"{folder / SCHEMA_FILE}: showcase: no triple names {missing[0]!r}")
    if schema.showcase:
        graph.graph["showcase"] = [[names[name]] for name in schema.showcase]
    check_graph(graph)
    return graph


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
        for key in (ids[word, name], f"{name_space(kind)}: {name_key(name)}"):
            if taken.setdefault(key, (word, name)) != (word, name):
                other = " ".join(taken[key])
                raise GraphError(f"{path}: {f'{word} {name}'!r} and {other!r} cannot be told apart; rename one")
        if kind != "command" and not slug(name):
            raise GraphError(f"{path}: {name!r} has no letter or digit to make an id of; rename it")
    return ids
