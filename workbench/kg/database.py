"""The graph in an embedded database, for graphs that do not fit into memory; it answers the same questions.

SQLite: the questions are many look-ups by key, which its B-trees serve from disk with a small cache; it comes with
Python, is one file, and its format is promised to stay readable to 2050. (DuckDB, the other candidate, is made for
scans over columns; what it would be used for here, reading part of a table, `kg.parquet` does.)
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import networkx as nx

from workbench.artifacts.files import atomic_path
from workbench.kg.build import Fact, GraphError
from workbench.kg.parquet import EDGE_COLUMNS, NODE_COLUMNS, ParquetGraph
from workbench.kg.paths import PathError
from workbench.kg.ports import needs_of

TABLES = """
CREATE TABLE node (id TEXT PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL, more TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE edge (head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL, ports TEXT, more TEXT NOT NULL,
    PRIMARY KEY (head, relation, tail)) WITHOUT ROWID;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE step (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cost REAL NOT NULL);
CREATE TABLE port (id INTEGER PRIMARY KEY, alternatives TEXT NOT NULL UNIQUE);
CREATE TABLE needs (step INTEGER, port INTEGER, PRIMARY KEY (step, port)) WITHOUT ROWID;
CREATE TABLE gives (step INTEGER, item INTEGER, PRIMARY KEY (step, item)) WITHOUT ROWID;
CREATE TABLE accepts (port INTEGER, item INTEGER, PRIMARY KEY (port, item)) WITHOUT ROWID;
CREATE TABLE below (item INTEGER, lower INTEGER, PRIMARY KEY (item, lower)) WITHOUT ROWID;
"""
INDEXES = """
CREATE INDEX edge_tail ON edge (tail, relation);
CREATE INDEX edge_relation ON edge (relation);
CREATE INDEX needs_port ON needs (port);
CREATE INDEX gives_item ON gives (item);
CREATE INDEX accepts_item ON accepts (item);
"""
_CLOSURE = """
WITH RECURSIVE is_a (low, high) AS (
    SELECT h.id, t.id FROM edge JOIN item h ON h.name = head JOIN item t ON t.name = tail
    WHERE relation IN ('format_is_a', 'data_is_a')),
up (low, high) AS (SELECT id, id FROM item UNION SELECT up.low, is_a.high FROM up JOIN is_a ON is_a.low = up.high)
INSERT INTO below SELECT high, low FROM up
"""
_ON_FLOW = "('input', 'input_data', 'output', 'output_data', 'download_from', 'format_is_a', 'data_is_a')"


def create(
    path: str | Path, graph: nx.MultiDiGraph | ParquetGraph, *, costs: Mapping[str, float] | None = None
) -> Path:
    """Writes the database of a graph, in one step, and gives its path back. Parquet tables are streamed through.

    costs: command -> cost, above 0; 1 for the others.
    """
    with atomic_path(path) as temporary, closing(sqlite3.connect(temporary)) as base:
        base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + TABLES)
        nodes, edges = _of_parquet(graph) if isinstance(graph, ParquetGraph) else _of_graph(graph)
        base.executemany("INSERT INTO node VALUES (?, ?, ?, ?)", nodes)
        base.executemany("INSERT INTO edge VALUES (?, ?, ?, ?, ?)", edges)
        base.executescript("CREATE INDEX edge_tail_early ON edge (tail);")
        _add_flow(base, costs or {})
        base.executescript("DROP INDEX edge_tail_early;" + INDEXES + "ANALYZE;")
        base.commit()
    return Path(path)


class Database:
    """A database that `create` wrote, opened for reading. `GraphError` for a file that is none."""

    def __init__(self, path: str | Path, *, cache_mib: int = 64):
        try:
            # immutable is left out: a file that is replaced while it is open must not be read as two
            self.base = sqlite3.connect(f"file:{Path(path).resolve().as_posix()}?mode=ro", uri=True)
            self.base.execute("SELECT count(*) FROM (SELECT 1 FROM below LIMIT 1)").fetchone()
        except sqlite3.Error as problem:
            raise GraphError(f"{path}: not a database of a graph ({problem}); see kg.database.create") from None
        self.base.executescript(f"PRAGMA cache_size = -{cache_mib * 1024}; PRAGMA temp_store = MEMORY;")

    def close(self) -> None:
        """Closes the file."""
        self.base.close()

    def column(self, query: str, values: Iterable[Any] = ()) -> list[Any]:
        """The first column of a query's rows."""
        return [row[0] for row in self.base.execute(query, tuple(values))]

    def neighbourhood(self, node: str, *, hops: int = 1) -> list[Fact]:
        """The facts (head, relation, tail) with both ends at most `hops` facts from a node, sorted."""
        near = """
            WITH RECURSIVE near (id, far) AS (
                SELECT ?1, 0 UNION SELECT e.tail, far + 1 FROM near JOIN edge e ON e.head = near.id WHERE far < ?2
                UNION SELECT e.head, far + 1 FROM near JOIN edge e ON e.tail = near.id WHERE far < ?2),
            node_set AS (SELECT DISTINCT id FROM near)
            SELECT head, relation, tail FROM edge WHERE head IN node_set AND tail IN node_set ORDER BY 1, 2, 3"""
        if not self.column("SELECT 1 FROM node WHERE id = ?", [node]):
            raise PathError(f"node must be one of the graph's, got {node!r}")
        return list(self.base.execute(near, (node, hops)))

    def start(self, nodes: str | Iterable[str]) -> set[int]:
        """Numbers of the items that are there at the outset; see `FlowIndex.start`."""
        found: set[int] = set()
        for node in [nodes] if isinstance(nodes, str) else nodes:
            given = self.column(
                "SELECT item.id FROM edge JOIN item ON item.name = tail WHERE head = ? AND relation = 'download_from'",
                [node],
            ) or self.column("SELECT id FROM item WHERE name = ?", [node])
            if not given:
                raise PathError(f"start must be a source, format or kind of data on the data flow, got {node!r}")
            found.update(given)
        return found

    def goal(self, node: str) -> list[int]:
        """Numbers of the items that count as `node`; see `FlowIndex.goal`."""
        found = self.column("SELECT lower FROM below JOIN item ON item.id = below.item WHERE name = ?", [node])
        if not found:
            raise PathError(f"target must be a format or kind of data on the data flow, got {node!r}")
        return found


def _of_graph(graph: nx.MultiDiGraph) -> tuple[Iterator[tuple], Iterator[tuple]]:
    nodes = ((n, d["type"], d["name"], json.dumps(_rest(d, "type", "name"))) for n, d in graph.nodes(data=True))
    edges = (
        (h, r, t, _ports(d.get("ports")), json.dumps(_rest(d, "relation", "ports")))
        for h, t, r, d in graph.edges(keys=True, data=True)
    )
    return nodes, edges


def _of_parquet(graph: ParquetGraph) -> tuple[Iterator[tuple], Iterator[tuple]]:
    edges = ((h, r, t, _ports(ports), more) for h, r, t, ports, more in graph.edges(tuple(EDGE_COLUMNS)))
    return graph.nodes(tuple(NODE_COLUMNS)), edges


def _rest(attributes: Mapping[str, Any], *without: str) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key not in without}


def _ports(numbers: Iterable[int] | None) -> str | None:
    return json.dumps(list(numbers)) if numbers is not None else None


def _add_flow(base: sqlite3.Connection, costs: Mapping[str, float]) -> None:
    """The tables that questions are asked on; command by command, so that memory holds one at a time."""
    for end in ("head", "tail"):
        base.execute(
            f"INSERT OR IGNORE INTO item (name) SELECT {end} FROM edge JOIN node ON node.id = {end} "
            f"WHERE relation IN {_ON_FLOW} AND node.type IN ('format', 'data') ORDER BY {end}"
        )
    base.execute(_CLOSURE)
    holds: defaultdict[str, set[str]] = defaultdict(set)
    for head, tail in base.execute("SELECT head, tail FROM edge WHERE relation = 'encodes'"):
        holds[head].add(tail)
    rows = base.execute(
        "SELECT tail, head, relation, ports, node.more FROM edge JOIN node ON node.id = tail "
        "WHERE relation IN ('input', 'input_data') ORDER BY tail"
    )
    for command, group in groupby(rows, key=lambda row: row[0]):
        inputs = list(group)
        optional = frozenset(json.loads(inputs[0][4]).get("optional_ports", ()))
        taken = [(head, relation, {"ports": json.loads(p) if p else None}) for _, head, relation, p, _ in inputs]
        ports = needs_of(taken, "declared", holds, optional)
        if ports:
            _add_step(base, command, float(costs.get(command, 1.0)), [sorted(port) for port in ports])


def _add_step(base: sqlite3.Connection, command: str, cost: float, ports: list[list[str]]) -> None:
    if not 0 < cost < float("inf"):
        raise ValueError(f"costs: a cost must be a number above 0, got {cost!r} for {command!r}")
    step = base.execute("INSERT INTO step (name, cost) VALUES (?, ?)", (command, cost)).lastrowid
    for alternatives in ports:
        key = json.dumps(alternatives)
        new = base.execute("INSERT OR IGNORE INTO port (alternatives) VALUES (?)", (key,)).rowcount
        [(port,)] = base.execute("SELECT id FROM port WHERE alternatives = ?", (key,)).fetchall()
        if new:
            base.execute(
                "INSERT OR IGNORE INTO accepts SELECT ?, lower FROM below JOIN item ON item.id = below.item "
                "WHERE item.name IN (SELECT value FROM json_each(?))",
                (port, key),
            )
        base.execute("INSERT OR IGNORE INTO needs VALUES (?, ?)", (step, port))
    base.execute(
        "INSERT OR IGNORE INTO gives SELECT ?, item.id FROM edge JOIN item ON item.name = tail "
        "WHERE head = ? AND relation IN ('output', 'output_data')",
        (step, command),
    )
