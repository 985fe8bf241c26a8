"""Links that people made: pairs of tools in published workflows, and how many links of other chains are among them."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np

from workbench.kg.links import Links
from workbench.kg.names import plain_name
from workbench.stats import Proportion, proportion

OWNER = "andersen-lab_"
ALIASES = {
    "basicillumination": "basicpy",
    "baredsc1d": "baredsc",
    "baredsc2d": "baredsc",
    "baredsccombine1d": "baredsc",
    "baredsccombine2d": "baredsc",
    "bftools": "bioformats",
    "braker3": "braker",
    "clustal2": "clustalw",
    "coreprofilerallelecalling": "coreprofiler",
    "falcorna": "falco",
    "galaxyimageanalysis": "scikitimage",
    "macs": "macs3",
    "maxbin": "maxbin2",
    "metamsrungc": "metams",
    "msconvert": "proteowizard",
    "newickutilities": "newickutils",
    "picardtools": "picard",
    "qcxmsgetres": "qcxms",
    "qcxmsneutralrun": "qcxms",
    "qcxmsproductionrun": "qcxms",
    "quantification": "mcquant",
    "samtoolfilter2": "samtools",
    "semibin": "semibin2",
    "tooldistillatorsummarize": "tooldistillator",
    "ucscgenomebrowserutilities": "ucsckent",
    "ucscwigtobigwig": "ucsckent",
    "unetcoreograph": "coreograph",
    "vitesscespatial": "vitessce",
}
"""Names of Galaxy's tool suites that the tools do not go by."""

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
    pairs = {(tool(row["source"]), tool(row["target"])) for row in _rows(path)}
    return {(head, tail) for head, tail in pairs if head and tail}


def suites_known(path: str | Path, graph: nx.MultiDiGraph) -> dict[str, bool]:
    """The tool suites that published workflows join, and whether the graph has the tool. path: as above."""
    tool = _finder(graph)
    return {suite: tool(suite) is not None for row in _rows(path) for suite in (row["source"], row["target"])}


def _rows(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["utility"] == "0"]


def _finder(graph: nx.MultiDiGraph) -> Callable[[str], str | None]:
    """From the name of a suite to the node of a tool."""
    tools = {plain_name(n.split(":", 1)[1]): n for n, kind in graph.nodes(data="type") if kind == "tool"}

    def tool(suite: str) -> str | None:
        plain = plain_name(suite.removeprefix(OWNER))
        return tools.get(ALIASES.get(plain, plain)) or tools.get(plain)

    return tool


def links_allowed(
    graph: nx.MultiDiGraph, pairs: Iterable[Pair], *, draws: int = 300, seed: int = 0
) -> tuple[Proportion, Proportion]:
    """Of the pairs of two tools, and of as many other pairs of the same tools drawn by chance (`draws` at most): the
    share that some command of each links (`Links.accepts`)."""
    commands: defaultdict[str, list[str]] = defaultdict(list)
    for command, tool, key in graph.edges(keys=True):
        if key == "command_of":
            commands[tool].append(command)
    made = sorted(pair for pair in pairs if pair[0] != pair[1])
    others = sorted(set(product(*map(set, zip(*made, strict=True)))) - set(made))
    drawn = [others[i] for i in np.random.default_rng(seed).permutation(len(others))[:draws]]
    links = Links(graph)

    def share(some: list[Pair]) -> Proportion:
        return proportion([any(links.accepts(*two) for two in product(*(commands[t] for t in pair))) for pair in some])

    return share(made), share(drawn)


def known_links(
    paths: Iterable[Sequence[str]], graph: nx.MultiDiGraph, published: set[Pair], *, often: int = 5
) -> Known:
    """How many links, from a command to the next one of a path, join tools that a published workflow joins."""
    tool_of = {command: tool for command, tool, key in graph.edges(keys=True) if key == "command_of"}
    tools = ([tool_of[node] for node in path if node in tool_of] for path in paths)
    found = Counter(link for chain in tools for link in pairwise(chain))
    every = list(found.elements())
    groups = (every, [link for link in every if link[0] != link[1]], [one for one, n in found.items() if n >= often])
    return Known(*(proportion([link in published for link in links]) for links in groups))
