"""Graphs from registries: an importer per format gives items, `assemble` makes them a graph of the schema.

    note = Report()
    graph = assemble(IMPORTERS["tables"](path, note), note=note)

Every fact (edge) carries `provenance`; input and output facts also `ports`, the numbers of the command's inputs or
outputs they belong to: the formats of one port are alternatives, all ports but the `optional_ports` of the command's
node are needed together. What was wrong in the registry is in the report, line by line.
"""

# ruff: noqa: I001  what is imported here is what the package offers
from workbench.kg.importers.assemble import assemble
from workbench.kg.importers.imports import Importer, Options, import_registry
from workbench.kg.importers.galaxy import GALAXY
from workbench.kg.importers.items import FactItem, Item, Line, Node, Provenance, RegistryError, Report, Toolchain
from workbench.kg.importers.items import Unit, write_report
from workbench.kg.importers.listings import BIOTOOLS, TABLES
from workbench.kg.importers.mapping import read_mapping
from workbench.kg.importers.nfcore import NFCORE
from workbench.kg.importers.rdf import EDAM, RDF, read_edam
from workbench.kg.importers.statements import GRAPHML, TRIPLES
from workbench.kg.importers.vocabulary import Vocabulary
from workbench.kg.importers.workflow import WORKFLOW

IMPORTERS: dict[str, Importer] = {
    one.name: one for one in (NFCORE, BIOTOOLS, GALAXY, WORKFLOW, EDAM, RDF, TRIPLES, GRAPHML, TABLES)
}
