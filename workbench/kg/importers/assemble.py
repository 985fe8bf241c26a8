"""From items to the graph: equal nodes and facts join, provenance adds up, what breaks the schema is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from workbench.kg.build import Ends, Fact, check_graph, is_a_facts, name_space, vocabulary
from workbench.kg.columns import branch_of
from workbench.kg.edam import Edam, load_edam
from workbench.kg.importers.items import REGISTRIES, FactItem, Item, Node, Provenance, Report, Spot, Toolchain
from workbench.kg.naming import name_key


@dataclass
class _Facts:
    """What is known of one fact: where from, and which ports of the command it belongs to."""

    sources: set[Provenance] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)


def assemble(
    items: Iterable[Item],
    *,
    note: Report | None = None,
    edam: Edam | None = None,
    name: str = "imported",
    schema: Mapping[str, Any] | None = None,
) -> nx.MultiDiGraph:
    """The graph of the schema in `workbench.kg.build` that the items make; nodes and edges in sorted order.

    Edges carry `provenance`, a sorted list of {"registry", "record", "licence"}, and where known `ports`, a sorted list
    of numbers. The graph carries `licences`, `edam` (the version) and, where there are any, `toolchains`. Nodes of one
    id become one: the first name and the first single value stay (others go to `aliases`, and to `also`: attribute ->
    values), lists join. Facts with an end that is no known node or is of the wrong type are left out, as are is_a facts
    that close a cycle; both are told to `note`. The is_a facts of EDAM terms are added up to the roots.
    schema: types and relations of a domain's own, as `workbench.kg.triples.Schema.extra` has them.

    Examples:
        >>> from workbench.kg.importers import Provenance
        >>> tool, command = Node("tool:star", "tool", "STAR"), Node("command:star", "command", "star")
        >>> fact = FactItem("command:star", "command_of", "tool:star", Provenance("mine", "row 1", "CC0-1.0"))
        >>> assemble([tool, command, fact]).edges["command:star", "tool:star", "command_of"]["provenance"]
        [{'registry': 'mine', 'record': 'row 1', 'licence': 'CC0-1.0'}]
    """
    edam, spot = edam or load_edam(), (note or Report()).at("", "graph")
    graph = nx.MultiDiGraph(name=name, edam=edam.version, **({"schema": dict(schema)} if schema else {}))
    types, relations = vocabulary(graph)
    nodes: dict[str, dict[str, Any]] = {}
    facts: dict[Fact, _Facts] = defaultdict(_Facts)
    chains: dict[str, Toolchain] = {}
    for item in items:
        if isinstance(item, Node):
            _join(nodes, item, types, spot)
        elif isinstance(item, FactItem):
            known = facts[item.head, item.relation, item.tail]
            known.sources.add(item.source)
            known.ports.update(() if item.port is None else (item.port,))
        elif chains.setdefault(item.id, item) != item:
            spot.dropped("toolchain of an id that another has", item.id)
    _add_terms(nodes, facts, edam)
    _drop_broken(nodes, facts, relations, spot)
    _drop_cycles(facts, spot)
    _part_names(nodes, spot)
    return _filled(graph, nodes, facts, chains)


def _filled(
    graph: nx.MultiDiGraph, nodes: dict[str, dict[str, Any]], facts: dict[Fact, _Facts], chains: dict[str, Toolchain]
) -> nx.MultiDiGraph:
    licences = {source.licence for known in facts.values() for source in known.sources}
    licences.update(chain.source.licence for chain in chains.values())
    graph.graph["licences"] = sorted(licences)
    if chains:
        graph.graph["toolchains"] = [_chain(chains[key]) for key in sorted(chains)]
    graph.add_nodes_from((node, nodes[node]) for node in sorted(nodes))
    for (head, relation, tail), known in sorted(facts.items(), key=lambda pair: pair[0]):
        about = {"relation": relation, "provenance": [source._asdict() for source in sorted(known.sources)]}
        graph.add_edge(head, tail, relation, **about, **({"ports": sorted(known.ports)} if known.ports else {}))
    check_graph(graph)
    return graph


def _chain(chain: Toolchain) -> dict[str, Any]:
    what = {"id": chain.id, "name": chain.name, "commands": list(chain.commands)}
    return {**what, "links": [list(link) for link in chain.links], **chain.source._asdict()}


def _join(nodes: dict[str, dict[str, Any]], item: Node, types: Collection[str], spot: Spot) -> None:
    """Adds a node, or what it says of a node that is there."""
    if item.type not in types or not item.name.strip():
        return spot.dropped(f"node without a name or of an unknown type ({item.type[:40]})", item.id)
    found = nodes.setdefault(item.id, {"type": item.type, "name": item.name})
    if found["type"] != item.type:
        return spot.dropped(f"node is a {found['type']} and cannot be a {item.type} as well", item.id)
    if item.name != found["name"]:
        found["aliases"] = sorted({*found.get("aliases", ()), item.name})
    for key, value in item.attributes.items():
        _join_value(found, key, value)


def _join_value(found: dict[str, Any], key: str, value: Any) -> None:
    if isinstance(value, list | tuple):
        if value:
            found[key] = sorted({*found.get(key, ()), *value})
    elif value and found.setdefault(key, value) != value:
        also = found.setdefault("also", {})
        also[key] = sorted({*also.get(key, ()), value})


def _add_terms(nodes: dict[str, dict[str, Any]], facts: dict[Fact, _Facts], edam: Edam) -> None:
    """The nodes of EDAM terms, and everything above them."""
    own: dict[str, list[str]] = defaultdict(list)
    for head, relation, tail in facts:
        if relation == f"{branch_of(head)}_is_a" == f"{branch_of(tail)}_is_a":
            own[head].append(tail)
    ends = {end for head, _, tail in facts for end in (head, tail) if end in edam or end in nodes}
    terms = {end for end in (*ends, *nodes) if branch_of(end)}
    parents = {term: [p for p in own.get(term, ()) if p in edam or p in nodes] for term in terms if term in own}
    parents |= {term: [] for term in terms if term not in edam and term not in parents}
    for head, relation, tail in is_a_facts(terms, parents, edam):
        if (head, relation, tail) not in facts:
            facts[head, relation, tail].sources.add(Provenance("EDAM", head, REGISTRIES["EDAM"]))
        terms.add(tail)
    for term in terms - nodes.keys():
        nodes[term] = {"type": branch_of(term), "name": edam.label(term)}


def _drop_broken(nodes: dict[str, dict[str, Any]], facts: dict[Fact, _Facts], relations: Ends, spot: Spot) -> None:
    for fact in [*facts]:
        if rule := _broken(nodes, fact, relations):
            del facts[fact]
            spot.dropped(rule, " ".join(fact))


def _broken(nodes: dict[str, dict[str, Any]], fact: Fact, relations: Ends) -> str:
    head, relation, tail = fact
    if relation not in relations:
        return "unknown relation"
    for end, types, place in ((head, relations[relation][0], "head"), (tail, relations[relation][1], "tail")):
        if end not in nodes:
            return f"{place} of {relation} is no node"
        if nodes[end]["type"] not in types:
            return f"{place} of {relation} must be a {' or '.join(types)}, not a {nodes[end]['type']}"
    return ""


def _drop_cycles(facts: dict[Fact, _Facts], spot: Spot) -> None:
    """Leaves out the is_a facts that lead back to a term below: those met on the way down of a walk in sorted order."""
    is_a = nx.DiGraph()
    is_a.add_edges_from(sorted((h, t, {"relation": r}) for h, r, t in facts if r.endswith("_is_a")))
    for head, tail in list(_back_edges(is_a)):
        fact = (head, is_a.edges[head, tail]["relation"], tail)
        del facts[fact]
        spot.dropped("is_a that closes a cycle", " ".join(fact))


def _back_edges(graph: nx.DiGraph) -> Iterator[tuple[str, str]]:
    above: set[str] = set()
    for head, tail, kind in nx.dfs_labeled_edges(graph):
        if kind == "forward":
            above.add(tail)
        elif kind == "reverse":
            above.discard(tail)
        elif tail in above:
            yield head, tail


def _part_names(nodes: dict[str, dict[str, Any]], spot: Spot) -> None:
    """Parts names a prompt could not tell apart: a term keeps its own, then whose id it is; the others get their id."""
    taken: dict[tuple[str, str], str] = {}
    ids = {node: node.split(":", 1)[-1] for node in nodes}
    first = {node: (not branch_of(node), ids[node] != a["name"].lower(), node) for node, a in nodes.items()}
    for node in sorted(nodes, key=first.__getitem__):
        attributes = nodes[node]
        space = name_space(attributes["type"])
        key = (space, name_key(attributes["name"]))
        if taken.setdefault(key, node) != node and not branch_of(node):
            attributes["aliases"] = sorted({*attributes.get("aliases", ()), attributes["name"]})
            attributes["name"] = f"{attributes['name']} ({ids[node]})"
            taken.setdefault((space, name_key(attributes["name"])), node)
            spot.repaired("name that another node has", attributes["name"])
