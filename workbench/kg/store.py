"""The graph on disk, as node-link JSON, and its figures.

The file is sorted, so equal graphs give equal bytes; `networkx.node_link_graph` reads it too.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import networkx as nx

from workbench.kg.build import ENTITY_TYPES, GraphError, check_graph

HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape that is text only with its other half."""


def to_json(graph: nx.MultiDiGraph, path: str | Path) -> Path:
    """Writes the graph as node-link JSON, at once or not at all; gives the path back."""
    nodes = [{"id": node, **attributes} for node, attributes in sorted(graph.nodes(data=True))]
    edges = [
        {"source": head, "target": tail, "key": key, **attributes}
        for head, key, tail, attributes in sorted((h, k, t, a) for h, t, k, a in graph.edges(keys=True, data=True))
    ]
    document = {"directed": True, "multigraph": True, "graph": graph.graph, "nodes": nodes, "edges": edges}
    text = json.dumps(document, ensure_ascii=False, indent=0, sort_keys=True) + "\n"
    return _write_atomic(Path(path), text.encode())


def from_json(path: str | Path) -> nx.MultiDiGraph:
    """Reads a graph that `to_json` wrote and checks it against the schema.

    Raises `FileNotFoundError` when there is no such file and `GraphError` when it is not a graph of this schema.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        document = json.loads(content)
        if HALF_CHARACTER.search(content):
            json.dumps(document, ensure_ascii=False).encode()  # what cannot be written again is refused here
        graph = nx.MultiDiGraph()
        graph.graph.update(document["graph"])
        for node in document["nodes"]:
            _add_node(graph, node)
        for edge in document["edges"]:
            _add_edge(graph, edge)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise GraphError(
            f"{path}: not a node-link JSON graph ({problem}). Write it with workbench.kg.to_json"
        ) from problem
    check_graph(graph)
    return graph


def _add_node(graph: nx.MultiDiGraph, node: dict[str, Any]) -> None:
    if _text(node, "id") in graph:
        raise ValueError(f"node {node['id']!r} is listed twice")
    graph.add_node(node["id"])
    graph.nodes[node["id"]].update((key, value) for key, value in node.items() if key != "id")


def _add_edge(graph: nx.MultiDiGraph, edge: dict[str, Any]) -> None:
    head, tail, key = _text(edge, "source"), _text(edge, "target"), _text(edge, "key")
    if head not in graph or tail not in graph:
        raise ValueError(f"edge {head!r} -> {tail!r} ends at a node that is not listed")
    if graph.has_edge(head, tail, key):
        raise ValueError(f"edge {head!r} -{key}-> {tail!r} is listed twice")
    graph.add_edge(head, tail, key)
    graph.edges[head, tail, key].update((k, v) for k, v in edge.items() if k not in ("source", "target", "key"))


def _text(record: dict[str, Any], key: str) -> str:
    if not isinstance(record[key], str):
        raise ValueError(f"{key} must be a text, got {record[key]!r}")
    return record[key]


def summary(graph: nx.MultiDiGraph) -> dict[str, int]:
    """The counts a manifest records: tools, commands, sources, entity_types, relation_types, facts, nodes."""
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
    """Facts per relation, most frequent first."""
    return dict(Counter(relation for *_, relation in graph.edges(keys=True)).most_common())


def degree_statistics(graph: nx.MultiDiGraph) -> list[dict[str, Any]]:
    """One row per entity type that occurs: nodes, and median, mean, highest in- and out-degree (facts per node).

    `hub` names the node of the highest total degree.
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


def _write_atomic(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
