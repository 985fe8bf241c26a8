"""How far a graph agrees with public registries of tool annotations, fact by fact.

The registries are two files of JSON lines: `registry.jsonl`, a record per tool with licence, homepage, package, topics,
operations and typed ports, and `components.jsonl`, a record per command. A tool is looked up by its id and its
bio.tools id. A fact is *checked* when the registries say anything comparable about that tool and relation, *exact* when
they say the same, *related* when they name an EDAM term above or below ours, and *unknown* when they are silent.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import networkx as nx

from workbench.kg.build import related
from workbench.kg.columns import OWN_TERM
from workbench.kg.edam import ROOTS, load_edam
from workbench.kg.naming import plain_name, same_licence

Record = dict[str, Any]
TOO_GENERAL = frozenset(ROOTS.values()) | {"format_2330", "format_2333"}  # textual and binary format confirm nothing
FILES = ("registry.jsonl", "components.jsonl")


class Claim(NamedTuple):
    """One fact of the graph as it is compared: `subject` is the tool (or command) asked about."""

    relation: str
    subject: str
    value: str


@dataclass(frozen=True)
class AgreementRow:
    """Counts of one relation; `share` = (exact + related) / checked, None when nothing could be checked.

    Examples:
        >>> AgreementRow("input", facts=10, checked=4, exact=2, related=1, unknown=6).share
        0.75
    """

    relation: str
    facts: int
    checked: int
    exact: int
    related: int
    unknown: int

    @property
    def share(self) -> float | None:
        """Confirmed part of what could be checked, in [0, 1]."""
        return (self.exact + self.related) / self.checked if self.checked else None


@dataclass(frozen=True)
class Disagreement:
    """A checked fact the registries do not confirm, with what they say in its place."""

    relation: str
    subject: str
    ours: str
    theirs: tuple[str, ...]


def agreement(graph: nx.MultiDiGraph, folder: str | Path) -> list[AgreementRow]:
    """One row per relation that can be compared, in the order of first mention.

    Raises `FileNotFoundError` when `folder` lacks the registry files.

    Examples:
        >>> import tempfile
        >>> graph = nx.MultiDiGraph()
        >>> graph.add_node("tool:star", type="tool", name="STAR", homepage="https://star.example")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "registry.jsonl").write_text('{"id": "star", "homepage": "https://other.example"}')
        ...     Path(folder, "components.jsonl").touch()
        ...     [(row.relation, row.checked, row.exact) for row in agreement(graph, folder)]
        [('homepage', 1, 0)]
    """
    verdicts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for claim, verdict, _ in _verdicts(graph, Path(folder)):
        verdicts[claim.relation][verdict] += 1
    return [
        AgreementRow(name, n.total(), n.total() - n["unknown"], n["exact"], n["related"], n["unknown"])
        for name, n in verdicts.items()
    ]


def disagreements(graph: nx.MultiDiGraph, folder: str | Path) -> list[Disagreement]:
    """Every checked fact that is not confirmed, for reading; same errors as `agreement`.

    Examples:
        >>> import tempfile
        >>> graph = nx.MultiDiGraph()
        >>> graph.add_node("tool:star", type="tool", name="STAR", homepage="https://star.example")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "registry.jsonl").write_text('{"id": "star", "homepage": "https://other.example"}')
        ...     Path(folder, "components.jsonl").touch()
        ...     [(one.ours, one.theirs) for one in disagreements(graph, folder)]
        [('https://star.example', ('https://other.example',))]
    """
    return [
        Disagreement(claim.relation, claim.subject, claim.value, tuple(sorted(theirs)))
        for claim, verdict, theirs in _verdicts(graph, Path(folder))
        if verdict == "different"
    ]


def _verdicts(graph: nx.MultiDiGraph, folder: Path) -> Iterator[tuple[Claim, str, set[str]]]:
    registry = _Registry(folder)
    for claim in _claims(graph):
        theirs = registry.statements(graph, claim)
        yield claim, _verdict(claim, theirs), theirs


def _verdict(claim: Claim, theirs: set[str]) -> str:
    same, near = COMPARE.get(claim.relation, (_same_term, _near_term))
    if any(same(claim.value, value) for value in theirs):
        return "exact"
    if not theirs or OWN_TERM.fullmatch(claim.value):
        return "unknown"  # an own term stands for what the registries have no id for
    return "related" if any(near(claim.value, value) for value in theirs) else "different"


def _claims(graph: nx.MultiDiGraph) -> Iterator[Claim]:
    """Facts by tool, then inputs and outputs by command; the same fact of two commands of a tool counts once."""
    tool_of = dict(related(graph, "command_of"))

    def stated(relation: str) -> Iterator[tuple[str, str]]:
        for head, tail in sorted(related(graph, relation)):
            yield (tail, head) if relation.startswith("input") else (head, tail)

    tools = [node for node, kind in sorted(graph.nodes(data="type")) if kind == "tool"]
    claims = [
        Claim(relation, tool_of.get(subject, subject), value.removeprefix("license:"))
        for relation in ("input", "output", "input_data", "output_data", "performs", "has_topic", "licensed_under")
        for subject, value in stated(relation)
    ]
    claims += [Claim(r, t, graph.nodes[t][r]) for r in ("homepage", "download") for t in tools if graph.nodes[t].get(r)]
    claims += [Claim(f"{r} (by command)", *pair) for r in ("input", "output") for pair in stated(r)]
    return iter(dict.fromkeys(claims))


class _Registry:
    """The registry files, indexed by tool id, bio.tools id and command name."""

    def __init__(self, folder: Path) -> None:
        tools, components = (_read(folder / name) for name in FILES)
        self.tools: dict[str, Record] = {}
        for key in ("biotools_id", "id"):
            self.tools.update({plain_name(record[key]): record for record in tools if record.get(key)})
        self.components: dict[str, list[Record]] = defaultdict(list)
        for record in components:
            self.components[plain_name(record["id"].split(":", 1)[1])].append(record)

    def statements(self, graph: nx.MultiDiGraph, claim: Claim) -> set[str]:
        """What the registries say about the claim's subject and relation; empty when they are silent."""
        if claim.relation.endswith("(by command)"):
            side = claim.relation.split()[0] + "s"
            return _formats(self.components.get(plain_name(claim.subject.removeprefix("command:")), ()), side)
        keys = (claim.subject.removeprefix("tool:"), graph.nodes[claim.subject].get("biotools_id", ""))
        record = next((self.tools[plain_name(key)] for key in keys if plain_name(key) in self.tools), None)
        return READ[claim.relation](record) if record else set()


def _read(path: Path) -> list[Record]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: registry file missing; the comparison needs {' and '.join(FILES)}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _formats(records: Iterable[Record], side: str) -> set[str]:
    found = {name for record in records for port in record.get(side, ()) for name in port.get("formats", ())}
    return found - TOO_GENERAL


def _data(record: Record, side: str) -> set[str]:
    return {port["data"] for port in record.get(side, ()) if port.get("data")} - TOO_GENERAL


def _field(*names: str) -> Callable[[Record], set[str]]:
    return lambda record: {record[name] for name in names if record.get(name)}


def _terms(name: str) -> Callable[[Record], set[str]]:
    return lambda record: {term for term, _ in record.get(name, ())} - TOO_GENERAL


READ: dict[str, Callable[[Record], set[str]]] = {
    "input": lambda record: _formats([record], "inputs"),
    "output": lambda record: _formats([record], "outputs"),
    "input_data": lambda record: _data(record, "inputs"),
    "output_data": lambda record: _data(record, "outputs"),
    "performs": _terms("operations"),
    "has_topic": _terms("topics"),
    "licensed_under": _field("license"),
    "homepage": _field("homepage"),
    "download": _field("package", "download_url"),
}


def _same_term(ours: str, theirs: str) -> bool:
    if not theirs.startswith("ext:"):  # an extension stands where the registry names no EDAM format
        return ours == theirs
    edam = load_edam()
    return plain_name(edam.label(ours) if ours in edam else ours.partition(":")[2]) == plain_name(theirs[4:])


def _near_term(ours: str, theirs: str) -> bool:
    edam = load_edam()
    if ours not in edam or theirs not in edam or theirs in TOO_GENERAL:
        return False
    return ours in edam.ancestors(theirs) or theirs in edam.ancestors(ours)


def _address(url: str) -> tuple[str, str]:
    parts = urlsplit(url.lower())
    return (parts.hostname or "").removeprefix("www."), re.sub(r"(/index\.\w+)?/*$", "", parts.path)


def _same_address(ours: str, theirs: str) -> bool:
    return _address(ours) == _address(theirs)


def _near_address(ours: str, theirs: str) -> bool:
    (host, path), (other_host, other_path) = _address(ours), _address(theirs)
    shared = path.split("/")[1:2] == other_path.split("/")[1:2]
    return host == other_host and (shared or "git" not in host)


def _same_package(ours: str, theirs: str) -> bool:
    name = re.sub(r"^conda:|=.*$", "", theirs)
    return ours.split("::")[-1].lower() == name.lower() if "::" in ours else _same_address(ours, theirs)


COMPARE: dict[str, tuple[Callable[[str, str], bool], Callable[[str, str], bool]]] = {
    "licensed_under": (same_licence, lambda ours, theirs: False),
    "homepage": (_same_address, _near_address),
    "download": (_same_package, _near_address),
}
