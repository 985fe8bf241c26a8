"""The EDAM ontology: labels, parents and the check that an id may be used in a table.

The ontology comes as data with the `edam-ontology` package; it is read once and kept. Only the four branches that
describe tools are held: format, data, operation and topic.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from workbench.artifacts.files import tsv_rows
from workbench.kg.naming import name_key, plain_key

BRANCHES = ("format", "data", "operation", "topic")
ROOTS = {"format": "format_1915", "data": "data_0006", "operation": "operation_0004", "topic": "topic_0003"}
EDAM_ID = re.compile(rf"({'|'.join(BRANCHES)})_\d+")
_OBO = "http://www.geneontology.org/formats/oboInOwl#"


@dataclass(frozen=True)
class EdamTerm:
    """One class of the ontology; parents are live terms of the same branch."""

    label: str
    parents: tuple[str, ...] = ()
    obsolete: bool = False
    suggested: tuple[str, ...] = ()  # what the ontology names in place of an obsolete term
    replaced_by: tuple[str, ...] = ()  # of these, what it names as the replacement proper
    synonyms: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()  # of files, without a dot


class Edam:
    """The ontology as a look-up by id (`format_2572`).

    Unknown ids raise `KeyError` in the look-ups; `check` never raises.

    Examples:
        >>> edam = load_edam()
        >>> edam.find("FASTQ", "format"), edam.label("format_2572"), "format_0" in edam
        ('format_1930', 'BAM', False)
    """

    def __init__(self, terms: dict[str, EdamTerm], *, version: str) -> None:
        self.terms = terms
        self.version = version
        self._above: dict[str, frozenset[str]] = {}
        self._ids = {(self.branch(i), name_key(t.label)): i for i, t in sorted(terms.items()) if not t.obsolete}
        self._names: dict[tuple[str, str], str] | None = None

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
            waiting, above = [term_id], {term_id}
            for term in waiting:  # grows while it is read; a chain of terms may be longer than Python may recurse
                waiting += (new := set(self.parents(term)) - above)
                above |= new
            self._above[term_id] = frozenset(above - {term_id})
        return self._above[term_id]

    def find(self, label: str, branch: str) -> str | None:
        """The live id with this label (case and blanks do not count), or None."""
        return self._ids.get((branch, name_key(label)))

    def lookup(self, name: str, branch: str) -> str | None:
        """The live id that goes by this name, or None: a label, a synonym or a file extension.

        Letters and digits alone count, in any case, and the word "format" at the end may lack. A label goes before a
        synonym and that before an extension; a synonym or extension of several terms names none of them.
        """
        if self._names is None:
            self._names = _names({i: term for i, term in self.terms.items() if not term.obsolete})
        return self._names.get((branch, plain_key(name)))

    def replacement(self, term_id: str) -> str | None:
        """The live term of the same branch that stands in for an obsolete one, or None where EDAM names none or many.

        The replacement proper goes before what is only to be considered; chains of obsolete terms are followed.
        """
        seen = {term_id}
        while term_id in self.terms and self.terms[term_id].obsolete:
            term = self.terms[term_id]
            branch = self.branch(term_id)
            heirs = [i for i in term.replaced_by or term.suggested if self.branch(i) == branch and i not in seen]
            if len(heirs) != 1:
                return None
            term_id = heirs[0]
            seen.add(term_id)
        return term_id if term_id in self.terms else None

    def check(self, term_id: str, branch: str, *, allow_root: bool = False) -> tuple[str, str] | None:
        """What forbids `term_id` where a term of `branch` is asked for, or None when nothing does: the rule and what to
        do about it, both as sentences without the value."""
        term = self.terms.get(term_id)
        if term is None:
            rule = f"no such id in EDAM {self.version}"
            return rule, "Look the id up at https://edamontology.org or add a term of your own"
        if term.obsolete:
            return f"obsolete id in EDAM {self.version}", self._replacement(term)
        if self.branch(term_id) != branch:
            rule = f"wrong branch, a {branch} id is needed"
            return rule, f"{term_id} is {term.label!r}; give a {branch}_... id"
        if term_id == ROOTS[branch] and not allow_root:
            return f"bare branch root, which says nothing but {branch!r}", "Give a more specific term"
        return None

    def _replacement(self, term: EdamTerm) -> str:
        live = [f"{i} ({self.label(i)})" for i in term.suggested if i in self.terms and not self.terms[i].obsolete]
        return f"Use {' or '.join(live)}" if live else f"It was {term.label!r}; choose a live term"


def _names(terms: dict[str, EdamTerm]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for kind in ("label", "synonyms", "extensions"):
        owners: dict[tuple[str, str], set[str]] = {}
        for term_id, term in sorted(terms.items()):
            values = [term.label] if kind == "label" else getattr(term, kind)
            for key in {plain_key(value) for value in values} - {""}:
                owners.setdefault((term_id.split("_", 1)[0], key), set()).add(term_id)
        for name, ids in owners.items():
            if kind == "label" or len(ids) == 1:
                found.setdefault(name, min(ids))
    return found


@lru_cache(maxsize=1)
def load_edam() -> Edam:
    """The ontology of the installed `edam-ontology` package, read once.

    Examples:
        >>> edam = load_edam()
        >>> edam.label("format_1930"), edam.branch("format_1930")
        ('FASTQ', 'format')
    """
    rows = tsv_rows(str(importlib.resources.files("edam_ontology") / "EDAM.tsv"))
    return Edam(dict(terms_of(rows)), version=importlib.metadata.version("edam-ontology"))


def terms_of(rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, EdamTerm]]:
    """(id, term) of every row that is a class of the four branches; columns as in the table of `edam-ontology`.

    Read are `Class ID`, `Preferred Label`, `Synonyms`, `Obsolete`, `Parents`, `File extension` and what is named in
    place of an obsolete class; the last two and the synonyms may lack. Raises `KeyError` for the others.
    """
    live = {_short(row["Class ID"]) for row in rows if row["Obsolete"].upper() != "TRUE"}
    for row in rows:
        term_id = _short(row["Class ID"])
        if not EDAM_ID.fullmatch(term_id):
            continue
        branch = term_id.split("_")[0] + "_"
        parents = {p for p in map(_short, row["Parents"].split("|")) if p.startswith(branch) and p in live}
        if not parents and term_id in live - set(ROOTS.values()):
            parents = {ROOTS[branch.rstrip("_")]}  # a few operations hang below a topic only
        replaced, consider = (tuple(map(_short, _cells(row, _OBO + key))) for key in ("replacedBy", "consider"))
        yield (
            term_id,
            EdamTerm(
                row["Preferred Label"],
                tuple(sorted(parents)),
                obsolete=term_id not in live,
                suggested=replaced + consider,
                replaced_by=replaced,
                synonyms=_cells(row, "Synonyms"),
                extensions=_cells(row, "File extension"),
            ),
        )


def _cells(row: dict[str, str], column: str) -> tuple[str, ...]:
    return tuple(value for value in (row.get(column) or "").split("|") if value)


def _short(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]
