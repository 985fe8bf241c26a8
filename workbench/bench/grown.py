"""What measuring at scale needs, not for meaning: a registry grown at random in the form of the normalised tables, as
large as wanted and with the usual defects; and a graph in renamed copies, each rewired a little."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np

from workbench.kg.edam import EDAM_ID, ROOTS, load_edam

DEFECTS = ("format_25722", "data_0848", "format_3989", "*.{bam,cram}", "ext:unheard")
DEFECT_RATE = 0.02
REGISTRIES = ("nfcore", "galaxy", "biotools")
COPIED = ("tool", "command", "source")  # beside the terms that are not of EDAM; the rest is shared by all copies
REWIRED = ("input", "output", "input_data", "output_data", "download_from")


def write_registry(folder: Path, *, tools: int, commands: int, rng: np.random.Generator) -> Path:
    """Writes `registry.jsonl` and `components.jsonl`; few formats are common and many are rare, as in real ones."""
    folder.mkdir(parents=True, exist_ok=True)
    live = {branch: _live(branch) for branch in ROOTS}

    def draw(branch: str, most: int) -> list[str]:
        count = int(rng.integers(1, most + 1))
        ranks = np.minimum(rng.zipf(1.4, size=count) - 1, len(live[branch]) - 1)
        found = [live[branch][rank] for rank in ranks]
        return [*found, str(rng.choice(DEFECTS))] if rng.random() < DEFECT_RATE else found

    def ports(most: int) -> list[dict]:
        return [
            {"data": draw("data", 1)[0], "formats": draw("format", 3)} for _ in range(int(rng.integers(1, most + 1)))
        ]

    with (folder / "registry.jsonl").open("w", encoding="utf-8") as stream:
        for n in range(tools):
            topics = [[term, ""] for term in draw("topic", 3)]
            record = {
                "id": f"tool{n}",
                "name": f"Tool {n}",
                "license": "MIT",
                "topics": topics,
                "sources": ["biotools"],
            }
            stream.write(json.dumps({**record, "homepage": f"https://example.org/{n}"}) + "\n")
    with (folder / "components.jsonl").open("w", encoding="utf-8") as stream:
        for n in range(commands):
            name, tool = f"{REGISTRIES[n % 3]}:tool{n % tools}/part{n // tools}", f"tool{n % tools}"
            sides = {"inputs": ports(3), "outputs": ports(2)}
            stream.write(json.dumps({"id": name, "tool": tool, **sides, "ops": draw("operation", 2)}) + "\n")
    return folder


def _live(branch: str) -> list[str]:
    edam = load_edam()
    return [i for i, term in sorted(edam.terms.items()) if i.startswith(f"{branch}_") and not term.obsolete]


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
