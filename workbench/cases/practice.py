"""How often practitioners do what: the weights by which chains are drawn.

They follow from what a graph says of its commands, tools and ports, never from a list of workflows. Over a whole graph
a chain starts as often as its data are taken, and seldom from what mostly goes along with other data (a genome, an
index); so it is where it goes on. A command that gives nothing but another format is drawn less often.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from workbench.kg.columns import COMPANION, MAIN
from workbench.kg.links import Links

DRAWN = {"standard": 1.0, "common": 0.25, "special": 0.04, "outdated": 0.01}
"""How often commands of a standing are drawn, compared with one another; 1 where the graph does not say."""
WIDER, WIDER_IN_FIELD = 10.0, 6.0
"""How much more often a command is drawn whose tool is used one step more widely (`reach`, 1 to 5)."""
RESHAPED = 0.2
"""How much less often one that gives the data it took, in no other state."""

Step = tuple[str, str]


class Weighted(NamedTuple):
    """Things to draw from, and the sums of how often each is drawn compared with the others."""

    things: list[Step]
    sums: np.ndarray

    def drawn(self, rng: np.random.Generator, count: int) -> list[Step]:
        """Up to `count` things, by their weights, one after another without replacement."""
        if not self.things:
            return []
        places = np.searchsorted(self.sums, rng.random(4 * count) * self.sums[-1], side="right")
        return [self.things[place] for place in dict.fromkeys(places.tolist())][:count]


def weighted(pairs: Sequence[tuple[Step, float]]) -> Weighted:
    """Those of weight above 0."""
    kept = [(thing, weight) for thing, weight in pairs if weight > 0]
    return Weighted([thing for thing, _ in kept], np.cumsum([weight for _, weight in kept]))


class Practice:
    """Weights of starts and steps. weight: command -> by its standing and its tool's reach; chief: format or kind of
    data -> of those that take it, by weight, the share that does so as the main input.

    in_field: the graph is one field. Its starts count by their roots, so that few archives do not stand for all, and
    its steps by standing and reach alone.
    """

    def __init__(self, graph: nx.MultiDiGraph, tool_of: Mapping[str, str], links: Links, *, in_field: bool):
        self.links, self.in_field = links, in_field
        wider = WIDER_IN_FIELD if in_field else WIDER
        self.weight = {c: drawn(graph.nodes[c], graph.nodes[tool], wider=wider) for c, tool in tool_of.items()}
        self.chief = self._chief()

    def _chief(self) -> dict[str, float]:
        taken: dict[str, defaultdict[str, float]] = {MAIN: defaultdict(float), COMPANION: defaultdict(float)}
        for command, weight in self.weight.items():
            items = {need: self._items(command, need) for need in taken}
            for item in items[MAIN]:
                taken[MAIN][item] += weight
            for item in items[COMPANION] - items[MAIN]:
                taken[COMPANION][item] += weight
        return {item: main / (main + taken[COMPANION][item]) for item, main in taken[MAIN].items()}

    def _items(self, command: str, need: str) -> set[str]:
        ports = [port for port in self.links.takes.get(command, ()) if port.need == need]
        return {item for port in ports for item in (*port.formats, *port.kinds)}

    def start(self, item: str, takers: float) -> float:
        """Of a source's data in a format that commands of so much weight take."""
        return takers**0.5 if self.in_field else takers * self.chief.get(item, 0.0)

    def step(self, command: str, end: str, *, last: bool) -> float:
        """Of a command and what it gives. last: no other follows."""
        weight = self.weight[command]
        if self.in_field:
            return weight
        going_on = 1.0 if last else self.chief.get(end, 0.0)
        return weight * going_on * (RESHAPED if self._reshapes(command, end) else 1.0)

    def _reshapes(self, command: str, end: str) -> bool:
        """Whether the first output of a format or kind is the data of the main inputs, in no state that these lack."""
        outs = [out for out in self.links.gives.get(command, ()) if end in out.formats or end in out.above_kinds]
        if not outs:
            return False
        out = min(outs, key=lambda one: one.number)
        mains = [port for port in self.links.takes.get(command, ()) if port.need == MAIN]
        kinds = {kind for port in mains for kind in port.kinds}
        same = out.carries or bool(out.kinds and out.kinds <= kinds)
        return same and set(out.states) <= {state for port in mains for state in port.states}


def drawn(command: Mapping[str, Any], tool: Mapping[str, Any], *, wider: float = WIDER) -> float:
    """A command's weight, from the attributes of its node and of its tool's.

    Examples:
        >>> drawn({"standing": "common"}, {"reach": 4}, wider=6.0)
        1.5
    """
    return DRAWN.get(command.get("standing", ""), 1.0) * wider ** (tool.get("reach", 3) - 3)
