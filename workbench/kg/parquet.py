"""The graph as two Parquet tables, read lazily: only the columns asked for, and only the row groups that can match.

`nodes.parquet` is sorted by type and id, `edges.parquet` by relation, tail and head, so that the statistics of a row
group tell whether it can hold a type or relation. What only some nodes or edges have is JSON in the column `more`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from workbench.artifacts.files import atomic_path
from workbench.kg.build import GraphError, check_graph

NODES, EDGES = "nodes.parquet", "edges.parquet"
ROW_GROUP = 4096  # rows; small enough that a look at one type leaves most of a large table alone
NODE_COLUMNS = {"id": pa.string(), "type": pa.string(), "name": pa.string(), "more": pa.string()}
EDGE_COLUMNS = {
    "head": pa.string(),
    "relation": pa.string(),
    "tail": pa.string(),
    "ports": pa.list_(pa.int32()),
    "more": pa.string(),
}


def to_parquet(graph: nx.MultiDiGraph, folder: str | Path) -> Path:
    """Writes the two tables into `folder` (made if need be) and gives it back; equal graphs give equal tables."""
    folder = Path(folder)
    nodes = sorted(graph.nodes(data=True), key=lambda node: (node[1]["type"], node[0]))
    rows: list[tuple] = [(n, d["type"], d["name"], _json(d, ("type", "name"))) for n, d in nodes]
    _write(folder / NODES, rows, NODE_COLUMNS, about=graph.graph)
    edges = sorted(graph.edges(keys=True, data=True), key=lambda edge: (edge[2], edge[1], edge[0]))
    rows = [(h, r, t, d.get("ports"), _json(d, ("relation", "ports"))) for h, t, r, d in edges]
    _write(folder / EDGES, rows, EDGE_COLUMNS, about={})
    return folder


@dataclass(frozen=True)
class ParquetGraph:
    """The tables of a folder; opening reads their footers alone. Raises `GraphError` for files that are none."""

    folder: Path

    def __post_init__(self) -> None:
        for file, columns in ((NODES, NODE_COLUMNS), (EDGES, EDGE_COLUMNS)):
            try:
                found = pq.read_schema(self.folder / file)
            except (pa.ArrowInvalid, OSError) as problem:
                raise GraphError(f"{self.folder / file}: not a table of a graph ({problem})") from problem
            if not set(columns) <= set(found.names):
                raise GraphError(f"{self.folder / file}: the columns must be {', '.join(columns)}, got {found.names}")

    @property
    def about(self) -> dict[str, Any]:
        """The graph's own attributes."""
        found: dict[str, Any] = json.loads((pq.read_schema(self.folder / NODES).metadata or {}).get(b"graph", b"{}"))
        return found

    def nodes(self, columns: Sequence[str] = ("id", "type", "name"), *, type: str | None = None) -> Iterator[tuple]:
        """Rows of the nodes, of one entity type if one is given, column by column as asked."""
        return self._rows(NODES, columns, ds.field("type") == type if type else None)

    def edges(
        self, columns: Sequence[str] = ("head", "relation", "tail"), *, relations: Iterable[str] | None = None
    ) -> Iterator[tuple]:
        """Rows of the facts, of some relations if any are given."""
        where = ds.field("relation").isin(list(relations)) if relations is not None else None
        return self._rows(EDGES, columns, where)

    def graph(self, *, relations: Iterable[str] | None = None) -> nx.MultiDiGraph:
        """The whole graph, or the facts of some relations with their ends, as networkx; checked against the schema."""
        graph = nx.MultiDiGraph(**self.about)
        edges = sorted(self.edges(tuple(EDGE_COLUMNS), relations=relations), key=lambda row: (row[0], row[1], row[2]))
        ends = None if relations is None else {end for head, _, tail, *_ in edges for end in (head, tail)}
        for node, kind, name, more in sorted(self.nodes(tuple(NODE_COLUMNS))):
            if ends is None or node in ends:
                graph.add_node(node)
                graph.nodes[node].update({"type": kind, "name": name, **json.loads(more)})
        for head, relation, tail, ports, more in edges:
            graph.add_edge(head, tail, relation)
            rest = {"relation": relation, **json.loads(more), **({"ports": ports} if ports is not None else {})}
            graph.edges[head, tail, relation].update(rest)
        check_graph(graph)
        return graph

    def _rows(self, file: str, columns: Sequence[str], where: ds.Expression | None) -> Iterator[tuple]:
        table = ds.dataset(self.folder / file, format="parquet")
        for batch in table.to_batches(columns=list(columns), filter=where, batch_size=ROW_GROUP):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _json(attributes: dict[str, Any], without: Sequence[str]) -> str:
    rest = {key: value for key, value in attributes.items() if key not in without}
    return json.dumps(rest, ensure_ascii=False, sort_keys=True)


def _write(path: Path, rows: Sequence[tuple], columns: dict[str, pa.DataType], *, about: dict[str, Any]) -> None:
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [pa.array(list(column), kind) for column, kind in zip(cells, columns.values(), strict=True)]
    table = pa.table(arrays, names=list(columns))
    table = table.replace_schema_metadata({b"graph": json.dumps(about, ensure_ascii=False, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, row_group_size=ROW_GROUP, compression="zstd")
