"""Links that people made, in published workflows from which the graph was not built: does it allow them, and how many
links of other chains are among them?

A link A -> B is *accepted* when something A gives fits an input of B (`workbench.kg.links.Links.accepts`). To say yes
to everything is easy, so random and reversed pairs are asked about as well.
"""

from __future__ import annotations

import csv
import importlib.resources
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from workbench.kg.build import related
from workbench.kg.links import Links
from workbench.kg.names import plain_name
from workbench.stats import Proportion, proportion

OWNER = "andersen-lab_"
SUITES = importlib.resources.files("workbench") / "data" / "registries" / "galaxy_suites.tsv"
LEVELS = ("command", "tool")
Pair = tuple[str, str]


class Known(NamedTuple):
    """Shares of links that are published: of all, each as often as it occurs; of those between two different tools; and
    of the distinct ones that occur often."""

    links: Proportion
    between: Proportion
    distinct: Proportion


def published_links(path: str | Path, graph: nx.MultiDiGraph) -> set[Pair]:
    """The pairs of the graph's tools (node ids) that a published workflow joins, some a tool with itself.

    path: TSV with the columns source, target, utility; rows of helpers (utility 1) do not count. Raises
    `FileNotFoundError`.
    """
    tool = _finder(graph)
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["utility"] == "0"]
    pairs = {(tool(row["source"]), tool(row["target"])) for row in rows}
    return {(head, tail) for head, tail in pairs if head and tail}


def _finder(graph: nx.MultiDiGraph) -> Callable[[str], str | None]:
    """From the name of a suite to the node of a tool."""
    tools = {plain_name(n.split(":", 1)[1]): n for n, kind in graph.nodes(data="type") if kind == "tool"}
    with SUITES.open(encoding="utf-8") as file:
        called = dict(csv.reader(file, delimiter="\t"))  # names of suites that the tools do not go by

    def tool(suite: str) -> str | None:
        plain = plain_name(suite.removeprefix(OWNER))
        return tools.get(called.get(plain, plain)) or tools.get(plain)

    return tool


def links_allowed(
    graph: nx.MultiDiGraph, pairs: Iterable[Pair], *, draws: int = 300, seed: int = 0
) -> tuple[Proportion, Proportion]:
    """Of the pairs of two tools, and of as many other pairs of the same tools drawn by chance (`draws` at most): the
    share that some command of each links (`Links.accepts`)."""
    allowed = Plausibility(graph)
    made = sorted(pair for pair in pairs if pair[0] != pair[1])
    others = sorted(set(product(*map(set, zip(*made, strict=True)))) - set(made))
    drawn = [others[i] for i in np.random.default_rng(seed).permutation(len(others))[:draws]]
    made_rate, drawn_rate = (proportion([allowed.tools(pair) for pair in some]) for some in (made, drawn))
    return made_rate, drawn_rate


def known_links(
    paths: Iterable[Sequence[str]], graph: nx.MultiDiGraph, published: set[Pair], *, often: int = 5
) -> Known:
    """How many links, from a command to the next one of a path, join tools that a published workflow joins."""
    tool_of = dict(related(graph, "command_of"))
    tools = ([tool_of[node] for node in path if node in tool_of] for path in paths)
    found = Counter(link for chain in tools for link in pairwise(chain))
    every = list(found.elements())
    groups = (every, [link for link in every if link[0] != link[1]], [one for one, n in found.items() if n >= often])
    return Known(*(proportion([link in published for link in links]) for links in groups))


class Rate(NamedTuple):
    """Share of pairs that are accepted with its 95 % interval; n pairs were asked about."""

    level: str
    pairs: str
    share: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Checked:
    """The rates, and what the workflows name that the graph does not know or of which it states no formats."""

    rates: tuple[Rate, ...]
    links: tuple[Pair, ...]
    unknown: tuple[str, ...]
    untyped: tuple[str, ...]
    refused: tuple[Pair, ...]


class Plausibility:
    """Which links the graph accepts (`workbench.kg.links`), optional inputs included: per command, and per tool (all
    commands of a tool together)."""

    def __init__(self, graph: nx.MultiDiGraph):
        self.links = Links(graph)
        self.tool_of = dict(related(graph, "command_of"))
        self.commands_of: defaultdict[str, list[str]] = defaultdict(list)
        for command, tool in self.tool_of.items():
            self.commands_of[tool].append(command)

    def typed(self, link: Pair) -> bool:
        """Do both ends state a format, or both a kind of data, of what might go from the first to the second?"""
        ends = self.links.given(link[0]), self.links.takes.get(link[1], ())
        return all(any(flow.formats for flow in end) for end in ends) or all(any(f.kinds for f in end) for end in ends)

    def accepts(self, link: Pair, *, level: str = "command") -> bool:
        """Is the link possible by what is stated? ValueError for another level."""
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
        if level == "command":
            return self.links.accepts(*link)
        return self.tools([self.tool_of.get(end, end) for end in link])

    def tools(self, pair: Sequence[str]) -> bool:
        """Whether some commands of two tools link."""
        return any(self.links.accepts(*ends) for ends in product(*(self.commands_of.get(t, [t]) for t in pair)))


def known_as(graph: nx.MultiDiGraph, commands: Iterable[str]) -> dict[str, str]:
    """What the graph calls the commands of workflows: the same id, else the same name or alias without punctuation.

    Where several have the name, Galaxy's is taken.
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
            found[command] = min(here, key=lambda node: (":galaxy:" not in node, node))
    return found


def check(
    graph: nx.MultiDiGraph, chains: Iterable[Mapping[str, Any]], *, seed: int, random_pairs: int = 5000
) -> Checked:
    """Asks the graph about the links of toolchains (as importers leave them in `graph.graph["toolchains"]`).

    Real links are counted once; `reversed` are those not real themselves; `random` pairs are of commands of the whole
    graph, `shuffled` ones of the commands that the links join, neither linked. Pairs whose commands the graph does not
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


def _rates(plausible: Plausibility, pairs: Mapping[str, list[Pair]], level: str) -> Iterator[Rate]:
    for kind, some in pairs.items():
        if some:
            yield Rate(level, kind, *proportion([plausible.accepts(link, level=level) for link in some]))


def _drawn(
    commands: list[str], real: set[Pair], plausible: Plausibility, rng: np.random.Generator, count: int
) -> Iterator[Pair]:
    """Up to `count` random pairs that can be asked about, from three times as many draws."""
    left = count
    for _ in range(3 * count if len(commands) > 1 else 0):
        head, tail = (commands[i] for i in rng.integers(len(commands), size=2))
        if left and head != tail and (head, tail) not in real and plausible.typed((head, tail)):
            left -= 1
            yield head, tail
