"""Whether the graph can be read, and its field fits into the graph reader, which has one token for each name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import networkx as nx

from workbench.artifacts.parameters import ParameterError, Value
from workbench.kg import field, flow_graph, load_graph
from workbench.kg.store import SHIPPED

READER, POOL = "reader", 1024  # as `workbench.models` has them, which takes torch with it: seconds of every start


def check_room(values: Mapping[str, Value]) -> None:
    """Refuse a table that cannot be read, and a field with more names than the reader has tokens.

    values: parameters of the notebooks.

    Raises:
        ParameterError: a broken table, a topic that no tool of the graph has, or more names than tokens.
    """
    topics, table = list(map(str, values["topics"])), values["table"]  # type: ignore[arg-type]
    try:
        graph = load_graph(None if table is None else str(table)).graph
    except (OSError, ValueError):
        if table is not None and not Path(str(table)).exists():
            error = FileNotFoundError(
                f"{table} does not exist; give a folder of tables or triples, a graph file, or one that ships: "
                f"{', '.join(SHIPPED)}"
            )
        raise ParameterError(f"table: {error}") from error
    try:
        names = len(flow_graph(field(graph, topics)))
    except ValueError as error:
        raise ParameterError(f"topics: {error}") from error
    if values["model"] == READER and names > POOL:
        raise ParameterError(
            f"topics: {', '.join(topics) or 'all of the graph'} has {names:,} names, and the reader has tokens for "
            f"{POOL:,}. Choose topics that have fewer, such as {_smaller(graph)}; or a model that reads any name, "
            "such as --model smollm2"
        )


def _smaller(graph: nx.MultiDiGraph, at_most: int = 3) -> str:
    """Topics of the most tools among those that fit, with their numbers of names."""
    tools = Counter(tail for _, tail, key in graph.edges(keys=True) if key == "has_topic")
    sizes = ((topic, len(flow_graph(field(graph, [topic])))) for topic, _ in tools.most_common())
    fitting = islice(((topic, size) for topic, size in sizes if size <= POOL), at_most)
    return (
        ", ".join(f"{graph.nodes[topic]['name']} ({size:,})" for topic, size in fitting) or "those of a smaller graph"
    )
