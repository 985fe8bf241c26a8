"""The adapters that come with the package, each with its cases and a card: recipe, digests, figures.

Both belong to the values of `smollm2`. `whole` was trained on the whole table and still reads tools that it does not
know; `narrow`, trained on one field of it, no longer does.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from workbench.artifacts.provenance import remembered_digest
from workbench.checkpoint import ModelError, weight_files

ADAPTERS = ("whole", "narrow")
CARD = "card.json"


def shipped(name: str) -> Path:
    """Folder of the adapter `whole` or `narrow`. ModelError: none is called so."""
    if name not in ADAPTERS:
        raise ModelError(f"no adapter of the package is called {name!r}; there are {', '.join(ADAPTERS)}")
    return Path(str(files("workbench") / "data" / "smollm2" / name))


def card(adapter: Path) -> dict[str, Any]:
    """The card in an adapter's folder: `base`, `recipe`, `sha256` of its files, `figures`; empty without one."""
    try:
        found = json.loads((adapter / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def other_values(adapter: Path, base: Path, name: str) -> str | None:
    """A sentence where the card of an adapter names a base with other values than the model `name` in the folder
    `base`; None where they are the same, or no card tells."""
    due = card(adapter).get("base")
    if not isinstance(due, dict) or "sha256" not in due:
        return None
    found = [remembered_digest(file) for file in weight_files(base)]
    if found == [due["sha256"]]:
        return None
    return (
        f"the adapter {adapter.name} was trained on {due.get('name')}, {due.get('values')} (weights "
        f"{due['sha256'][:12]}...), and is put onto {name!r}, which holds other values (weights {found[0][:12]}...): "
        "the figures of its card do not hold there"
    )
