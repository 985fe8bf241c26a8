"""Links of published workflows: which of them a graph accepts, and how many of those in drawn cases they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import networkx as nx

    from workbench.kg.links import Links

RANDOM_PAIRS = 5000
Pair = tuple[str, str]


def links_accepted(shared: Path, seed: int, random_pairs: int) -> dict[str, Any]:
    """Of Galaxy's sample workflows, with the shipped graph, one of the registry tables, and both merged."""
    from workbench.kg import build_graph, read_table
    from workbench.kg.importers import IMPORTERS, Report, assemble
    from workbench.kg.merge import merge

    flows = assemble(IMPORTERS["workflow"](shared / "samples" / "galaxy_workflows", Report()))
    graphs = {"shipped": build_graph(read_table()), "tables": assemble(IMPORTERS["tables"](shared / "data", Report()))}
    graphs["merged"] = merge(graphs).graph
    found = {
        name: check(graph, flows.graph["toolchains"], seed=seed, random_pairs=random_pairs)
        for name, graph in graphs.items()
    }
    return {
        "rates": [{"graph": name, **rate._asdict()} for name, one in found.items() for rate in one.rates],
        "unknown": {name: list(one.unknown) for name, one in found.items()},
        "refused": {name: [list(link) for link in one.refused] for name, one in found.items()},
    }


class Rate(NamedTuple):
    """Share of pairs that are accepted with its 95 % interval; n pairs were asked about."""

    level: str
    pairs: str
    share: float
    n: int
    low: float
    high: float


class Checked(NamedTuple):
    """The rates, and what the workflows name that the graph does not know."""

    rates: tuple[Rate, ...]
    links: tuple[Pair, ...]
    unknown: tuple[str, ...]
    refused: tuple[Pair, ...]


def check(
    graph: nx.MultiDiGraph, chains: Iterable[Mapping[str, Any]], *, seed: int, random_pairs: int = RANDOM_PAIRS
) -> Checked:
    """Asks the graph about the links of toolchains (as importers leave them in `graph.graph["toolchains"]`), of
    commands and of their tools.

    Real links are counted once; `reversed` are those not real themselves; `random` pairs are of commands of the whole
    graph that are not linked. Pairs whose commands the graph does not know, or of which it states nothing that could be
    compared, are left out; so are random pairs.
    """
    from workbench.kg.published import Plausibility
    from workbench.stats import proportion

    wanted = sorted({(head, tail) for one in chains for head, tail in one["links"] if head != tail})
    names = known_as(graph, [end for link in wanted for end in link])
    plausible, rng = Plausibility(graph), np.random.default_rng(seed)
    mapped = {(names[h], names[t]) for h, t in wanted if h in names and t in names}
    commands, tool_of = sorted(plausible.tool_of), plausible.tool_of

    def asked(pairs: Iterable[Pair]) -> Iterator[Pair]:
        return (link for link in pairs if link[0] != link[1] and _typed(plausible.links, link))

    drawn = ((commands[i], commands[j]) for i, j in rng.integers(len(commands), size=(3 * random_pairs, 2)))
    links = sorted(asked(mapped))
    pairs = {
        "real": links,
        "random": list(islice(asked(link for link in drawn if link not in mapped), random_pairs)),
        "reversed": [(t, h) for h, t in links if (t, h) not in mapped],
    }
    levels = {
        "command": pairs,
        "tool": {k: [(tool_of.get(h, h), tool_of.get(t, t)) for h, t in some] for k, some in pairs.items()},
    }
    rates = tuple(
        Rate(level, kind, *proportion([plausible.accepts(link) for link in some]))
        for level, of in levels.items()
        for kind, some in of.items()
        if some
    )
    unknown = sorted({end for link in wanted for end in link} - names.keys())
    return Checked(rates, tuple(links), tuple(unknown), tuple(link for link in links if not plausible.accepts(link)))


def known_as(graph: nx.MultiDiGraph, commands: Iterable[str]) -> dict[str, str]:
    """What the graph calls the commands of workflows: the same id, else the same name or alias without punctuation.

    Where several have the name, Galaxy's is taken.
    """
    from workbench.kg.names import plain_name

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


def _typed(links: Links, pair: Pair) -> bool:
    """Do both ends state a format, or both a kind of data, of what might go from the first to the second?"""
    ends = links.given(pair[0]), links.takes.get(pair[1], ())
    return all(any(flow.formats for flow in end) for end in ends) or all(any(f.kinds for f in end) for end in ends)


def links_drawn(shared: Path, whole: int) -> dict[str, dict[str, Any]]:
    """Of the training cases of the default recipe and of so many of the whole graph, and of as many that are drawn
    without weights: the share of links that published workflows have. Only the default keeps the showcase's pair
    apart."""
    from workbench.cases.sampling import sample_cases
    from workbench.kg import build_graph, field, flow_graph, read_table
    from workbench.kg.published import known_links, published_links
    from workbench.models import READER
    from workbench.train.making import PRESETS, Splits

    recipe, graph = PRESETS[READER], build_graph(read_table())
    flat = build_graph(read_table())
    for node in flat:
        for weighs in ("standing", "reach"):
            flat.nodes[node].pop(weighs, None)
    part = field(flat, list(recipe.topics))
    size = replace(recipe.sampling, train=min(recipe.sampling.train, whole))
    wide = replace(recipe.sampling, train=whole, in_field=False)
    cases = {
        "default": Splits.drawn(replace(recipe, sampling=size)).cases["train"],
        "default, without weights": sample_cases(part, flow_graph(part), size)["train"],
        "whole graph": sample_cases(graph, flow_graph(graph), wide)["train"],
        "whole graph, without weights": sample_cases(flat, flow_graph(flat), wide)["train"],
    }
    published = published_links(shared / "iwc" / "links.tsv", graph)
    found = {name: known_links([case.path for case in some], graph, published) for name, some in cases.items()}
    return {name: {which: rate._asdict() for which, rate in one._asdict().items()} for name, one in found.items()}
