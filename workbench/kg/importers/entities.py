"""Triples made into items: what the ends of a triple are, and the facts between them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workbench.kg.edam import BRANCHES, EDAM_ID, ROOTS
from workbench.kg.importers.items import FactItem, Item, Node, Provenance, Report, Spot
from workbench.kg.importers.mapping import Words
from workbench.kg.importers.vocabulary import Vocabulary, licence_id, text
from workbench.kg.names import MAX_NAME, is_url, slug
from workbench.kg.rows import OWN_TERM

_EDAM_NAME = re.compile(r"(?:https?://(?:www\.)?edamontology\.org/|edam:)(\w+)", re.I)
Given = dict[str, Any]  # a triple by our column names, values as the file has them


@dataclass
class Entities:
    """Reads triples; `types` holds the types that the file states of a node before or besides its triples."""

    words: Words
    vocabulary: Vocabulary
    registry: str
    types: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    _met: dict[str, set[str]] = field(default_factory=dict)  # types of ends that could have no other

    def triple(self, given: Given, spot: Spot) -> Iterator[Item]:
        """The two nodes and the fact of a triple, or a finding why there is none."""
        head, word, tail = (text(given.get(key), spot.at(key), limit=1000) for key in ("head", "relation", "tail"))
        if not (head and word and tail):
            return spot.dropped("triple without a head, relation or tail", " | ".join((head, word, tail)))
        way = self.words.way(word)
        if way is None:
            return spot.dropped("relation that has no meaning here", word)
        ends = [(head, "head"), (tail, "tail")]
        found = []
        for (name, end), types in zip(reversed(ends) if way.reverse else ends, way.ends, strict=True):
            stated = self._type(name, given.get(f"{end}_type"), types, spot.at(f"{end}_type"))
            called = text(given.get(f"{end}_name"), spot.at(f"{end}_name")) or self.names.get(name, "")
            found.append(list(self._node(name, stated, called, spot.at(end))))
        if not all(found):
            return None
        yield from found[0] + found[1]
        yield self._fact(way.relation, found[0][0].id, found[1][0].id, given, spot)
        return None

    def node(self, name: str, kind: str, attributes: Given, spot: Spot) -> Iterator[Item]:
        """A node of its own, without a triple."""
        found = list(self._node(name, kind, text(attributes.get("name"), spot) or self.names.get(name, ""), spot))
        extra = {
            key: value
            for key in ("homepage", "biotools_id")
            if (value := text(attributes.get(key), spot.at(key), limit=1000)) and (key != "homepage" or is_url(value))
        }
        yield from (item._replace(attributes=extra) if n == 0 and extra else item for n, item in enumerate(found))

    def _fact(self, relation: str, head: str, tail: str, given: Given, spot: Spot) -> FactItem:
        registry = text(given.get("registry"), spot.at("registry")) or self.words.registry or self.registry
        record = text(given.get("record"), spot.at("record")) or f"{spot.file}:{spot.place}"[:MAX_NAME]
        licence = licence_id(given.get("licence"), spot.at("licence")) or self.words.licence
        port = text(given.get("port"), spot.at("port"))
        number = int(port) if re.fullmatch(r"\d{1,4}", port) else None
        if port and number is None:
            spot.at("port").dropped("port is not a number", port)
        return FactItem(head, relation, tail, Provenance(registry, record, licence), number)

    def _type(self, name: str, stated: object, possible: tuple[str, ...], spot: Spot) -> str:
        """The type of an end: as stated, by its id, or what the relation asks for (the first of several)."""
        word = text(stated, spot)
        if word and (found := self.words.type(word)):
            return found
        if word:
            spot.dropped("type that has no meaning here", word)
        if prefixed := self.words.prefix_type(name):
            return prefixed[0]
        short = ((match := _EDAM_NAME.fullmatch(name)) and match[1]) or name
        if self.words.edam and EDAM_ID.fullmatch(short):
            return short.split("_")[0]
        if found := self.types.get(name):
            return found
        met = self._met.setdefault(name, set())
        known = [kind for kind in possible if kind in met]
        if len(possible) > 1 and not known:
            spot.kept(f"type not stated, one of {' or '.join(possible)}; taken as the first", name)
        if len(possible) == 1:
            met.add(possible[0])
        return next(iter(known), possible[0])

    def _node(self, name: str, kind: str, called: str, spot: Spot) -> Iterator[Node]:
        """The node; nothing and a finding where its name makes no id."""
        prefixed = self.words.prefix_type(name)
        rest = (prefixed[1] if prefixed and prefixed[0] == kind else name).strip()
        shown = text(called or _tail(rest), Report().at(""))
        if not rest or not shown:
            return spot.dropped("name that makes no id", name)
        if kind in BRANCHES:
            yield from self._term(rest, kind, shown, spot)
        elif kind == "license":
            licence = licence_id(shown, spot)
            yield Node(f"license:{licence}", kind, licence)
        elif kind == "command":
            yield Node(f"command:{text(rest, spot)}", kind, shown)
        else:
            yield Node(f"{kind}:{slug(rest) if not is_url(rest) else own_name(rest)}", kind, shown)
        return None

    def _term(self, name: str, branch: str, shown: str, spot: Spot) -> Iterator[Node]:
        if self.words.edam:
            short = ((match := _EDAM_NAME.fullmatch(name)) and match[1]) or name
            if EDAM_ID.fullmatch(short) or _EDAM_NAME.fullmatch(name):
                if short in ROOTS.values():  # says nothing of a port, but stands above terms
                    yield Node(short, branch, self.vocabulary.edam.label(short))
                    return None
                if not EDAM_ID.fullmatch(short):
                    return spot.dropped("no such EDAM id", name)
                for term in self.vocabulary.terms(short, branch, spot):
                    yield Node(term.id, term.id.split("_")[0], self.vocabulary.edam.label(term.id))
                return None
            if (found := self.vocabulary.edam.lookup(shown, branch)) and found != ROOTS[branch]:
                yield Node(found, branch, self.vocabulary.edam.label(found))
                return None
        yield Node(name if OWN_TERM.fullmatch(name) else f"{branch}:{own_name(name)}", branch, shown)
        return None


def own_name(name: str) -> str:
    """A name as the id of an own term: a-z, 0-9 and _; of long or foreign names a digest keeps them apart."""
    local = _tail(name) if is_url(name) else name
    plain = re.sub(r"[^a-z0-9]+", "_", slug(local).lower()).strip("_")
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:10]
    if not plain or re.fullmatch(r"x[0-9a-f]{10}", plain):
        return f"x{digest}"
    return plain if plain.isascii() and len(plain) <= 60 and not is_url(name) else f"{plain[:60]}_{digest}"


def _tail(name: str) -> str:
    """What follows the last / or # of an address; other names whole."""
    return re.split(r"[/#]", name.rstrip("/#"))[-1] if is_url(name) else name
