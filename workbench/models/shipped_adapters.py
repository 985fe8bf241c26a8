"""The adapters that come with the package, each with its cases and a card: recipe, digests, figures.

Both belong to the values of `smollm2`. `whole` was trained on the whole typed table, `narrow` on one field of an
earlier, smaller one. Tools that they do not know they read worse than those that they do: `whole` still most of them,
`narrow` next to none.
"""

from __future__ import annotations

import csv
import gzip
from importlib.resources import files
from pathlib import Path
from typing import Any

from workbench.artifacts.files import read_object
from workbench.artifacts.provenance import remembered_digest
from workbench.models.checkpoint import ModelError, weight_files

ADAPTERS = ("whole", "narrow")
CARD = "card.json"
TRAINED_ON = "trained_on.tsv.gz"


def shipped(name: str) -> Path:
    """Folder of the adapter `whole` or `narrow`. ModelError: none is called so.

    Examples:
        >>> sorted(file.name for file in shipped("whole").glob("adapter_*"))
        ['adapter_config.json', 'adapter_model.safetensors']
    """
    if name not in ADAPTERS:
        raise ModelError(f"no adapter of the package is called {name!r}; there are {', '.join(ADAPTERS)}")
    return Path(str(files("workbench") / "data" / "smollm2" / name))


def shipped_for(model: str) -> dict[str, Path]:
    """Name -> folder of the adapters of the package whose base is the model of this name.

    Examples:
        >>> sorted(shipped_for("smollm2")), shipped_for("reader")
        (['narrow', 'whole'], {})
    """
    return {name: shipped(name) for name in ADAPTERS if card(shipped(name))["base"]["name"] == model}


def trained_on(adapter: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    """(source, target, commands) of every answer that an adapter of the package was trained on; empty for others."""
    if adapter.name not in ADAPTERS or adapter != shipped(adapter.name):
        return []
    with gzip.open(adapter.parent / TRAINED_ON, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["adapter"] == adapter.name]
    return [(row["source"], row["target"], tuple(row["commands"].split("|"))) for row in rows]


def card(adapter: Path) -> dict[str, Any]:
    """The card in an adapter's folder, as `workbench.train` writes it; empty without one.

    Among others `base` (`name`, `values`, `sha256` of its weight files), `train` (the recipe), `device`, `training`
    (seconds, losses by step), `digests`, `always_shown` (commands of which no fact was withheld) and `scores` (`split`,
    `share` withheld, `metric`, `mean`, `low`, `high`, `n`). What ships has `sha256` of its own files, too.
    """
    return read_object(adapter / CARD)


def other_values(adapter: Path, base: Path, name: str) -> str | None:
    """A sentence where the card of an adapter names a base with other values than the model `name` in the folder
    `base`; None where they are the same, or no card tells."""
    due = card(adapter).get("base")
    if not isinstance(due, dict) or not isinstance(due.get("sha256"), dict) or not due["sha256"]:
        return None
    found = {file.name: remembered_digest(file) for file in weight_files(base)}
    if found == due["sha256"]:
        return None
    was, now = (str(next(iter(digests.values())))[:12] for digests in (due["sha256"], found))
    return (
        f"the adapter {adapter.name} was trained on {due.get('name')}, {due.get('values')} (weights "
        f"{was}...), and is put onto {name!r}, which holds other values (weights {now}...): "
        "the figures of its card do not hold there"
    )
