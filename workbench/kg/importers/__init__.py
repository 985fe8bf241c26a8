"""Graphs from registries: an importer per format gives items, `assemble` makes them a graph of the schema.

    note = Report()
    graph = assemble(IMPORTERS["tables"](path, note), note=note)

Every fact (edge) carries `provenance`; input and output facts also `ports`, the numbers of the command's inputs or
outputs they belong to: the formats of one port are alternatives, all ports but the `optional_ports` of the command's
node are needed together. What was wrong in the registry is in the report, line by line.
"""

from workbench.kg.importers import biotools, galaxy, graphml, nfcore, ontology, rdf, tables, triples, workflow
from workbench.kg.importers.assemble import assemble
from workbench.kg.importers.core import Importer, Options, Unit
from workbench.kg.importers.items import FactItem, Item, Node, Provenance, RegistryError, Toolchain
from workbench.kg.importers.mapping import read_mapping
from workbench.kg.importers.ontology import read_edam
from workbench.kg.importers.report import Line, Report, Spot, write_report
from workbench.kg.importers.resume import Imported, import_registry
from workbench.kg.importers.vocabulary import Term, Vocabulary

IMPORTERS: dict[str, Importer] = {
    module.IMPORTER.name: module.IMPORTER
    for module in (nfcore, biotools, galaxy, workflow, ontology, rdf, triples, graphml, tables)
}

__all__ = [
    "IMPORTERS",
    "FactItem",
    "Imported",
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
    "import_registry",
    "read_edam",
    "read_mapping",
    "write_report",
]
