"""Typed triples of any domain as items: a mapping says what the columns, types and relations of a file are here.

A mapping is a JSON or YAML file, all keys optional:

    registry, licence          where the facts are from and the SPDX id of the data's licence
    columns                    column name of the file -> head, relation, tail, head_type, ... (see `COLUMNS`)
    types                      the file's word for a type -> one of ours, as in {"recipe step": "command"}
    relations                  the file's word -> one of ours, or {"relation": ours, "reverse": true}
    prefixes                   beginning of a node's id -> type, as in {"http://example.org/dish/": "data"}
    edam                       whether terms are looked up in EDAM (default true)
    name, type                 for RDF: properties that hold a node's name and type

A schema (`workbench.kg.triples`) says what a domain's words stand for, whatever the file; a mapping beside it says how
this file is laid out. With a schema, terms are not looked up in EDAM unless the mapping asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.kg.build import ENTITY_TYPES, RELATIONS, GraphError
from workbench.kg.importers.items import UNKNOWN, RegistryError, Report
from workbench.kg.importers.reading import read_yaml
from workbench.kg.naming import plain_key
from workbench.kg.triples import Schema, read_schema

COLUMNS = (
    "head relation tail head_type tail_type head_name tail_name port record registry licence homepage biotools_id"
).split()
KEYS = ("registry", "licence", "columns", "types", "relations", "prefixes", "edam", "name", "type")
_USUAL = {  # what the columns are often called
    "head": ("head", "subject", "source", "from", "h", "s", "start"),
    "relation": ("relation", "predicate", "edge", "label", "r", "p", "type", "rel"),
    "tail": ("tail", "object", "target", "to", "t", "o", "end"),
}


Types = tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """One of our relations with the types its ends can have; `reverse` where the file's head is our tail."""

    relation: str
    reverse: bool = False
    ends: tuple[Types, Types] = ((), ())


@dataclass(frozen=True)
class Words:
    """A checked mapping, ready for look-ups that do not depend on case, blanks or punctuation."""

    registry: str = ""
    licence: str = UNKNOWN
    edam: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)  # ours -> the file's
    prefixes: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)  # types and relations beyond the usual ones
    _types: Mapping[str, str] = field(default_factory=dict)
    _ways: Mapping[str, Way] = field(default_factory=dict)

    def type(self, word: str) -> str | None:
        """Our type for a word of the file, or None."""
        return self._types.get(plain_key(word)) or self._types.get(plain_key(_local(word)))

    def way(self, word: str) -> Way | None:
        """Our relation for a word of the file, or None."""
        return self._ways.get(plain_key(word)) or self._ways.get(plain_key(_local(word)))

    def prefix_type(self, node: str) -> tuple[str, str] | None:
        """(type, rest) for a node id with a known beginning: of the mapping, or a type's name and a colon."""
        for prefix in sorted(self.prefixes, key=len, reverse=True):
            if node.startswith(prefix):
                return self.prefixes[prefix], node[len(prefix) :]
        word, colon, rest = node.partition(":")
        found = self._types.get(plain_key(word)) if colon and not rest.startswith("//") else None
        return (found, rest) if found else None

    def columns_of(self, header: list[str]) -> dict[str, str]:
        """Ours -> the file's column: as mapped, else the first that has a usual name; without those that it lacks."""
        known = {plain_key(name): name for name in reversed(header)}
        usual = {ours: [plain_key(name) for name in _USUAL.get(ours, (ours,))] for ours in COLUMNS}
        found = {ours: [known[key] for key in keys if key in known] for ours, keys in usual.items()}
        return {ours: names[0] for ours, names in found.items() if names} | dict(self.columns)


def words(mapping: Mapping[str, Any] | None = None, schema: Schema | None = None) -> Words:
    """Checks a mapping (see the module); raises `RegistryError` that names the key, the rule and the value."""
    mapping = mapping or {}
    if unknown := [key for key in mapping if key not in KEYS]:
        raise RegistryError(f"mapping: unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    types = {plain_key(name): name for name in ENTITY_TYPES}
    ways = {plain_key(name): Way(name, ends=ends) for name, ends in RELATIONS.items()}
    if schema:
        types.update({plain_key(word): schema.type_of(word) for word in schema.entities})
        ways.update({plain_key(word): _domain_way(schema, word) for word in schema.relations})
    types.update({plain_key(k): _one_of(v, ENTITY_TYPES, f"types.{k}") for k, v in _pairs(mapping, "types")})
    ways.update({plain_key(k): _way(v, f"relations.{k}") for k, v in _pairs(mapping, "relations")})
    columns = {_one_of(v, COLUMNS, f"columns.{k}"): k for k, v in _pairs(mapping, "columns")}
    prefixes = {k: _one_of(v, ENTITY_TYPES, f"prefixes.{k}") for k, v in _pairs(mapping, "prefixes")}
    edam = mapping.get("edam", schema is None)
    return Words(
        registry=_text(mapping, "registry", schema.name if schema else ""),
        licence=_text(mapping, "licence", schema.licence if schema else UNKNOWN),
        edam=edam if isinstance(edam, bool) else str(edam).lower() == "true",
        columns=columns,
        prefixes=prefixes,
        names=_listed(mapping, "name"),
        kinds=_listed(mapping, "type"),
        schema=schema.extra if schema else {},
        _types=types,
        _ways=ways,
    )


def read_mapping(mapping: str | Path | None, schema: str | Path | None = None) -> Words:
    """The words of a mapping file and a schema file, either of which may lack.

    Raises `RegistryError` when a file is missing, no JSON or YAML, or breaks a rule.

    Examples:
        >>> read_mapping("none.yaml")
        Traceback (most recent call last):
            ...
        workbench.kg.importers.items.RegistryError: ...none.yaml...
    """
    try:
        domain = read_schema(schema) if schema else None
    except (OSError, GraphError) as problem:
        raise RegistryError(str(problem)) from problem
    return words(_load(mapping) if mapping else {}, domain)


def _load(path: str | Path) -> dict[str, Any]:
    path, report = Path(path), Report()
    if not path.is_file():
        raise RegistryError(f"{path}: no such file; give a mapping or schema as JSON or YAML")
    if path.suffix.lower() == ".json":
        try:
            value = json.loads(path.read_bytes())
        except (ValueError, RecursionError, OSError) as problem:
            raise RegistryError(f"{path}: not JSON ({problem})") from problem
    else:
        value = read_yaml(path, report.at(str(path)))
    if not isinstance(value, dict):
        why = report.lines[0].rule if report.lines else "an object is needed"
        raise RegistryError(f"{path}: no mapping or schema: {why}")
    return value


def _pairs(given: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    value = given.get(key) or {}
    if not isinstance(value, Mapping):
        raise RegistryError(f"mapping: {key} must be an object of words and their meaning, got {str(value)[:80]!r}")
    yield from ((str(name), meaning) for name, meaning in value.items())


def _one_of(value: Any, known: Any, key: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise RegistryError(f"mapping: {key} must be one of {', '.join(known)}, got {str(value)[:80]!r}")
    return value


def _way(value: Any, key: str) -> Way:
    given = value if isinstance(value, Mapping) else {"relation": value}
    name = _one_of(given.get("relation"), RELATIONS, key)
    return Way(name, str(given.get("reverse", False)).lower() == "true", RELATIONS[name])


def _domain_way(schema: Schema, word: str) -> Way:
    how = schema.relations[word]
    heads, tails = (tuple(dict.fromkeys(map(schema.type_of, ends))) for ends in (how.head, how.tail))
    return Way(schema.relation_of(word), ends=(heads, tails))


def _text(given: Mapping[str, Any], key: str, default: str) -> str:
    value = given.get(key, default)
    if not isinstance(value, str):
        raise RegistryError(f"mapping: {key} must be a text, got {str(value)[:80]!r}")
    return value


def _listed(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = given.get(key) or ()
    return tuple(str(one) for one in ([value] if isinstance(value, str) else value))


def _local(word: str) -> str:
    """What follows the last # or / or : of an address or prefixed name."""
    return max((word.rpartition(mark)[2] for mark in "#/:" if mark in word), key=lambda part: -len(part), default=word)
