"""Does the graph allow the links that people make? Checked on published workflows that it was not built from.

A link A -> B is *accepted* when something A gives meets an input of B, what lies below a format counting as that
format. To say yes to everything is easy, so random and reversed pairs are asked about as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from workbench.kg.flow_index import is_a_links
from workbench.kg.identity import plain_name
from workbench.stats import proportion

LEVELS = ("command", "tool")
Link = tuple[str, str]


class Rate(NamedTuple):
    """Share of pairs that are accepted with its 95 % interval; n pairs were asked about."""

    level: str
    pairs: str
    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Checked:
    """The rates, and what the workflows name that the graph does not know or of which it states no formats."""

    rates: tuple[Rate, ...]
    links: tuple[Link, ...]
    unknown: tuple[str, ...]
    untyped: tuple[str, ...]
    refused: tuple[Link, ...]


@dataclass
class _Port:
    """What goes through one input or output: formats (of an output with all above them) and kinds of data."""

    formats: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)
    stated: bool = False  # False: all that a command takes or gives, as its ports are not known


class Plausibility:
    """Which links the graph accepts, per command and per tool (all commands of a tool together).

    Some output of the first must fit some input of the second, optional inputs included: in a format, and where both
    ports state a kind of data, in these too (one is the other or above it); by the kinds of data alone where one of the
    ports states no format. A command whose ports are not known is one port on each side, and its formats alone count.
    """

    def __init__(self, graph: nx.MultiDiGraph):
        self.tool_of = {c: t for c, t, key in graph.edges(keys=True) if key == "command_of"}
        self.commands_of: defaultdict[str, list[str]] = defaultdict(list)
        for command, tool in self.tool_of.items():
            self.commands_of[tool].append(command)
        self.is_a = nx.DiGraph(is_a_links(graph))
        self.above: dict[
            str, frozenset[str]
        ] = {}  # of the items of ports: all terms are too many where chains are long
        self.gives: defaultdict[str, defaultdict[int, _Port]] = defaultdict(lambda: defaultdict(_Port))
        self.takes: defaultdict[str, defaultdict[int, _Port]] = defaultdict(lambda: defaultdict(_Port))
        for head, tail, key, attributes in graph.edges(keys=True, data=True):
            stated = attributes.get("ports", ())
            for number in stated or [-1]:
                if key in ("output", "output_data"):
                    self._note(self.gives[head][number], key, tail, bool(stated))
                elif key in ("input", "input_data"):
                    self._note(self.takes[tail][number], key, head, bool(stated))

    def _note(self, port: _Port, key: str, item: str, stated: bool) -> None:
        port.stated = stated
        if item not in self.above:
            self.above[item] = frozenset(nx.descendants(self.is_a, item) if item in self.is_a else ())
        if key.endswith("data"):
            port.data.add(item)
        else:
            port.formats.update({item, *self.above[item]} if key == "output" else {item})

    def typed(self, link: Link) -> bool:
        """Do both ends state a format, or both a kind of data, of what might go from the first to the second?"""
        ends = [self.gives.get(link[0], {}).values(), self.takes.get(link[1], {}).values()]
        return all(any(port.formats for port in end) for end in ends) or all(any(p.data for p in end) for end in ends)

    def accepts(self, link: Link, *, level: str = "command") -> bool:
        """Is the link possible by what is stated? ValueError for another level."""
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
        heads, tails = ([end] for end in link)
        if level == "tool":
            heads, tails = (self.commands_of.get(self.tool_of.get(end, ""), [end]) for end in link)
        given = [port for head in heads for port in self.gives.get(head, {}).values()]
        taken = [port for tail in tails for port in self.takes.get(tail, {}).values()]
        return any(self._fits(out, into) for out in given for into in taken)

    def _fits(self, out: _Port, into: _Port) -> bool:
        if not (out.formats and into.formats):
            return self._agree(out.data, into.data)
        return not out.formats.isdisjoint(into.formats) and (
            not (out.stated and into.stated and out.data and into.data) or self._agree(out.data, into.data)
        )

    def _agree(self, some: set[str], others: set[str]) -> bool:
        pairs = ((one, other) for one in some for other in others)
        return any(one == other or one in self.above[other] or other in self.above[one] for one, other in pairs)


def known_as(graph: nx.MultiDiGraph, commands: Iterable[str], *, prefer: str = "galaxy") -> dict[str, str]:
    """What the graph calls the commands of workflows: the same id, else the same name or alias without punctuation.

    prefer: registry whose command is taken where several have the name.
    """
    names: defaultdict[str, set[str]] = defaultdict(set)
    for node, attributes in graph.nodes(data=True):
        if attributes["type"] == "command":
            for name in (node.split(":")[-1], attributes["name"], *attributes.get("aliases", ())):
                names[plain_name(name)].add(node)
    found = {}
    for command in sorted(set(commands)):
        here = names.get(plain_name(command.split(":")[-1]), set())
        if command in graph:
            found[command] = command
        elif here:
            found[command] = min(here, key=lambda node: (f":{prefer}:" not in node, node))
    return found


def check(
    graph: nx.MultiDiGraph, chains: Iterable[Mapping[str, Any]], *, seed: int, random_pairs: int = 5000
) -> Checked:
    """Asks the graph about the links of toolchains (as importers leave them in `graph.graph["toolchains"]`).

    Real links are counted once; `reversed` are those not real themselves; `random` pairs are of commands of the whole
    graph, `shuffled` ones of the commands that the links join, neither linked. Links whose commands the graph does not
    know, or of which it states nothing that could be compared, are left out and told; so are random pairs.
    """
    chains = list(chains)
    wanted = sorted({(head, tail) for one in chains for head, tail in one["links"] if head != tail})
    names = known_as(graph, [end for link in wanted for end in link])
    plausible, rng = Plausibility(graph), np.random.default_rng(seed)
    mapped = {(names[h], names[t]) for h, t in wanted if h in names and t in names}
    links = sorted(link for link in mapped if plausible.typed(link) and link[0] != link[1])
    heads, tails = sorted({head for head, _ in links}), sorted({tail for _, tail in links})
    shuffled = [(h, t) for h in heads for t in tails if h != t and (h, t) not in mapped and plausible.typed((h, t))]
    pairs = {
        "real": links,
        "random": list(_drawn(sorted(plausible.tool_of), mapped, plausible, rng, random_pairs)),
        "shuffled": [shuffled[i] for i in sorted(rng.permutation(len(shuffled))[:random_pairs])],
        "reversed": [(t, h) for h, t in links if (t, h) not in mapped],
    }
    rates = tuple(rate for level in LEVELS for rate in _rates(plausible, pairs, level))
    unknown = sorted({end for link in wanted for end in link} - names.keys())
    untyped = sorted({end for link in mapped - set(links) for end in link})
    refused = tuple(link for link in links if not plausible.accepts(link))
    return Checked(rates, tuple(links), tuple(unknown), tuple(untyped), refused)


def _rates(plausible: Plausibility, pairs: Mapping[str, list[Link]], level: str) -> Iterator[Rate]:
    for kind, some in pairs.items():
        if some:
            cell = proportion(np.array([plausible.accepts(link, level=level) for link in some]))
            yield Rate(level, kind, cell.share, cell.low, cell.high, cell.n)


def _drawn(
    commands: list[str], real: set[Link], plausible: Plausibility, rng: np.random.Generator, count: int
) -> Iterator[Link]:
    """Up to `count` random pairs that can be asked about, from three times as many draws."""
    left = count
    for _ in range(3 * count if len(commands) > 1 else 0):
        head, tail = (commands[i] for i in rng.integers(len(commands), size=2))
        if left and head != tail and (head, tail) not in real and plausible.typed((head, tail)):
            left -= 1
            yield head, tail
