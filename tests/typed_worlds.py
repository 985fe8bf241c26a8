"""Small random graphs of typed data flow, and chains in them found by trying all."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import networkx as nx
from hypothesis import strategies as st

from workbench.kg.importers import FactItem, Item, Node, Provenance
from workbench.kg.links import Flow, Links, fits, lasting
from workbench.kg.plan import COSTS

HERE = Provenance("here", "1", "MIT")
FORMATS, KINDS = [f"format:{letter}" for letter in "abcd"], ["data:k", "data:k1", "data:k2"]
STATES = {"rna": "assay", "dna": "assay", "sorted": "order"}
PORT = st.tuples(st.sampled_from(FORMATS), st.sampled_from(KINDS), st.sampled_from(["", *STATES]))


@st.composite
def worlds(draw: st.DrawFn, most: int = 5) -> nx.MultiDiGraph:
    """Four formats (d is a c), three kinds of data (k1, k2 are k), a source, up to `most` commands, each of a tool."""
    graph = nx.MultiDiGraph(states=STATES)
    for kind, nodes in (("format", FORMATS), ("data", KINDS)):
        graph.add_nodes_from(nodes, type=kind)
    graph.add_edge("format:d", "format:c", "format_is_a")
    graph.add_edges_from([("data:k1", "data:k", "data_is_a"), ("data:k2", "data:k", "data_is_a")])
    graph.add_node("source:s", type="source")
    for item in draw(PORT)[:2]:
        graph.add_edge("source:s", item, "download_from", ports=[0])
    for number in range(draw(st.integers(1, most))):
        node, tool = f"command:{number}", f"tool:{draw(st.integers(0, 3))}"
        graph.add_node(node, type="command", standing=draw(st.sampled_from(["standard", "common", "special"])))
        graph.add_node(tool, type="tool")
        graph.add_edge(node, tool, "command_of")
        _ports(draw, graph, node)
    for node in graph:
        graph.nodes[node].setdefault("name", node.split(":")[1])
    return graph


def _ports(draw: st.DrawFn, graph: nx.MultiDiGraph, node: str) -> None:
    """A main input, perhaps a companion, one or two outputs; the first may carry."""
    carries = draw(st.booleans())
    inputs, outputs = [draw(PORT)], draw(st.lists(PORT, min_size=1, max_size=2, unique=True))
    inputs += draw(st.lists(PORT, max_size=1))
    for side, ports in (("input", inputs), ("output", outputs)):
        graph.nodes[node][f"{side}_states"] = {str(n): [state] for n, (_, _, state) in enumerate(ports) if state}
        wanted: dict[tuple[str, str], list[int]] = {}
        for n, (format, kind, _) in enumerate(ports):
            wanted.setdefault((format, side), []).append(n)
            if not (carries and side == "output" and n == 0):
                wanted.setdefault((kind, f"{side}_data"), []).append(n)
        for (item, relation), numbers in wanted.items():
            ends = (item, node) if side == "input" else (node, item)
            graph.add_edge(*ends, relation, ports=numbers)
    graph.nodes[node].update(companion_ports=[1], carrying_ports=[0] if carries else [])


def described(
    name: str, tool: str, inputs: Sequence[Iterable[str]], outputs: Sequence[Iterable[str]], **about: Any
) -> Iterator[Item]:
    """A command of a tool, as an importer gives it: what each input takes and each output gives. about: the tool."""
    node = f"command:{name}"
    yield from (Node(node, "command", name), Node(f"tool:{tool}", "tool", tool, about))
    yield FactItem(node, "command_of", f"tool:{tool}", HERE)
    for side, ports in (("input", inputs), ("output", outputs)):
        for number, item in ((number, item) for number, port in enumerate(ports) for item in port):
            ends = (item, node) if side == "input" else (node, item)
            yield FactItem(ends[0], f"{side}_data" if item.startswith("data") else side, ends[1], HERE, number)


def all_chains(graph: nx.MultiDiGraph, target: str) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Every chain of different commands from the source to the target, with its cost: by trying all."""
    links = Links(graph)
    waiting: list[tuple[float, tuple[str, ...], Flow]] = [(0.0, (), flow) for flow in links.gives["source:s"]]
    for cost, chain, flow in waiting:  # grows while it is read
        if target in flow.above_formats | flow.above_kinds:
            yield cost, chain
        for command in sorted(set(links.takes) - set(chain)):
            port = next(one for one in links.takes[command] if one.need == "main")
            if fits(flow, port):
                silent = len(dict(port.states).keys() - dict(flow.states).keys()) * 0.25
                general = 0.0 if flow.formats & port.formats else 0.25
                first = cost + COSTS[graph.nodes[command]["standing"]] + silent + general
                for out in links.gives[command]:
                    given = links.carry(flow, out) if out.carries else lasting(flow, out)
                    waiting.append((first + min(0.3 * out.number, 0.6), (*chain, command), given))
