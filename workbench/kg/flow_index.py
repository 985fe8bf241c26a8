"""The data flow as integer arrays, made once per graph, so that a question takes milliseconds.

Commands that need and give the same at the same cost are one *class*; ports with the same alternatives are one port. A
port is met by its alternatives and by all below them (`is_a`): a command that takes *Sequence alignment format* takes
BAM. What is needed at least to meet a port is found for all ports at once, in rounds over the arrays (the relaxation
`h_max` of Bonet and Geffner 2001, Artificial Intelligence 129; for one input a command it is Dijkstra's distance).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from workbench.kg.int_rows import Ints, Rows
from workbench.kg.paths import PathError
from workbench.kg.ports import Port, Step, steps


@dataclass(frozen=True)
class Needs:
    """The least cost, from a start, at which a thing is there; infinite where it never is. float64, one entry each.

    item: formats and kinds of data. port: meeting a port. step: having run a command of a class.
    """

    item: np.ndarray
    port: np.ndarray
    step: np.ndarray


@dataclass(frozen=True)
class FlowIndex:
    """See the module. `needs`, `gives`: per class its ports and items; `accepts`: per port all items that meet it."""

    items: tuple[str, ...]
    ports: tuple[Port, ...]  # by number; the alternatives as stated, without what lies below them
    members: tuple[tuple[str, ...], ...]  # commands of each class
    costs: np.ndarray  # float64 (classes,)
    needs: Rows
    gives: Rows
    accepts: Rows
    delivers: Mapping[str, tuple[str, ...]]  # source -> formats and kinds of data
    unstated: frozenset[str]  # commands whose inputs nobody states: they open no way
    below: Mapping[str, frozenset[str]] = field(repr=False)  # item -> itself and all below it
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)  # what was once looked up

    @classmethod
    def of(
        cls, graph: nx.MultiDiGraph, *, costs: Mapping[str, float] | None = None, rule: str = "declared"
    ) -> FlowIndex:
        """The index of a graph. costs: command -> cost, above 0; 1 for the others. rule: see `ports.steps`."""
        return cls.of_steps(steps(graph, rule=rule), delivered(graph), is_a_links(graph), costs=costs)

    @classmethod
    def of_steps(
        cls,
        edges: Iterable[Step],
        delivers: Mapping[str, tuple[str, ...]],
        is_a: Iterable[tuple[str, str]],
        *,
        costs: Mapping[str, float] | None = None,
    ) -> FlowIndex:
        """The index of hyper-edges. is_a: pairs (special, general). ValueError for a cost that is not above 0."""
        classes, unstated = _classes(edges, costs or {})
        ports = tuple(sorted({port for needs, _, _ in classes for port in needs}, key=sorted))
        named = {item for needs, gives, _ in classes for item in (*gives, *(i for port in needs for i in port))}
        named.update(item for given in delivers.values() for item in given)
        below = _below(named, is_a)
        items = tuple(sorted(named.union(*below.values())))
        number, port_number = {item: i for i, item in enumerate(items)}, {port: i for i, port in enumerate(ports)}
        return cls(
            items=items,
            ports=ports,
            members=tuple(tuple(sorted(names)) for names in classes.values()),
            costs=np.array([cost for *_, cost in classes], dtype=np.float64),
            needs=Rows.of([sorted(port_number[port] for port in needs) for needs, _, _ in classes]),
            gives=Rows.of([sorted(number[item] for item in gives) for _, gives, _ in classes]),
            accepts=Rows.of([sorted({number[i] for item in port for i in below[item]}) for port in ports]),
            delivers=dict(delivers),
            unstated=frozenset(unstated),
            below=below,
        )

    @cached_property
    def number(self) -> dict[str, int]:
        """Item -> its number."""
        return {item: i for i, item in enumerate(self.items)}

    @cached_property
    def prices(self) -> list[float]:
        """`costs` as plain numbers."""
        return [float(cost) for cost in self.costs]

    @cached_property
    def class_of(self) -> dict[str, int]:
        """Command -> its class."""
        return {command: c for c, names in enumerate(self.members) for command in names}

    @cached_property
    def alternatives(self) -> Rows:
        """Per port, its alternatives as stated: much shorter than `accepts` where terms are general."""
        return Rows.of([sorted(self.number[item] for item in port) for port in self.ports])

    @cached_property
    def kinds(self) -> Rows:
        """Per item, itself and all below it."""
        return Rows.of([sorted(self.number[i] for i in self.below[item]) for item in self.items])

    @cached_property
    def givers(self) -> Rows:
        """Per item, the classes that give it."""
        return self.gives.turned(len(self.items))

    @cached_property
    def takers(self) -> Rows:
        """Per port, the classes that need it."""
        return self.needs.turned(len(self.ports))

    def providers(self, port: int) -> Ints:
        """The classes that give what meets a port."""
        if port not in self._memo:
            self._memo[port] = self.givers.gather(self.accepts[port])
        return self._memo[port]

    def kinds_met(self, port: int) -> frozenset[int]:
        """The items that meet a port, as a set."""
        if ("met", port) not in self._memo:
            self._memo["met", port] = frozenset(self.accepts[port].tolist())
        return self._memo["met", port]

    def given_by(self, step: int) -> list[int]:
        """The items that a class gives."""
        if ("given", step) not in self._memo:
            self._memo["given", step] = self.gives[step].tolist()
        return self._memo["given", step]

    def ports_of(self, step: int) -> list[int]:
        """The ports that a class needs."""
        if ("ports", step) not in self._memo:
            self._memo["ports", step] = self.needs[step].tolist()
        return self._memo["ports", step]

    def start(self, nodes: Iterable[str]) -> Ints:
        """The items that are there at the outset: those named, and what the sources named deliver; int64, sorted.

        Raises `PathError` for a node that is neither a source nor lies on the data flow.
        """
        found: set[int] = set()
        for node in [nodes] if isinstance(nodes, str) else nodes:
            if node not in self.delivers and node not in self.number:
                raise PathError(f"start must be a source, format or kind of data on the data flow, got {node!r}")
            found.update(self.number[item] for item in self.delivers.get(node, (node,)))
        return np.array(sorted(found), dtype=np.int64)

    def goal(self, node: str) -> Ints:
        """The items that count as `node`: itself and all below it. Raises `PathError` for a node off the data flow."""
        if node not in self.number:
            raise PathError(f"target must be a format or kind of data on the data flow, got {node!r}")
        return np.array(sorted(self.number[item] for item in self.below[node]), dtype=np.int64)

    def least(self, item: np.ndarray, *, join: np.ufunc = np.maximum) -> Needs:
        """The least costs from what the items cost at the outset, float64 (items,): 0 what is there, else infinite.

        join: `np.maximum` of the ports of a step bounds what must be paid from below; `np.add` pays for what two ports
        share twice, and bounds from above (the additive value of Gallo et al. 1993, Discrete Applied Mathematics 42).
        """
        item = item.copy()
        while True:
            met = self.kinds.reduce(np.minimum, item, empty=np.inf)  # of a general term, by what lies below it
            port = self.alternatives.reduce(np.minimum, met, empty=np.inf)
            step = self.needs.reduce(join, port, empty=np.inf) + self.costs
            after = np.minimum(item, self.givers.reduce(np.minimum, step, empty=np.inf))
            if np.array_equal(after, item):
                return Needs(item, port, step)
            item = after


def delivered(graph: nx.MultiDiGraph) -> dict[str, tuple[str, ...]]:
    """Source -> the formats and kinds of data that can be downloaded from it, sorted."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for head, tail, relation in graph.edges(keys=True):
        if relation == "download_from":
            found[head].add(tail)
    return {source: tuple(sorted(items)) for source, items in sorted(found.items())}


def is_a_links(graph: nx.MultiDiGraph) -> list[tuple[str, str]]:
    return [(head, tail) for head, tail, key in graph.edges(keys=True) if key in ("format_is_a", "data_is_a")]


Class = tuple[tuple[Port, ...], tuple[str, ...], float]


def _classes(edges: Iterable[Step], costs: Mapping[str, float]) -> tuple[dict[Class, list[str]], set[str]]:
    classes: defaultdict[Class, list[str]] = defaultdict(list)
    unstated = set()
    for step in edges:
        cost = float(costs.get(step.command, 1.0))
        if not 0 < cost < np.inf:
            raise ValueError(f"costs: a cost must be a number above 0, got {cost!r} for {step.command!r}")
        if step.needs:
            classes[step.needs, step.gives, cost].append(step.command)
        else:
            unstated.add(step.command)
    return dict(classes), unstated


def _below(named: set[str], is_a: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """For each item that is named or lies between two: itself and the named ones below it."""
    upwards = nx.DiGraph(is_a)
    found: dict[str, set[str]] = {item: {item} for item in named}
    for item in named & set(upwards):
        for above in nx.descendants(upwards, item):
            found.setdefault(above, {above}).add(item)
    return {item: frozenset(below) for item, below in found.items()}
