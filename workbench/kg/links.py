"""Which link can be made: the one test of it, for chains, cases, plans and published workflows.

What comes out of one port goes into another when some format is, or lies below (is_a), one that is taken; some kind of
data likewise; and no state speaks against it: on an axis that both name, they share one. What a side does not state
speaks against nothing, save that a format of tables alone (`TABLES`) says too little: such a port links by its kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import networkx as nx

from workbench.kg.build import related
from workbench.kg.columns import COMPANION, MAIN, OPTIONAL

TABLES = frozenset(
    ("format_2330", "format_2331", "format_2332", "format_3464", "format_3475", "format_3751", "format_3752")
)
"""TXT, HTML, XML, JSON, TSV, DSV, CSV: formats that hold anything."""
LASTING = frozenset(("assay", "organism", "genome_size", "haplotype", "analyte", "technology", "read_length"))
"""Axes of what data is of, which hold whatever is made of it; the others are of its present shape."""
REFERENCES = frozenset(("format_1929", "format_2306", "format_1975", "format_1974", "format_2305"))
"""FASTA, GTF, GFF3, GFF2, GFF."""
INDEXES = frozenset(("format_3326", "data_0955", "data_3210"))
"""Data index format, data index, genome index."""
INTO, OUT = ("input", "input_data"), ("output", "output_data", "download_from")
"""Relations that say what a command takes, and what a command or source gives."""


@dataclass(frozen=True)
class Flow:
    """What goes through a port, as a link is judged by. formats, kinds: as stated. above_*: these and all above them.

    states: axis -> states. number: of the port on its side, -1 where the graph states no ports. need, carries: as in
    `workbench.kg.columns.Port`.
    """

    formats: frozenset[str]
    kinds: frozenset[str]
    above_formats: frozenset[str]
    above_kinds: frozenset[str]
    states: tuple[tuple[str, frozenset[str]], ...] = ()
    number: int = -1
    need: str = MAIN
    carries: bool = False

    def __post_init__(self) -> None:
        fields = (self.formats, self.kinds, self.above_kinds, self.states, self.number, self.need, self.carries)
        object.__setattr__(self, "_hash", hash(fields))  # flows are looked up far more often than made

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined]

    @property
    def stated(self) -> bool:
        """Whether the graph says what belongs to this port; else it is all that a command takes or gives."""
        return self.number >= 0


class Links:
    """The ports of a graph's commands and sources, and which fit. gives, takes: node -> its ports.

    A command whose ports are not known is one port on each side.

    Examples:
        >>> graph = nx.MultiDiGraph([("archive", "FASTQ", "download_from"), ("FASTQ", "align", "input")])
        >>> _ = graph.add_edge("align", "BAM", "output")
        >>> nx.set_node_attributes(graph, {"FASTQ": "format", "BAM": "format"}, "type")
        >>> Links(graph).first_break(["archive", "BAM", "align", "BAM"])
        'archive -> BAM -> align -> BAM'
    """

    def __init__(self, graph: nx.MultiDiGraph):
        self._axes: Mapping[str, str] = graph.graph.get("states", {})
        self._is_a = nx.DiGraph(related(graph, "format_is_a", "data_is_a"))
        self._above: dict[str, frozenset[str]] = {}
        self._holds: defaultdict[str, set[str]] = defaultdict(set)
        for format, kind in related(graph, "encodes"):
            self._holds[format].add(kind)
        into: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        out: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        for head, tail, key, attributes in graph.edges(keys=True, data=True):
            for number in attributes.get("ports") or [-1]:
                if key in INTO:
                    into[tail, number].add(head)
                elif key in OUT:
                    out[head, number].add(tail)
        self._known: dict[Flow, Flow] = {}  # one object for what is equal
        self._made = cache(self._make)
        types = nx.get_node_attributes(graph, "type")
        self.takes: dict[str, list[Flow]] = self._ports(graph, into, types, "input")
        self.gives: dict[str, list[Flow]] = self._ports(graph, out, types, "output")

    def _ports(
        self, graph: nx.MultiDiGraph, found: Mapping[tuple[str, int], set[str]], types: Mapping[str, str], side: str
    ) -> dict[str, list[Flow]]:
        ports: defaultdict[str, list[Flow]] = defaultdict(list)
        stated = {node for node, number in found if number >= 0}
        for (node, number), items in sorted(found.items()):
            if number < 0 and node in stated:
                continue  # what a second graph lists without ports; the first one's stand
            about = graph.nodes[node]
            needs = {COMPANION: about.get("companion_ports", ()), OPTIONAL: about.get("optional_ports", ())}
            need = next((need for need, numbers in needs.items() if side == "input" and number in numbers), MAIN)
            formats = frozenset(item for item in items if types[item] == "format")
            states = about.get(f"{side}_states", {}).get(str(number), ())
            carries = side == "output" and number in about.get("carrying_ports", ())
            port = {"number": number, "need": need, "carries": carries}
            ports[node].append(self.flow(formats, items - formats, states, **port))
        if side == "input":
            for node in stated:
                about = graph.nodes[node]
                if "standing" not in about and "companion_ports" not in about:
                    ports[node] = list(self._inferred(ports[node], about.get("side_ports", ())))
        return dict(ports)

    def _inferred(self, ports: Sequence[Flow], beside: Collection[int]) -> Iterator[Flow]:
        """Ports of a registry, which does not tell main inputs from companions. Companions are indexes, what is given
        beside the main data (`beside`, numbers), and references (`REFERENCES`) behind the first of the other needed
        ports, which is the main input."""
        needed = [port for port in ports if port.need == MAIN]
        aside = {port.number for port in needed if port.number in beside or self._is_index(port)}
        first = next((port for port in needed if port.number not in aside), needed[0] if needed else None)
        aside.update(port.number for port in needed if port.formats and port.formats <= REFERENCES)
        for port in ports:
            yield replace(port, need=COMPANION) if port.number in aside and port != first else port

    def _is_index(self, port: Flow) -> bool:
        """Whether all formats, or all kinds of data, are those of an index."""
        sides = (port.formats, port.kinds)
        return any(terms and all(self.above([one]) & INDEXES for one in terms) for terms in sides)

    def flow(self, formats: Iterable[str], kinds: Iterable[str], states: Iterable[str] = (), **port: Any) -> Flow:
        """What somebody has in hand: any of the formats, any of the kinds, in these states. port: what else it is."""
        axes: defaultdict[str, set[str]] = defaultdict(set)
        for state in states:
            axes[self._axes.get(state, state)].add(state)
        formats, kinds = frozenset(formats), frozenset(kinds)
        named = tuple((axis, frozenset(some)) for axis, some in sorted(axes.items()))
        return Flow(formats, kinds, self.above(formats), self.above(kinds), named, **port)

    def above(self, terms: Iterable[str]) -> frozenset[str]:
        """The terms and all above them."""
        found: set[str] = set()
        for term in terms:
            if term not in self._above:
                higher = nx.descendants(self._is_a, term) if term in self._is_a else ()
                self._above[term] = frozenset((term, *higher))
            found |= self._above[term]
        return frozenset(found)

    def accepts(self, head: str, tail: str) -> bool:
        """Whether something that the first gives fits an input of the second, of whatever need."""
        return any(fits(out, into) for out in self.given(head) for into in self.takes.get(tail, ()))

    def given(self, node: str) -> list[Flow]:
        """What a command or source gives, whatever went in: carrying ports give what the main input takes."""
        main = next((port for port in self.takes.get(node, ()) if port.need == MAIN), None)
        return [self.carry(main, one) if one.carries and main else one for one in self.gives.get(node, ())]

    def carry(self, flow: Flow, out: Flow) -> Flow:
        """What a carrying port gives of what went in: its own formats, as far as they can hold such data, and states;
        the rest as it was. What a format holds is said by `encodes`; one of which nothing is said holds anything."""
        named = dict(out.states)
        states = {axis: some for axis, some in flow.states if axis not in named} | named
        kinds, above = (flow.kinds, flow.above_kinds) if flow.kinds else (out.kinds, out.above_kinds)
        fitting = frozenset(one for one in out.formats if self._may_hold(one, kinds, above)) or out.formats
        return replace(
            out,
            formats=fitting,
            above_formats=self.above(fitting),
            kinds=kinds,
            above_kinds=above,
            states=tuple(sorted(states.items())),
        )

    def _may_hold(self, format: str, kinds: frozenset[str], above: frozenset[str]) -> bool:
        held = self._holds.get(format)
        return not held or not kinds or not held.isdisjoint(above) or not kinds.isdisjoint(self.above(held))

    def start(self, source: str, item: str) -> list[Flow]:
        """What a source delivers as this format or kind of data."""
        return [flow for flow in self.gives.get(source, ()) if item in flow.formats or item in flow.kinds]

    def after(self, flows: Iterable[Flow], format: str | None, command: str, end: str | None) -> list[Flow]:
        """What is in hand as `end` (a format or kind of data) once a command has taken some of the flows as `format`;
        empty where its main inputs take none. Kinds and states are carried through where the command carries them.
        None: in any format; all that the command gives."""
        made = [made for flow in flows if (made := self._made(flow, format, command))]
        if not made:
            return []
        given = made[0] if len(made) == 1 else [one for out in zip(*made, strict=True) for one in out]
        return list(dict.fromkeys([o for o in given if end is None or end in o.formats or end in o.above_kinds]))

    def _make(self, flow: Flow, format: str | None, command: str) -> tuple[Flow, ...]:
        """By output, what a command gives once it has taken a flow as `format`; empty where it does not take it."""
        for port in self.takes.get(command, ()):
            if port.need == MAIN and (format is None or format in port.formats) and fits(flow, port, format=format):
                outs = self.gives.get(command, ())
                made = (self.carry(flow, out) if out.carries else lasting(flow, out) for out in outs)
                return tuple(self._known.setdefault(one, one) for one in made)
        return ()

    def follows(self, path: Sequence[str]) -> bool:
        """Whether data flows along a path (source, format, command, format, ... target) with its meaning."""
        flows = self.start(path[0], path[1])
        for format, command, end in zip(path[1:-1:2], path[2::2], path[3::2], strict=True):
            flows = self.after(flows, format, command, end)
        return bool(flows)

    def first_break(self, path: Sequence[str]) -> str:
        """The first step of a path that does not follow, in node ids; "" where all do."""
        for end in range(4, len(path) + 1, 2):
            if not self.follows(path[:end]):
                return " -> ".join(path[max(0, end - 5) : end])
        return ""


def lasting(flow: Flow, out: Flow) -> Flow:
    """What is made of a flow, still of what that was of (`LASTING`): where the output names nothing, or several."""
    return _of(flow.states, out) if flow.states else out


@lru_cache(1 << 16)
def _of(states: tuple[tuple[str, frozenset[str]], ...], out: Flow) -> Flow:
    named = dict(out.states)
    kept = {axis: some & named.get(axis, some) or named[axis] for axis, some in states if axis in LASTING}
    return replace(out, states=tuple(sorted((named | kept).items()))) if kept else out


def fits(out: Flow, into: Flow, *, format: str | None = None) -> bool:
    """The test of a link. format: the very one that goes over, or any."""
    formats = into.formats if format is None else into.formats & {format}
    if out.formats and into.formats and not (out.above_formats & formats):
        return False
    if not (out.kinds and into.kinds):
        # a list of formats without kinds: those of tables say nothing, unless neither side ever says more
        known = bool(out.kinds or into.kinds)
        return not (known and (out.formats | into.formats) and not (out.above_formats & formats) - TABLES)
    if not out.stated and not into.stated and out.formats and into.formats:
        return True  # all that two commands give and take: what belongs together is not known
    if out.above_kinds.isdisjoint(into.kinds):
        return False
    wanted = dict(into.states)
    return all(axis not in wanted or some & wanted[axis] for axis, some in out.states)
