"""Links that people made, in published workflows from which the graph was not built: does it allow them, and how many
links of other chains are among them?

A link A -> B is *accepted* when something A gives fits an input of B (`workbench.kg.links.Links.accepts`). To say yes
to everything is easy, so random pairs are asked about as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np

from workbench.artifacts.files import DATA, tsv_rows
from workbench.kg.build import related
from workbench.kg.links import Links
from workbench.kg.naming import plain_name
from workbench.stats import Proportion, proportion

OWNER = "andersen-lab_"
DRAWN, OFTEN = 300, 5  # pairs drawn by chance; times that a link occurs which occurs often
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
    tools = {plain_name(n.split(":", 1)[1]): n for n, kind in graph.nodes(data="type") if kind == "tool"}
    suites = tsv_rows(DATA / "registries" / "galaxy_suites.tsv")
    called = {row["suite"]: row["tool"] for row in suites}  # that the tools do not go by

    def tool(suite: str) -> str | None:
        plain = plain_name(suite.removeprefix(OWNER))
        return tools.get(called.get(plain, plain)) or tools.get(plain)

    pairs = {(tool(row["source"]), tool(row["target"])) for row in tsv_rows(path) if row["utility"] == "0"}
    return {(head, tail) for head, tail in pairs if head and tail}


def links_allowed(graph: nx.MultiDiGraph, pairs: Iterable[Pair], *, seed: int = 0) -> tuple[Proportion, Proportion]:
    """Of the pairs of two tools, and of other pairs of the same tools drawn by chance (`DRAWN` at most): the share that
    some command of each links (`Links.accepts`)."""
    allowed = Plausibility(graph)
    made = sorted(pair for pair in pairs if pair[0] != pair[1])
    others = sorted(set(product(*map(set, zip(*made, strict=True)))) - set(made))
    drawn = [others[i] for i in np.random.default_rng(seed).permutation(len(others))[:DRAWN]]
    made_rate, drawn_rate = (proportion([allowed.accepts(pair) for pair in some]) for some in (made, drawn))
    return made_rate, drawn_rate


def known_links(paths: Iterable[Sequence[str]], graph: nx.MultiDiGraph, published: set[Pair]) -> Known:
    """How many links, from a command to the next one of a path, join tools that a published workflow joins."""
    tool_of = dict(related(graph, "command_of"))
    tools = ([tool_of[node] for node in path if node in tool_of] for path in paths)
    found = Counter(link for chain in tools for link in pairwise(chain))
    every = list(found.elements())
    groups = (every, [link for link in every if link[0] != link[1]], [one for one, n in found.items() if n >= OFTEN])
    return Known(*(proportion([link in published for link in links]) for links in groups))


class Plausibility:
    """Which links the graph accepts (`workbench.kg.links`), optional inputs included: of commands, and of tools, which
    are all their commands together."""

    def __init__(self, graph: nx.MultiDiGraph):
        self.links = Links(graph)
        self.tool_of = dict(related(graph, "command_of"))
        self.commands_of: defaultdict[str, list[str]] = defaultdict(list)
        for command, tool in self.tool_of.items():
            self.commands_of[tool].append(command)

    def accepts(self, link: Sequence[str]) -> bool:
        """Whether the link between two ends, commands or tools, is possible by what is stated."""
        return any(self.links.accepts(*ends) for ends in product(*(self.commands_of.get(end, [end]) for end in link)))
