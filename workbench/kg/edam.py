"""The EDAM ontology: labels, parents and the check that an id may be used in a table.

The ontology comes as data with the `edam-ontology` package; it is read once and kept. Only the four branches that
describe tools are held: format, data, operation and topic.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.resources
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

BRANCHES = ("format", "data", "operation", "topic")
ROOTS = {"format": "format_1915", "data": "data_0006", "operation": "operation_0004", "topic": "topic_0003"}
EDAM_ID = re.compile(rf"({'|'.join(BRANCHES)})_\d+")
_OBO = "http://www.geneontology.org/formats/oboInOwl#"


class Problem(NamedTuple):
    """A broken rule and what to do about it, both as sentences without the value."""

    rule: str
    advice: str

    def __str__(self) -> str:
        return f"{self.rule}. {self.advice}"


@dataclass(frozen=True)
class EdamTerm:
    """One class of the ontology; parents are live terms of the same branch."""

    label: str
    parents: tuple[str, ...] = ()
    obsolete: bool = False
    suggested: tuple[str, ...] = ()  # what the ontology names in place of an obsolete term


class Edam:
    """The ontology as a look-up by id (`format_2572`).

    Unknown ids raise `KeyError` in the look-ups; `check` never raises.
    """

    def __init__(self, terms: dict[str, EdamTerm], *, version: str) -> None:
        self.terms = terms
        self.version = version
        self._above: dict[str, frozenset[str]] = {}
        self._ids = {(self.branch(i), name_key(t.label)): i for i, t in sorted(terms.items()) if not t.obsolete}

    def __contains__(self, term_id: object) -> bool:
        return term_id in self.terms

    def label(self, term_id: str) -> str:
        """The preferred label, as EDAM writes it."""
        return self.terms[term_id].label

    def branch(self, term_id: str) -> str:
        """One of `BRANCHES`."""
        return term_id.split("_", 1)[0]

    def parents(self, term_id: str) -> tuple[str, ...]:
        """Direct parents within the branch that are not obsolete, sorted."""
        return self.terms[term_id].parents

    def ancestors(self, term_id: str) -> frozenset[str]:
        """Every term above, up to and with the branch root; not the term itself."""
        if term_id not in self._above:
            parents = self.parents(term_id)
            self._above[term_id] = frozenset(parents).union(*(self.ancestors(parent) for parent in parents))
        return self._above[term_id]

    def find(self, label: str, branch: str) -> str | None:
        """The live id with this label (case and blanks do not count), or None."""
        return self._ids.get((branch, name_key(label)))

    def check(self, term_id: str, branch: str, *, allow_root: bool = False) -> Problem | None:
        """What forbids `term_id` where a term of `branch` is asked for, or None when nothing does."""
        term = self.terms.get(term_id)
        if term is None:
            return Problem(
                f"no such id in EDAM {self.version}",
                "Look the id up at https://edamontology.org or add a term of your own",
            )
        if term.obsolete:
            return Problem(f"obsolete id in EDAM {self.version}", self._replacement(term))
        if self.branch(term_id) != branch:
            return Problem(
                f"wrong branch, a {branch} id is needed", f"{term_id} is {term.label!r}; give a {branch}_... id"
            )
        if term_id == ROOTS[branch] and not allow_root:
            return Problem(f"bare branch root, which says nothing but {branch!r}", "Give a more specific term")
        return None

    def _replacement(self, term: EdamTerm) -> str:
        live = [f"{i} ({self.label(i)})" for i in term.suggested if i in self.terms and not self.terms[i].obsolete]
        return f"Use {' or '.join(live)}" if live else f"It was {term.label!r}; choose a live term"


def name_key(name: str) -> str:
    """The form in which two names are compared: case folded, runs of blanks as one."""
    return " ".join(name.split()).casefold()


@lru_cache(maxsize=1)
def load_edam() -> Edam:
    """The ontology of the installed `edam-ontology` package, read once."""
    source = importlib.resources.files("edam_ontology") / "EDAM.tsv"
    with source.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return Edam(dict(_terms(rows)), version=importlib.metadata.version("edam-ontology"))


def _terms(rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, EdamTerm]]:
    live = {_short(row["Class ID"]) for row in rows if row["Obsolete"].upper() != "TRUE"}
    for row in rows:
        term_id = _short(row["Class ID"])
        if not EDAM_ID.fullmatch(term_id):
            continue
        branch = term_id.split("_")[0] + "_"
        parents = {p for p in map(_short, row["Parents"].split("|")) if p.startswith(branch) and p in live}
        if not parents and term_id in live - set(ROOTS.values()):
            parents = {ROOTS[branch.rstrip("_")]}  # a few operations hang below a topic only
        suggested = [_short(i) for key in ("replacedBy", "consider") for i in row[_OBO + key].split("|") if i]
        yield term_id, EdamTerm(row["Preferred Label"], tuple(sorted(parents)), term_id not in live, tuple(suggested))


def _short(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]
