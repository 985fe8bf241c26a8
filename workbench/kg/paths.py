"""Toolchains: paths along which data flows from a source through commands to a format or a kind of data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import networkx as nx

Path = tuple[str, ...]  # node ids from source to target

FLOW_RELATIONS = ("download_from", "input", "output", "output_data")  # they carry data, in the direction it flows
SHOWCASE = (  # from SRA reads to annotated transcripts; where several commands are named, any one of them will do
    ("source:sra",),
    ("command:fasterq-dump",),
    ("command:hisat2",),
    ("command:samtools sort",),
    ("command:scallop", "command:stringtie"),
    ("command:gffcompare",),
    ("data_3134",),
)


class PathError(ValueError):
    """A toolchain that the graph does not hold: names the step, the rule and what to do.

    Examples:
        >>> showcase(nx.MultiDiGraph())
        Traceback (most recent call last):
            ...
        workbench.kg.paths.PathError: the showcase from source:sra to data_3134 is incomplete: ...
    """


def check_node(flow: nx.Graph, node: str) -> None:
    """PathError: the node does not lie on the data flow."""
    if node not in flow:
        raise PathError(f"node must be a source, format, command or data of the graph, got {node!r}")


def flow_graph(graph: nx.MultiDiGraph) -> nx.DiGraph:
    """The data flow alone: sources, formats, commands and data that the edges of `FLOW_RELATIONS` join.

    What a source delivers as `data` is left out: it needs no tool, and would make every question about that data empty.
    So are inputs that only go along (companions, such as an index, and what may be left out): no chain follows them.

    Examples:
        >>> from workbench.kg import load_graph
        >>> flow = flow_graph(load_graph("mediakg").graph)
        >>> {flow.nodes[node]["type"] for node in flow} <= {"source", "format", "command", "data"}
        True
    """
    beside = {
        node: {*about.get("companion_ports", ()), *about.get("optional_ports", ())}
        for node, about in graph.nodes(data=True)
    }
    flow = nx.DiGraph()
    for head, tail, relation, about in graph.edges(keys=True, data=True):
        direct = relation == "download_from" and graph.nodes[tail]["type"] == "data"
        along = relation == "input" and about.get("ports") and beside[tail].issuperset(about["ports"])
        if relation in FLOW_RELATIONS and not direct and not along:
            flow.add_edge(head, tail, relation=relation)
    flow.add_nodes_from((node, graph.nodes[node]) for node in list(flow))
    return flow


def commands_of(path: Iterable[str]) -> Path:
    """The toolchain of a path: its commands in order.

    Examples:
        >>> commands_of(["source:sra", "format_1930", "command:star", "format_2572"])
        ('command:star',)
    """
    return tuple(node for node in path if node.startswith("command:"))


def shortest_toolchains(flow: nx.DiGraph, source: str, target: str, *, limit: int = 10) -> list[Path]:
    """Up to `limit` shortest node paths from source to target, sorted; empty when there is none.

    Raises `PathError` for a node that does not lie on the data flow.

    Examples:
        >>> flow = nx.DiGraph([("source:sra", "f:FASTQ"), ("f:FASTQ", "command:star"), ("command:star", "f:BAM")])
        >>> shortest_toolchains(flow, "source:sra", "f:BAM")
        [('source:sra', 'f:FASTQ', 'command:star', 'f:BAM')]
    """
    for node in (source, target):
        check_node(flow, node)
    if not nx.has_path(flow, source, target):
        return []
    return sorted(map(tuple, islice(nx.all_shortest_paths(flow, source, target), limit)))


def chain_through(flow: nx.DiGraph, stops: Sequence[str]) -> Path:
    """The node path that visits `stops` in order, with at most one format between two of them.

    Where two stops share several formats the first one not yet on the path is taken. Raises `PathError` for a node
    that is missing and for two stops that share no format.

    Examples:
        >>> flow = nx.DiGraph([("source:sra", "f:FASTQ"), ("f:FASTQ", "command:star"), ("command:star", "f:BAM")])
        >>> chain_through(flow, ["source:sra", "command:star"])
        ('source:sra', 'f:FASTQ', 'command:star')
    """
    for stop in stops:
        check_node(flow, stop)
    path = [stops[0]]
    for here, there in pairwise(stops):
        if not flow.has_edge(here, there):
            shared = sorted(set(flow.successors(here)) & set(flow.predecessors(there)))
            if not shared:
                raise PathError(_gap(flow, here, there))
            path.append(next((node for node in shared if node not in path), shared[0]))
        path.append(there)
    return tuple(path)


def showcase(graph: nx.MultiDiGraph) -> list[Path]:
    """The showcase chains the graph holds, sorted: one for each command that may take the step which names several.

    The stops are those of the graph's attribute `showcase` (a list of lists of node ids), else `SHOWCASE`.

    Raises `PathError` when there is none, telling the first gap.

    Examples:
        >>> from workbench.kg import load_graph
        >>> [(chain[0], chain[-1]) for chain in showcase(load_graph("mediakg").graph)]
        [('source:internet-archive', 'data:transcript')]
    """
    flow, chains, problems = flow_graph(graph), [], []
    wanted = graph.graph.get("showcase", SHOWCASE)
    several = max(wanted, key=len)
    for one in [node for node in several if node in flow] or several[:1]:
        stops = [one if names is several else names[0] for names in wanted]
        try:
            chains.append(chain_through(flow, stops))
        except PathError as problem:
            problems.append(problem)
    if not chains:
        raise PathError(f"the showcase from {wanted[0][0]} to {wanted[-1][0]} is incomplete: {problems[0]}")
    return sorted(chains)


def reachable_targets(flow: nx.DiGraph) -> dict[str, list[str]]:
    """Source -> the formats and data that can be made from it, sorted; what it delivers itself does not count.

    Examples:
        >>> from workbench.kg import load_graph
        >>> reached = reachable_targets(flow_graph(load_graph("mediakg").graph))
        >>> all(source not in targets for source, targets in reached.items())
        True
    """
    sources = sorted(node for node, kind in flow.nodes(data="type") if kind == "source")
    ends = {node for node, kind in flow.nodes(data="type") if kind in ("format", "data")}
    return {s: sorted((nx.descendants(flow, s) & ends) - set(flow.successors(s))) for s in sources}


def dead_ends(flow: nx.DiGraph) -> list[str]:
    """Commands that no chain from a source reaches, sorted.

    Examples:
        >>> flow = nx.DiGraph([("source:sra", "f:FASTQ"), ("f:FASTQ", "command:star"), ("f:WIG", "command:plot")])
        >>> for node in flow:
        ...     flow.nodes[node]["type"] = node.split(":")[0]
        >>> dead_ends(flow)
        ['command:plot']
    """
    reached = set().union(*(nx.descendants(flow, s) for s, kind in flow.nodes(data="type") if kind == "source"))
    return sorted(node for node, kind in flow.nodes(data="type") if kind == "command" and node not in reached)


def _gap(flow: nx.DiGraph, here: str, there: str) -> str:
    def names(nodes: Iterable[str]) -> str:
        return ", ".join(sorted(flow.nodes[node]["name"] for node in nodes)) or "nothing"

    gives, takes = names(flow.successors(here)), names(flow.predecessors(there))
    return f"no format leads from {here} (gives {gives}) to {there} (takes {takes}). Add one to the table"
