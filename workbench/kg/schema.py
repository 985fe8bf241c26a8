"""The schema of a domain of one's own: its words for things and relations, and what each stands for in the data flow.

Everything after the graph (cases, prompts, questions, pictures) knows eight entity types and fourteen relations. A
domain says which of them its own words stand for (`as`): a recipe's step is a `command`, an ingredient a `format`.
Words that stand for none (null) stay in the graph under their own name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.kg.build import ENTITY_TYPES, RELATIONS, GraphError
from workbench.kg.importers.vocabulary import slug

FILE = "schema.json"


@dataclass(frozen=True)
class Relation:
    """Types of its head and tail in the domain's words; `role`: the relation it stands for, or None."""

    head: tuple[str, ...]
    tail: tuple[str, ...]
    role: str | None = None


@dataclass(frozen=True)
class Schema:
    """A domain. entities: its word -> entity type it stands for, or None. showcase: names along one chain."""

    name: str
    entities: Mapping[str, str | None]
    relations: Mapping[str, Relation]
    licence: str = "LicenseRef-unknown"
    showcase: tuple[str, ...] = ()
    source: str = field(default=FILE, compare=False)

    def __post_init__(self) -> None:
        for word, role in self.entities.items():
            if role is not None and role not in ENTITY_TYPES:
                self._fail(f"entity {word!r} stands for {role!r}", f"one of {', '.join(ENTITY_TYPES)} or null")
            if role is None and not slug(word):
                self._fail(f"entity {word!r}", "a name with letters or digits")
        for word, relation in self.relations.items():
            for end in (*relation.head, *relation.tail):
                if end not in self.entities:
                    self._fail(f"relation {word!r} joins {end!r}", f"an entity: {', '.join(self.entities)}")
            if relation.role is not None:
                self._check_role(word, relation)
        if "command" not in self.entities.values() or not {"input", "output"} <= {
            relation.role for relation in self.relations.values()
        }:
            self._fail("the data flow", "a command, and relations that stand for input and output")

    def _check_role(self, word: str, relation: Relation) -> None:
        if relation.role not in RELATIONS:
            self._fail(f"relation {word!r} stands for {relation.role!r}", f"one of {', '.join(RELATIONS)} or null")
        for ends, allowed in zip((relation.head, relation.tail), RELATIONS[str(relation.role)], strict=True):
            for end in ends:
                if self.entities[end] not in allowed:
                    rule = f"ends that stand for {' or '.join(allowed)}"
                    self._fail(f"relation {word!r} stands for {relation.role!r} but joins {end!r}", rule)

    def _fail(self, what: str, rule: str) -> None:
        raise GraphError(f"{self.source}: {what}; there must be {rule}")

    def type_of(self, word: str) -> str:
        """The entity type of a domain's word in the graph: what it stands for, or a name of its own."""
        return self.entities[word] or slug(word)

    def relation_of(self, word: str) -> str:
        """The relation of a domain's word in the graph."""
        return self.relations[word].role or slug(word).replace("-", "_")

    @property
    def extra(self) -> dict[str, Any]:
        """What the graph holds beyond the usual types and relations, as `check_graph` reads it from the graph."""
        relations = {
            self.relation_of(word): [[self.type_of(end) for end in ends] for ends in (relation.head, relation.tail)]
            for word, relation in self.relations.items()
            if relation.role is None
        }
        return {"types": sorted(self.type_of(w) for w, r in self.entities.items() if r is None), "relations": relations}


def read_schema(path: str | Path) -> Schema:
    """Reads a schema file. Raises `FileNotFoundError`, or `GraphError` that names the word and the rule it breaks."""
    path = Path(path)
    try:
        document = json.loads(path.read_bytes())
        relations = {
            str(word): Relation(_words(how["head"]), _words(how["tail"]), how.get("as"))
            for word, how in document["relations"].items()
        }
        return Schema(
            name=str(document["name"]),
            entities={str(word): role for word, role in document["entities"].items()},
            relations=relations,
            licence=str(document.get("licence", Schema.licence)),
            showcase=_words(document.get("showcase", [])),
            source=str(path),
        )
    except GraphError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        keys = "name, entities {word: type or null}, relations {word: {head, tail, as}}"
        raise GraphError(f"{path}: not a schema ({problem!r}); it needs {keys}") from problem


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise ValueError(f"a list of texts is needed, got {value!r}")
    return tuple(value)
