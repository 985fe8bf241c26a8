"""A registry grown at random in the form of the normalised tables: as large as wanted, with the usual defects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from workbench.kg.edam import ROOTS, load_edam

DEFECTS = ("format_25722", "data_0848", "format_3989", "*.{bam,cram}", "ext:unheard")
DEFECT_RATE = 0.02
REGISTRIES = ("nfcore", "galaxy", "biotools")


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
