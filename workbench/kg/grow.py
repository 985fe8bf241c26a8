"""A larger graph of the same kind: renamed copies, each rewired a little. For measuring at scale, not for meaning."""

from __future__ import annotations

import networkx as nx
import numpy as np

from workbench.kg.edam import EDAM_ID

COPIED = ("tool", "command", "source")  # beside the terms that are not of EDAM; the rest is shared by all copies
REWIRED = ("input", "output", "input_data", "output_data", "download_from")


def grow(graph: nx.MultiDiGraph, times: int, *, rng: np.random.Generator, rewired: float = 0.1) -> nx.MultiDiGraph:
    """The graph and `times - 1` copies of its tools, commands, sources and own terms, all in one.

    rewired: share of a copy's data-flow facts of which the format or kind of data is exchanged for another of the same
    type, drawn at random. ValueError: times below 1, or a share outside [0, 1].
    """
    if times < 1 or not 0 <= rewired <= 1:
        raise ValueError(f"times must be 1 or more and rewired lie in [0, 1], got {times!r} and {rewired!r}")
    grown = graph.copy()
    kinds = dict(graph.nodes(data="type"))
    items = {kind: sorted(n for n, k in kinds.items() if k == kind) for kind in ("format", "data")}
    own = {n for n, k in kinds.items() if k in COPIED or (k in items and not EDAM_ID.fullmatch(n))}
    edges = list(graph.edges(keys=True, data=True))
    for number in range(1, times):
        for node in own:
            attributes = graph.nodes[node]
            grown.add_node(f"{node}~{number}")
            grown.nodes[f"{node}~{number}"].update({**attributes, "name": f"{attributes['name']} {number}"})
        moved = rng.random(len(edges)) < rewired
        picks = rng.random(len(edges))
        for (head, tail, key, attributes), other, pick in zip(edges, moved.tolist(), picks.tolist(), strict=True):
            if head in own or tail in own:
                ends = [f"{end}~{number}" if end in own else end for end in (head, tail)]
                if other and key in REWIRED:
                    place = 0 if kinds[head] in items else 1
                    choice = items[kinds[(head, tail)[place]]]
                    ends[place] = choice[int(pick * len(choice))]
                grown.add_edge(*ends, key)
                grown.edges[ends[0], ends[1], key].update(attributes)
    return grown
