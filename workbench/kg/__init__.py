"""The knowledge graph: a hand-written table, checked, made into a typed graph of tools, formats and sources."""

# ruff: noqa: I001  what is imported here is what the package offers
from workbench.kg.agreement import AgreementRow, agreement, disagreements
from workbench.kg.build import ENTITY_TYPES, RELATIONS, Fact, GraphError, build_graph, check_graph, facts_table
from workbench.kg.edam import Edam, load_edam
from workbench.kg.explore import field, focus, standings, tools_with_topic
from workbench.kg.paths import FLOW_RELATIONS, PathError, chain_through, commands_of, dead_ends
from workbench.kg.paths import flow_graph, reachable_targets, shortest_toolchains, showcase
from workbench.kg.store import Given, commands_table, degree_statistics, from_json, load_graph, relation_counts
from workbench.kg.store import summary, to_json
from workbench.kg.links import Links
from workbench.kg.columns import Table
from workbench.kg.table import default_folder, digest, read_table
from workbench.kg.tsv import TableError
