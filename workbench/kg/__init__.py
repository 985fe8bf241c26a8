"""The knowledge graph: a hand-written table, checked, made into a typed graph of tools, formats and sources."""

from workbench.kg.agreement import AgreementRow, Disagreement, agreement, disagreements
from workbench.kg.build import ENTITY_TYPES, RELATIONS, Fact, GraphError, build_graph, check_graph, facts_table
from workbench.kg.edam import Edam, load_edam
from workbench.kg.focus import field, focus, standings, tools_with_topic
from workbench.kg.load import Given, commands_table, load_graph
from workbench.kg.paths import (
    FLOW_RELATIONS,
    PathError,
    chain_through,
    commands_of,
    dead_ends,
    flow_graph,
    reachable_targets,
    shortest_toolchains,
    showcase,
)
from workbench.kg.store import degree_statistics, from_json, relation_counts, summary, to_json
from workbench.kg.table import Command, Encoding, Source, Table, Term, Tool, default_folder, digest, read_table
from workbench.kg.tsv import TableError

__all__ = [
    "ENTITY_TYPES",
    "FLOW_RELATIONS",
    "RELATIONS",
    "AgreementRow",
    "Command",
    "Disagreement",
    "Edam",
    "Encoding",
    "Fact",
    "Given",
    "GraphError",
    "PathError",
    "Source",
    "Table",
    "TableError",
    "Term",
    "Tool",
    "agreement",
    "build_graph",
    "chain_through",
    "check_graph",
    "commands_of",
    "commands_table",
    "dead_ends",
    "default_folder",
    "degree_statistics",
    "digest",
    "disagreements",
    "facts_table",
    "field",
    "flow_graph",
    "focus",
    "from_json",
    "load_edam",
    "load_graph",
    "reachable_targets",
    "read_table",
    "relation_counts",
    "shortest_toolchains",
    "showcase",
    "standings",
    "summary",
    "to_json",
    "tools_with_topic",
]
