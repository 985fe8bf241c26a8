"""What an importer yields: nodes, facts and toolchains, each a plain record that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class RegistryError(ValueError):
    """What ends an import: no such path, nothing readable in it, an unknown format, a missing extra, a bad mapping."""


class Provenance(NamedTuple):
    """Where a fact is from: the registry's name, the record in it, the licence of its data (SPDX id)."""

    registry: str
    record: str
    licence: str


class Node(NamedTuple):
    """A node: texts are values, lists of texts are sets (`packages`, `aliases`, `doi`)."""

    id: str
    type: str
    name: str
    attributes: Mapping[str, Any] = {}


class FactItem(NamedTuple):
    """A fact with its provenance; `port` numbers the input (or output) it belongs to, which has one or more formats.

    The formats of one port are alternatives; a command needs all of its input ports but the optional ones.
    """

    head: str
    relation: str
    tail: str
    source: Provenance
    port: int | None = None


class Toolchain(NamedTuple):
    """A published workflow: links (command, command), the data of the first going into the second."""

    id: str
    name: str
    links: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    source: Provenance


Item = Node | FactItem | Toolchain
KINDS: dict[str, type[Any]] = {"node": Node, "fact": FactItem, "toolchain": Toolchain}


def to_plain(item: Item) -> list[Any]:
    """The item as a JSON list: its kind, then its fields in order."""
    kind = next(name for name, cls in KINDS.items() if type(item) is cls)
    return [kind, *item]


def from_plain(row: list[Any]) -> Item:
    """The item that `to_plain` wrote; raises `ValueError` or `TypeError` when the row is none."""
    kind, *fields = row
    if kind not in KINDS:
        raise ValueError(f"an item must be one of {', '.join(KINDS)}, got {kind!r}")
    item = KINDS[kind](*fields)
    if isinstance(item, Node):
        return item
    item = item._replace(source=Provenance(*item.source))
    if isinstance(item, Toolchain):
        return item._replace(links=tuple((head, tail) for head, tail in item.links), commands=tuple(item.commands))
    return item
