"""The knowledge graph: a typed `networkx.MultiDiGraph` made from a table.

Nodes carry `type` and `name` (tools and sources also where they are found); every edge is one fact, its key and its
attribute `relation` being the same. Nodes and edges are inserted in sorted order, so equal tables give equal graphs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import networkx as nx

from workbench.kg.columns import COMPANION, OPTIONAL, Port, Table, branch_of
from workbench.kg.edam import Edam, load_edam

Fact = tuple[str, str, str]  # head node, relation, tail node

ON_PATHS = ("source", "format", "command", "data")
ENTITY_TYPES = ("tool", "command", "format", "data", "operation", "topic", "source", "license")
Ends = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
RELATIONS: Ends = {  # relation -> (head types, tail types)
    "input": (("format",), ("command",)),
    "output": (("command",), ("format",)),
    "input_data": (("data",), ("command",)),
    "output_data": (("command",), ("data",)),
    "download_from": (("source",), ("format", "data")),
    "command_of": (("command",), ("tool",)),
    "performs": (("command",), ("operation",)),
    "has_topic": (("tool",), ("topic",)),
    "licensed_under": (("tool",), ("license",)),
    "encodes": (("format",), ("data",)),
    "format_is_a": (("format",), ("format",)),
    "data_is_a": (("data",), ("data",)),
    "operation_is_a": (("operation",), ("operation",)),
    "topic_is_a": (("topic",), ("topic",)),
}


class GraphError(ValueError):
    """A graph that breaks the schema: names the node or edge, the rule and the value.

    Examples:
        >>> check_graph(nx.MultiDiGraph([("format_1930", "planet:mars")]))
        Traceback (most recent call last):
            ...
        workbench.kg.build.GraphError: node 'format_1930': type must be one of tool, command, ...
    """


def build_graph(table: Table) -> nx.MultiDiGraph:
    """The graph of a checked table, with every term's is_a links up to the root of its branch.

    Examples:
        >>> from workbench.kg import read_table
        >>> graph = build_graph(read_table())
        >>> graph.has_edge("command:samtools sort", "tool:samtools", "command_of")
        True
    """
    edam, facts = load_edam(), _table_facts(table)
    own = {term.term: term for term in table.terms}
    terms = {end for head, _, tail in facts for end in (head, tail) if branch_of(end)} | own.keys()
    is_a = list(is_a_facts(terms, {term: row.is_a for term, row in own.items()}, edam))
    nodes = _table_nodes(table)
    for term in terms.union(tail for *_, tail in is_a):
        nodes[term] = {"type": branch_of(term), "name": own[term].name if term in own else edam.label(term)}
    graph = nx.MultiDiGraph(name="BioToolKG", table_digest=table.digest, edam=edam.version)
    graph.add_nodes_from(sorted(nodes.items()))
    for (head, relation, tail), ports in sorted((facts | {fact: set() for fact in is_a}).items()):
        stated = {"ports": sorted(ports)} if ports else {}
        graph.add_edge(head, tail, relation, **{"relation": relation, **stated})
    if table.states:
        graph.graph["states"] = {one.state: one.axis for one in table.states}
    check_graph(graph)
    return graph


def vocabulary(graph: nx.MultiDiGraph) -> tuple[tuple[str, ...], Ends]:
    """The entity types and relations a graph may hold: the usual ones, and those its attribute `schema` adds.

    `schema` is {"types": [...], "relations": {name: [head types, tail types]}}. Raises `GraphError` for another form.
    """
    own = graph.graph.get("schema") or {}
    try:
        added = {name: (tuple(heads), tuple(tails)) for name, (heads, tails) in own.get("relations", {}).items()}
        return tuple(dict.fromkeys((*ENTITY_TYPES, *own.get("types", ())))), {**added, **RELATIONS}
    except (AttributeError, TypeError, ValueError) as problem:
        raise GraphError(f"graph: schema must hold types and relations, got {own!r:.80}") from problem


def check_graph(graph: nx.MultiDiGraph) -> None:
    """Raises `GraphError` for the first node or edge that breaks the schema; is_a must be free of cycles.

    Examples:
        >>> graph = nx.MultiDiGraph()
        >>> graph.add_node("x", type="planet", name="Mars")
        >>> check_graph(graph)
        Traceback (most recent call last):
            ...
        workbench.kg.build.GraphError: ...planet...
    """
    entity_types, relations = vocabulary(graph)
    for node, attributes in graph.nodes(data=True):
        if attributes.get("type") not in entity_types:
            known = ", ".join(entity_types)
            raise GraphError(f"node {node!r}: type must be one of {known}, got {attributes.get('type')!r}")
        if not isinstance(attributes.get("name"), str) or not attributes["name"].strip():
            raise GraphError(f"node {node!r}: name must be a non-empty text, got {attributes.get('name')!r}")
    for head, tail, key, attributes in graph.edges(keys=True, data=True):
        _check_edge(graph, (head, key, tail), attributes.get("relation"), relations)
    is_a = nx.DiGraph((h, t) for h, t, relation in graph.edges(keys=True) if relation.endswith("_is_a"))
    if not nx.is_directed_acyclic_graph(is_a):
        cycle = " -> ".join(head for head, _ in nx.find_cycle(is_a))
        raise GraphError(f"is_a must have no cycle, found {cycle}")


def _check_edge(graph: nx.MultiDiGraph, fact: Fact, relation: object, relations: Ends) -> None:
    head, key, tail = fact
    if key not in relations:
        raise GraphError(f"edge {head!r} -> {tail!r}: relation must be one of {', '.join(relations)}, got {key!r}")
    if relation != key:
        raise GraphError(f"edge {head!r} -> {tail!r}: attribute relation must equal the key {key!r}, got {relation!r}")
    for end, types, place in ((head, relations[key][0], "head"), (tail, relations[key][1], "tail")):
        if graph.nodes[end]["type"] not in types:
            found = graph.nodes[end]["type"]
            raise GraphError(f"edge {head!r} -{key}-> {tail!r}: {place} must be a {' or '.join(types)}, got a {found}")


def name_space(kind: str) -> str:
    """Within which a name must be another: a prompt must tell apart all that lies on paths, else things of a type."""
    return "path" if kind in ON_PATHS else kind


def related(graph: nx.MultiDiGraph, *relations: str) -> list[tuple[str, str]]:
    """(head, tail) of every fact of these relations, in the order of the graph."""
    return [(head, tail) for head, tail, key in graph.edges(keys=True) if key in relations]


def facts_table(graph: nx.MultiDiGraph) -> list[Fact]:
    """Every edge as (head, relation, tail), sorted.

    Examples:
        >>> graph = nx.MultiDiGraph()
        >>> _ = graph.add_edge("source:sra", "format_1930", key="download_from")
        >>> facts_table(graph)
        [('source:sra', 'download_from', 'format_1930')]
    """
    return sorted((head, relation, tail) for head, tail, relation in graph.edges(keys=True))


def _table_facts(table: Table) -> dict[Fact, set[int]]:
    """Every fact, with the numbers of the ports that it belongs to, on its command's side or its source's."""
    found: defaultdict[Fact, set[int]] = defaultdict(set)

    def say(heads: Iterable[str], relation: str, tails: Iterable[str], *port: int) -> None:
        for head, tail in product(heads, tails):
            found[head, relation, tail].update(port)

    for tool in table.tools:
        say([f"tool:{tool.tool}"], "licensed_under", [f"license:{tool.license}"])
        say([f"tool:{tool.tool}"], "has_topic", tool.topics)
    for command in table.commands:
        node = [f"command:{command.command}"]
        say(node, "command_of", [f"tool:{command.tool}"])
        say(node, "performs", command.operations)
        say(command.inputs, "input", node)
        say(node, "output", command.outputs)
        say(command.input_data, "input_data", node)
        say(node, "output_data", command.output_data)
        for number, port in enumerate(command.needs):
            say(port.formats, "input", node, number)
            say(port.kinds, "input_data", node, number)
        for number, port in enumerate(command.gives):
            say(node, "output", port.formats, number)
            # data that was there before is nothing that a command makes
            say(node, "output_data", () if port.carries else port.kinds, number)
    for source in table.sources:
        say([f"source:{source.source}"], "download_from", source.formats + source.data)
        for number, port in enumerate(source.gives):
            say([f"source:{source.source}"], "download_from", port.formats + port.kinds, number)
    for row in table.formats:
        say([row.format], "encodes", row.encodes)
    return found


def _port_attributes(needs: Sequence[Port], gives: Sequence[Port]) -> dict[str, Any]:
    """What a node says of its ports beyond their formats and kinds: numbers by need, states by number."""
    found = {
        "optional_ports": [n for n, port in enumerate(needs) if port.need == OPTIONAL],
        "companion_ports": [n for n, port in enumerate(needs) if port.need == COMPANION],
        "carrying_ports": [n for n, port in enumerate(gives) if port.carries],
        "input_states": {str(n): list(port.states) for n, port in enumerate(needs) if port.states},
        "output_states": {str(n): list(port.states) for n, port in enumerate(gives) if port.states},
    }
    return {name: value for name, value in found.items() if value}


def is_a_facts(terms: Iterable[str], own: Mapping[str, Iterable[str]], edam: Edam) -> Iterator[Fact]:
    """Every is_a fact from `terms` up to the roots. own: term -> parents, which go before those of EDAM.

    Raises `KeyError` for a term that neither `own` nor EDAM knows.
    """
    waiting, seen = sorted(terms), set(terms)
    for term in waiting:  # grows while it is read
        for parent in own[term] if term in own else edam.parents(term):
            yield term, f"{branch_of(term)}_is_a", parent
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)


def _table_nodes(table: Table) -> dict[str, dict[str, Any]]:
    nodes: dict[str, dict[str, Any]] = {}
    for tool in table.tools:
        place = {"homepage": tool.homepage, "download": tool.download, "biotools_id": tool.biotools_id}
        reach = {"reach": int(tool.reach)} if tool.reach else {}
        nodes[f"license:{tool.license}"] = {"type": "license", "name": tool.license}
        nodes[f"tool:{tool.tool}"] = {"type": "tool", "name": tool.name, "license": tool.license, **place, **reach}
    for source in table.sources:
        what = {"type": "source", "name": source.name, "homepage": source.homepage}
        nodes[f"source:{source.source}"] = what | _port_attributes((), source.gives)
    for command in table.commands:
        what = {"type": "command", "name": command.command} | _port_attributes(command.needs, command.gives)
        nodes[f"command:{command.command}"] = what | ({"standing": command.standing} if command.standing else {})
    return nodes
