"""Graphs from registries: an importer per format gives items, `assemble` makes them a graph of the schema.

    note = Report()
    graph = assemble(IMPORTERS["tables"](path, note), note=note)

Every fact (edge) carries `provenance`; input and output facts also `ports`, the numbers of the command's inputs or
outputs they belong to: the formats of one port are alternatives, all ports but the `optional_ports` of the command's
node are needed together. What was wrong in the registry is in the report, line by line.
"""

from workbench.kg.importers.assemble import assemble
from workbench.kg.importers.biotools import IMPORTER as BIOTOOLS
from workbench.kg.importers.core import Importer, Options, Unit
from workbench.kg.importers.items import FactItem, Item, Node, Provenance, RegistryError, Toolchain
from workbench.kg.importers.nfcore import IMPORTER as NFCORE
from workbench.kg.importers.report import Line, Report, Spot, write_report
from workbench.kg.importers.tables import IMPORTER as TABLES
from workbench.kg.importers.vocabulary import Term, Vocabulary
from workbench.kg.importers.workflow import IMPORTER as WORKFLOW

IMPORTERS: dict[str, Importer] = {importer.name: importer for importer in (NFCORE, BIOTOOLS, WORKFLOW, TABLES)}

__all__ = [
    "IMPORTERS",
    "FactItem",
    "Importer",
    "Item",
    "Line",
    "Node",
    "Options",
    "Provenance",
    "RegistryError",
    "Report",
    "Spot",
    "Term",
    "Toolchain",
    "Unit",
    "Vocabulary",
    "assemble",
    "write_report",
]
