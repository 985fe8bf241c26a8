"""The graph on disk, as node-link JSON or whatever else it is made of, and its figures.

The file is sorted, so equal graphs give equal bytes; `networkx.node_link_graph` reads it too.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from workbench.artifacts.files import DATA, atomic_write_text
from workbench.kg.build import ENTITY_TYPES, GraphError, build_graph, check_graph
from workbench.kg.columns import FILES
from workbench.kg.table import SHIPPED, read_table
from workbench.kg.triples import FILE as TRIPLES_FILE
from workbench.kg.triples import SCHEMA_FILE, read_triples

HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape that is text only with its other half."""


def to_json(graph: nx.MultiDiGraph, path: str | Path) -> Path:
    """Writes the graph as node-link JSON, at once or not at all; gives the path back.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = to_json(load_graph("mediakg").graph, Path(folder, "graph.json"))
        ...     len(from_json(file)) == len(load_graph("mediakg").graph)
        True
    """
    nodes = [{"id": node, **attributes} for node, attributes in sorted(graph.nodes(data=True))]
    edges = [
        {"source": head, "target": tail, "key": key, **attributes}
        for head, key, tail, attributes in sorted((h, k, t, a) for h, t, k, a in graph.edges(keys=True, data=True))
    ]
    document = {"directed": True, "multigraph": True, "graph": graph.graph, "nodes": nodes, "edges": edges}
    text = json.dumps(document, ensure_ascii=False, indent=0, sort_keys=True) + "\n"
    return atomic_write_text(path, text)


def from_json(path: str | Path) -> nx.MultiDiGraph:
    """Reads a graph that `to_json` wrote and checks it against the schema.

    Raises `FileNotFoundError` when there is no such file and `GraphError` when it is not a graph of this schema.

    Examples:
        >>> from_json("none.json")
        Traceback (most recent call last):
            ...
        FileNotFoundError: ...none.json...
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        document = json.loads(content)
        if HALF_CHARACTER.search(content):
            json.dumps(document, ensure_ascii=False).encode()  # what cannot be written again is refused here
        graph = nx.MultiDiGraph()
        graph.graph.update(document["graph"])
        for about in document["nodes"]:
            if (node := _text(about, "id")) in graph:
                raise ValueError(f"node {node!r} is listed twice")
            graph.add_nodes_from([(node, about)])
        for about in document["edges"]:
            head, tail, key = (_text(about, name) for name in ("source", "target", "key"))
            if head not in graph or tail not in graph:
                raise ValueError(f"edge {head!r} -> {tail!r} ends at a node that is not listed")
            if graph.has_edge(head, tail, key):
                raise ValueError(f"edge {head!r} -{key}-> {tail!r} is listed twice")
            graph.add_edges_from([(head, tail, key, about)])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise GraphError(
            f"{path}: not a node-link JSON graph ({problem}). Write it with workbench.kg.to_json"
        ) from problem
    check_graph(graph)
    return graph


def _text(record: dict[str, Any], key: str) -> str:
    """The text at a key, which is taken out."""
    if not isinstance(record[key], str):
        raise ValueError(f"{key} must be a text, got {record[key]!r}")
    return str(record.pop(key))


def summary(graph: nx.MultiDiGraph) -> dict[str, int]:
    """The counts a manifest records: tools, commands, sources, entity_types, relation_types, facts, nodes.

    Examples:
        >>> found = summary(load_graph("mediakg").graph)
        >>> found["commands"] > 0 and found["facts"] > found["nodes"]
        True
    """
    types = Counter(nx.get_node_attributes(graph, "type").values())
    return {
        "tools": types["tool"],
        "commands": types["command"],
        "sources": types["source"],
        "entity_types": len(types),
        "relation_types": len({relation for *_, relation in graph.edges(keys=True)}),
        "facts": graph.number_of_edges(),
        "nodes": graph.number_of_nodes(),
    }


def relation_counts(graph: nx.MultiDiGraph) -> dict[str, int]:
    """Facts per relation, most frequent first.

    Examples:
        >>> "input" in relation_counts(load_graph("mediakg").graph)
        True
    """
    return dict(Counter(relation for *_, relation in graph.edges(keys=True)).most_common())


def degree_statistics(graph: nx.MultiDiGraph) -> list[dict[str, Any]]:
    """One row per entity type that occurs: nodes, and median, mean, highest in- and out-degree (facts per node).

    `hub` names the node of the highest total degree.

    Examples:
        >>> {"tool", "command", "format"} <= {row["type"] for row in degree_statistics(load_graph("mediakg").graph)}
        True
    """
    rows = []
    for kind in ENTITY_TYPES:
        nodes = [node for node, found in graph.nodes(data="type") if found == kind]
        if not nodes:
            continue
        row: dict[str, Any] = {"type": kind, "nodes": len(nodes)}
        for name, degree in (("in", graph.in_degree), ("out", graph.out_degree)):
            values = [count for _, count in degree(nodes)]
            row[f"{name}_median"], row[f"{name}_mean"] = statistics.median(values), statistics.fmean(values)
            row[f"{name}_max"] = max(values)
        row["hub"] = graph.nodes[max(nodes, key=lambda node: (graph.degree(node), node))]["name"]
        rows.append(row)
    return rows


COLUMNS = {  # relation -> column of the table of commands
    "command_of": "tool", "performs": "operations", "input": "inputs", "output": "outputs",
    "input_data": "input_data", "output_data": "output_data",
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A graph and where it is from. kind: `table`, `triples` or `graph`; digest: SHA-256 (hex) of what was read.

    lacks: what a table does not say and links are judged without (`Table.lacks`), in words.

    Examples:
        >>> given = load_graph("mediakg")
        >>> given.kind, [file.name for file in given.files]
        ('triples', ['schema.json', 'triples.tsv'])
    """

    graph: nx.MultiDiGraph
    kind: str
    digest: str
    path: Path
    lacks: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """What was read."""
        names = {"table": tuple(FILES), "triples": (SCHEMA_FILE, TRIPLES_FILE), "graph": ("",)}[self.kind]
        return [self.path / name for name in names]


def load_graph(place: str | Path | None = None) -> Given:
    """Reads a folder of TSV tables, a folder with `schema.json` and `triples.tsv`, or a node-link JSON file.

    None takes the table of the package; the name of a folder in the package's data (`mediakg`) takes that. Raises what
    the reader of each raises: `TableError`, `GraphError`, `FileNotFoundError`.

    Examples:
        >>> load_graph("mediakg").kind
        'triples'
    """
    name = SHIPPED[0] if place is None else str(place)
    named = place is None or (isinstance(place, str) and name in SHIPPED and not Path(name).exists())
    path = DATA / name if named else Path(name)
    if path.is_file():
        return Given(from_json(path), "graph", hashlib.sha256(path.read_bytes()).hexdigest(), path)
    if (path / SCHEMA_FILE).is_file():
        graph = read_triples(path)
        return Given(graph, "triples", str(graph.graph["table_digest"]), path)
    table = read_table(path)
    return Given(build_graph(table), "table", table.digest, path, table.lacks)


def commands_table(graph: nx.MultiDiGraph) -> list[dict[str, str]]:
    """A row per command, sorted: its name and the names of its tool, what it does, reads and writes, parted by `|`.

    Examples:
        >>> "pandoc -t latex" in {row["command"] for row in commands_table(load_graph("mediakg").graph)}
        True
    """
    names = dict(graph.nodes(data="name"))
    cells: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for head, tail, relation in graph.edges(keys=True):
        if relation in COLUMNS:
            command, other = (tail, head) if relation.startswith("input") else (head, tail)
            cells[command][relation].add(names[other])
    return [
        {"command": names[command], **{column: " | ".join(sorted(row[key])) for key, column in COLUMNS.items()}}
        for command, row in sorted(cells.items())
    ]
