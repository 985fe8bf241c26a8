"""Which nodes of several graphs are the same thing, by which rule, and how surely.

Tools are known by their bio.tools id, then homepage, package, name; commands by tool and sub-command; sources and
terms of one's own by name. What several tools of one graph share (the homepage of a suite) identifies none of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import networkx as nx

from workbench.kg.build import related
from workbench.kg.edam import EDAM_ID
from workbench.kg.naming import plain_name

SURE = {"bio.tools id": 1.0, "homepage": 0.9, "package": 0.9, "name": 0.75, "command": 0.9}
TWO_RULES = 0.98  # two of the rules agree
SHARED = 0.3  # one thing in common that others have in common too
MANY = 60  # places that share a trait: of more, it identifies none
AGAINST = 0.4  # same name, but another bio.tools id, or neither homepage nor publication in common
_EMPTY_HOSTS = ("github.com", "sourceforge.net", "bioconductor.org", "cran.r-project.org")

Place = tuple[int, str]  # graph, node


class Match(NamedTuple):
    """Two nodes that may be one; `rule` may name several. confidence: in [0, 1], a judgement, not a frequency."""

    left: Place
    right: Place
    rule: str
    confidence: float
    note: str = ""


@dataclass(frozen=True)
class Identity:
    """What was found: the matches made, those too doubtful to make, and for each place the place that stands for it."""

    made: tuple[Match, ...]
    doubtful: tuple[Match, ...]
    stands_for: Mapping[Place, Place]


class Groups:
    """Places that are one, at most one of each graph; the first place of a group stands for it."""

    def __init__(self) -> None:
        self.union: nx.utils.UnionFind = nx.utils.UnionFind()
        self.graphs: dict[Place, set[int]] = {}

    def root(self, place: Place) -> Place:
        found: Place = self.union[place]
        self.graphs.setdefault(found, {place[0]})
        return found

    def join(self, left: Place, right: Place, *, within: bool = False) -> bool:
        """Makes two groups one; False where that would join two places of one graph, unless that is allowed."""
        one, other = self.root(left), self.root(right)
        if one == other:
            return True
        if not within and self.graphs[one] & self.graphs[other]:
            return False
        self.union.union(one, other)
        self.graphs[self.union[one]] = self.graphs[one] | self.graphs[other]
        return True

    def stands_for(self) -> dict[Place, Place]:
        """Place -> the first of its group: terms of EDAM, then by graph and node."""
        groups = [(min(g, key=lambda place: (not EDAM_ID.fullmatch(place[1]), place)), g) for g in self.union.to_sets()]
        return {place: first for first, group in groups for place in group}


def identify(graphs: Sequence[nx.MultiDiGraph], *, at_least: float = 0.5) -> Identity:
    """Finds what is the same among the graphs. Matches below `at_least`, and those that would make two tools of one
    graph the same, are doubtful and not made. ValueError when `at_least` is not in [0, 1]."""
    if not 0 <= at_least <= 1:
        raise ValueError(f"at_least must lie in [0, 1], got {at_least!r}")
    groups, made, doubtful = Groups(), [], []
    for match in sorted(_tool_matches(graphs), key=lambda m: (-m.confidence, m.left, m.right)):
        if match.confidence >= at_least and groups.join(match.left, match.right):
            made.append(match)
        else:
            note = match.note or ("two tools of one graph would be one" if match.confidence >= at_least else "")
            doubtful.append(match._replace(note=note))
    tools = groups.stands_for()
    for match in [*_command_matches(graphs, tools, made), *_named_matches(graphs)]:
        fits = match.confidence >= at_least and groups.join(match.left, match.right, within=match.rule == "command")
        (made if fits else doubtful).append(match)
    return Identity(tuple(made), tuple(doubtful), groups.stands_for())


def homepage_key(address: object) -> str:
    """An address without what does not matter: scheme, www., case of the host, index page, closing slash, fragment.

    "" for what is no address, and for a host that many share with nothing behind it.
    """
    if not isinstance(address, str):
        return ""
    try:
        parts = urlsplit(address.strip() if "//" in address else f"//{address.strip()}")
        host = re.sub(r"^www\d?\.", "", (parts.hostname or "").rstrip("."))
    except ValueError:
        return ""
    path = re.sub(r"/+(index\.\w+)?$", "", re.sub(r"//+", "/", parts.path))
    path = re.sub(r"\.git$", "", path)
    if "." not in host or (host in _EMPTY_HOSTS and not path):
        return ""
    return f"{host}{path.lower() if host == 'github.com' else path}{'?' + parts.query if parts.query else ''}"


def sub_command(name: str, tool_names: Iterable[str]) -> tuple[str, ...]:
    """The words of a command's name without the tool's own: `samtools_sort` of SAMtools gives ("sort",)."""
    words = [word for word in re.split(r"[^0-9a-z]+", name.casefold()) if word]
    own = {plain_name(tool) for tool in tool_names}
    for length in range(len(words), 0, -1):
        if "".join(words[:length]) in own:
            return tuple(words[length:])
    return tuple(words)


def _tool_matches(graphs: Sequence[nx.MultiDiGraph]) -> Iterator[Match]:
    traits = {(i, n): _traits(d) for i, g in enumerate(graphs) for n, d in _of_type(g, "tool")}
    places: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for place, found in traits.items():
        for rule, keys in found.items():
            for key in keys:
                places[rule, key].append(place)
    common: defaultdict[tuple[Place, Place], dict[str, bool]] = defaultdict(dict)
    for (rule, _), here in places.items():
        alone = max(Counter(graph for graph, _ in here).values()) == 1
        for left, right in product(here, here) if len(here) <= MANY else ():
            if left[0] < right[0]:
                common[left, right][rule] = common[left, right].get(rule, False) or alone
    for (left, right), rules in common.items():
        if set(rules) != {"publication"}:  # several tools are often described in one
            yield _judged(left, right, rules, traits)


def _traits(node: Mapping[str, Any]) -> dict[str, set[str]]:
    names = {plain_name(name) for name in (node["name"], *node.get("aliases", ()))}
    packages = {p.casefold() for p in node.get("packages", ())}
    if "::" in str(node.get("download", "")):
        packages.add(node["download"].casefold())
    found = {
        "bio.tools id": {str(node.get("biotools_id") or "").casefold()},
        "homepage": {homepage_key(node.get("homepage"))},
        "package": packages,
        "name": names,
        "publication": {doi.casefold() for doi in node.get("doi", ())},
    }
    return {rule: keys - {""} for rule, keys in found.items()}


def _judged(left: Place, right: Place, rules: dict[str, bool], traits: Mapping[Place, dict[str, set[str]]]) -> Match:
    one, other = traits[left], traits[right]
    agreed = [rule for rule in SURE if rule in rules]
    rule = " and ".join([*agreed, *(["publication"] if "publication" in rules else [])])
    apart = "bio.tools id" not in rules and one["bio.tools id"] and other["bio.tools id"]
    if apart:
        return Match(left, right, rule, AGAINST if len(agreed) > 1 else SHARED, "their bio.tools ids differ")
    if len(rule.split(" and ")) > 1:
        return Match(left, right, rule, max(TWO_RULES, *(SURE[r] for r in agreed)))
    if agreed == ["name"] and all(one[r] and other[r] for r in ("homepage", "publication")):
        return Match(left, right, rule, AGAINST, "neither homepage nor publication in common")
    if not rules[agreed[0]]:
        return Match(left, right, rule, SHARED, f"others of the same graph have the same {agreed[0]}")
    return Match(left, right, rule, SURE[agreed[0]])


def _command_matches(
    graphs: Sequence[nx.MultiDiGraph], tools: Mapping[Place, Place], made: Sequence[Match]
) -> Iterator[Match]:
    """Commands of one tool with one sub-command, of different graphs or of different registries in one."""
    sure: defaultdict[Place, float] = defaultdict(lambda: 1.0)
    names: defaultdict[Place, set[str]] = defaultdict(set)
    for match in made:
        tool = tools[match.left]
        sure[tool] = min(sure[tool], match.confidence)
    for index, graph in enumerate(graphs):
        for node, attributes in _of_type(graph, "tool"):
            own = tools.get((index, node), (index, node))
            names[own].update((attributes["name"], node.split(":", 1)[1], *attributes.get("aliases", ())))
    alike: defaultdict[tuple[Place, tuple[str, ...]], list[Place]] = defaultdict(list)
    for index, graph in enumerate(graphs):
        for command, owner in related(graph, "command_of"):
            own = tools.get((index, owner), (index, owner))
            words = sub_command(graph.nodes[command]["name"].split(" (")[0], names[own])
            alike[own, words].append((index, command))
    for (tool, words), places in sorted(alike.items()):
        first, *others = sorted(set(places))
        seen = {_origin(first)}
        for place in others:
            if _origin(place) in seen:  # one registry tells its own commands apart
                continue
            seen.add(_origin(place))
            confidence = round(sure[tool] * (SURE["command"] if words else SURE["name"]), 3)
            yield Match(first, place, "command", confidence, " ".join(words) or "the tool itself")


def _origin(place: Place) -> tuple[int, str]:
    """Graph and registry: `command:galaxy:samtools_sort` names its own."""
    parts = place[1].split(":")
    return place[0], parts[1] if len(parts) > 2 else ""


def _named_matches(graphs: Sequence[nx.MultiDiGraph]) -> Iterator[Match]:
    """Sources, and terms of one's own, with the same name and type; a term of EDAM is known by its id alone."""
    alike: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for index, graph in enumerate(graphs):
        for node, attributes in graph.nodes(data=True):
            if attributes["type"] not in ("tool", "command", "license"):
                alike[attributes["type"], plain_name(attributes["name"])].append((index, node))
    for places in alike.values():
        first = min(places, key=lambda place: (not EDAM_ID.fullmatch(place[1]), place))
        for place in sorted(set(places) - {first}):
            if place[0] != first[0] and place[1] != first[1] and not EDAM_ID.fullmatch(place[1]):
                yield Match(first, place, "name", SURE["name"])


def _of_type(graph: nx.MultiDiGraph, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((node, attributes) for node, attributes in graph.nodes(data=True) if attributes["type"] == kind)
