"""Graphs from registries: an importer per format gives items, `assemble` makes them a graph of the schema.

    note = Report()
    graph = assemble(IMPORTERS["tables"](path, note), note=note)

Every fact (edge) carries `provenance`; input and output facts also `ports`, the numbers of the command's inputs or
outputs they belong to: the formats of one port are alternatives, all ports but the `optional_ports` of the command's
node are needed together. What was wrong in the registry is in the report, line by line.
"""

# ruff: noqa: I001  what is imported here is what the package offers
from workbench.kg.importers import biotools, galaxy, graphml, nfcore, ontology, rdf, tables, triples, workflow
from workbench.kg.importers.assemble import assemble
from workbench.kg.importers.core import Importer, Options
from workbench.kg.importers.items import FactItem, Item, Line, Node, Provenance, RegistryError, Report, Toolchain
from workbench.kg.importers.items import Unit, write_report
from workbench.kg.importers.mapping import read_mapping
from workbench.kg.importers.ontology import read_edam
from workbench.kg.importers.resume import Imported, import_registry
from workbench.kg.importers.vocabulary import Vocabulary

IMPORTERS: dict[str, Importer] = {
    module.IMPORTER.name: module.IMPORTER
    for module in (nfcore, biotools, galaxy, workflow, ontology, rdf, triples, graphml, tables)
}
