"""A graph from whatever it is given as: a table, triples with a schema, or a file that was imported or merged."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import networkx as nx

from workbench.kg.build import build_graph
from workbench.kg.schema import FILE as SCHEMA_FILE
from workbench.kg.store import from_json
from workbench.kg.table import default_folder, read_table
from workbench.kg.triples import FILE as TRIPLES_FILE
from workbench.kg.triples import read_triples
from workbench.kg.tsv import FILES

COLUMNS = {  # relation -> (column, is the command its tail?)
    "command_of": ("tool", False),
    "performs": ("operations", False),
    "input": ("inputs", True),
    "output": ("outputs", False),
    "input_data": ("input_data", True),
    "output_data": ("output_data", False),
}


@dataclass(frozen=True)
class Given:
    """A graph and where it is from. kind: `table`, `triples` or `graph`; digest: SHA-256 (hex) of what was read.

    lacks: what a table does not say and links are judged without (`Table.lacks`), in words.
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


def load_graph(place: str | Path | Traversable | None = None) -> Given:
    """Reads a folder of TSV tables, a folder with `schema.json` and `triples.tsv`, or a node-link JSON file.

    None takes the table of the package; the name of a folder in the package's data (`mediakg`) takes that. Raises what
    the reader of each raises: `TableError`, `GraphError`, `FileNotFoundError`.
    """
    shipped = Path(str(default_folder())).parent
    if place is None:
        path = shipped / "biotoolkg"
    else:
        named = isinstance(place, str) and place in SHIPPED and not Path(place).exists()
        path = shipped / str(place) if named else Path(str(place))
    if path.is_file():
        return Given(from_json(path), "graph", hashlib.sha256(path.read_bytes()).hexdigest(), path)
    if (path / SCHEMA_FILE).is_file():
        graph = read_triples(path)
        return Given(graph, "triples", str(graph.graph["table_digest"]), path)
    table = read_table(path)
    return Given(build_graph(table), "table", table.digest, path, table.lacks)


SHIPPED = ("biotoolkg", "mediakg")  # folders of the package's data that hold a graph


def commands_table(graph: nx.MultiDiGraph) -> list[dict[str, str]]:
    """A row per command, sorted: its name and the names of its tool, what it does, reads and writes, parted by `|`."""
    cells: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    names = dict(graph.nodes(data="name"))
    for head, tail, relation in graph.edges(keys=True):
        if relation in COLUMNS:
            column, turned = COLUMNS[relation]
            command, other = (tail, head) if turned else (head, tail)
            cells[command][column].add(names[other])
    columns = [column for column, _ in COLUMNS.values()]
    return [
        {"command": names[command], **{column: " | ".join(sorted(row[column])) for column in columns}}
        for command, row in sorted(cells.items())
    ]
