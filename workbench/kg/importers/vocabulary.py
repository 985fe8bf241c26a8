"""Reading what registries write where a term is meant: ids, labels, file endings and glob patterns, right or wrong.

What endings and datatype names mean where EDAM does not say so itself stands in `data/registries/endings.tsv`: a name
stands for an EDAM format (`format`), for nothing (`any`: any format at all), or for an own term `format:<name>` below
the EDAM term given (`own`); endings that stand nowhere in it become own terms below the root of the formats.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from workbench.artifacts.files import DATA, tsv_rows
from workbench.kg.edam import BRANCHES, ROOTS, Edam, load_edam
from workbench.kg.importers.items import UNKNOWN, Spot
from workbench.kg.naming import MAX_NAME, family, plain_key, slug, spdx

_ENDINGS = tsv_rows(DATA / "registries" / "endings.tsv")


def _named(kind: str) -> dict[str, str]:
    """Ending or datatype name -> EDAM format, of one kind of rows."""
    return {name: row["term"] for row in _ENDINGS if row["kind"] == kind for name in row["names"].split()}


FORMATS = _named("format")
OWN = _named("own")  # endings without an EDAM format of their own -> the EDAM format they are a kind of
ANY = frozenset(_named("any"))
SPOKEN = frozenset(_named("spoken"))  # formats people name in prose; others are words as well (dat, raw, map)
PACKING = _named("packing")  # ending -> the format it is when nothing else is left of the name
COMPRESSION = frozenset({"format_3989", "format_4006", "format_3615"})  # says how content is packed, not what it is


MAX_ALTERNATIVES = 64  # of one glob pattern
INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_ID = re.compile(
    rf"(?:https?://(?:www\.)?edamontology\.org/|edam[:_/ ]*)?({'|'.join(BRANCHES)})[_: ]?([0-9]{{1,12}})/?", re.I
)
_VARIABLE = re.compile(r"\$\{[^{}]*\}|\$\w+|<[^<>]*>")
_ENDING = re.compile(r"[a-z0-9][a-z0-9_]{0,29}")


class Term(NamedTuple):
    """A term found: an EDAM id, or an own term with its name and the terms above it."""

    id: str
    name: str = ""
    parents: tuple[str, ...] = ()


class Finding(NamedTuple):
    """What became of one value: the terms, and the rule and action to report, both "" where nothing was odd."""

    terms: tuple[Term, ...] = ()
    rule: str = ""
    action: str = ""


class Vocabulary:
    """Terms by what people write; a format given where data is asked for (or the reverse) is found all the same.

    Examples:
        >>> from workbench.kg.importers.items import Report
        >>> [term.id for term in Vocabulary().terms("fastq", "format", Report().at("mine.tsv"))]
        ['format_1930']
    """

    def __init__(self, edam: Edam | None = None) -> None:
        self.edam = edam or load_edam()
        self._find = lru_cache(maxsize=50_000)(self._finding)

    def terms(self, value: object, branch: str, spot: Spot, *, label: object = None) -> tuple[Term, ...]:
        """The terms that `value` stands for, none where it says nothing; whatever is odd is told at `spot`.

        branch: what is asked for; of format and data either may come back. label: what the registry writes beside an
        id, used when the id does not exist.
        """
        name = text(value, spot)
        if not name:
            return ()
        found = self._find(name, branch)
        if not found.terms and found.action == "dropped" and (other := text(label, spot)):
            again = self._find(other, branch)
            found = Finding(again.terms, f"{found.rule}; found by its label", "repaired") if again.terms else found
        if found.action == "kept":
            spot.kept_once(found.rule, name)
        elif found.rule:
            getattr(spot, found.action)(found.rule, name)
        return found.terms

    def _finding(self, name: str, branch: str) -> Finding:
        if match := _ID.fullmatch(name):
            return self._by_id(f"{match[1].lower()}_{match[2].zfill(4)}", branch)
        prefix, _, rest = name.partition(":")
        if prefix.lower() in ("ext", "extension") and branch == "format":
            return self._by_pattern(rest)
        known = plain_key(name) in FORMATS or name.lower() in OWN
        if branch == "format" and (known or re.search(r"[*?{}$]", name)):
            return self._by_pattern(name)
        for other in (branch, *({"format", "data"} - {branch} if branch in ("format", "data") else ())):
            if found := self.edam.lookup(name, other):
                return self._by_id(found, branch)
        if branch == "format":
            return self._by_pattern(name)
        return Finding(rule=f"no {branch} of this name", action="dropped")

    def _by_id(self, term: str, branch: str) -> Finding:
        rule, action = "", ""
        if term not in self.edam:
            return Finding(rule="no such EDAM id", action="dropped")
        if self.edam.terms[term].obsolete:
            heir = self.edam.replacement(term)
            if heir is None:
                return Finding(rule="obsolete EDAM id without one replacement", action="dropped")
            term, rule, action = heir, "obsolete EDAM id, replaced as EDAM says", "repaired"
        own = self.edam.branch(term)
        if term == ROOTS[own]:
            return Finding(rule="branch root, which says nothing", action="dropped")
        if own != branch:
            if {own, branch} != {"format", "data"}:
                return Finding(rule=f"EDAM id of another branch, a {branch} is needed", action="dropped")
            rule, action = f"{own} given where {branch} is asked for", "repaired"
        return Finding((Term(term),), rule, action)

    def _by_pattern(self, pattern: str) -> Finding:
        """Formats of a datatype name or of a glob such as `*.{bam,cram}` or `*_{1,2}.fastq.gz`."""
        glob = bool(re.search(r"[*.{}|$?\[\]/]", pattern))
        names = list(dict.fromkeys(_alternatives(_VARIABLE.sub("*", pattern.strip().lower()))))
        found = [self._by_ending(name) for name in names]
        terms = tuple(dict.fromkeys(term for term in found if term))
        if len(names) > MAX_ALTERNATIVES:
            return Finding(rule="pattern of too many alternatives", action="dropped")
        if not terms:
            known = plain_key(pattern) in ANY or not pattern.strip("*. ")
            return Finding(rule="names any format" if known else "names no format", action="dropped")
        if any(term.name for term in terms):
            return Finding(terms, "format without an EDAM id, own term made", "kept")
        return Finding(terms, "file pattern in place of a format", "repaired") if glob else Finding(terms)

    def _by_ending(self, name: str) -> Term | None:
        """The format of the longest ending that is known, or an own term for the last one; packing does not count."""
        endings = [part.strip("*?[]_- ") for part in name.rsplit("/", 1)[-1].split(".")]
        stem, packed = endings[0] if endings else "", ""
        endings = endings[1:] if len(endings) > 1 else endings
        while len(endings) > 1 and endings[-1] in PACKING:
            packed = endings.pop()
        if endings == [""]:
            endings = [packed]
        if len(endings) == 1 and endings[0] in PACKING:
            if stem and stem not in PACKING and (found := self._known(stem)):
                return found  # `*fastq.gz`
            return Term(PACKING[endings[0]]) if PACKING[endings[0]] in self.edam else None
        for start in range(len(endings)):
            if found := self._known(".".join(endings[start:])):
                return found
        last = re.sub(r"[-+ ]", "_", endings[-1])
        if not _ENDING.fullmatch(last) or last in ANY or last.isdigit():
            return None
        return Term(f"format:{last}", last, (OWN.get(last, ROOTS["format"]),))

    def _known(self, ending: str) -> Term | None:
        key = plain_key(ending)
        if key in OWN:
            return None if "." in ending else Term(f"format:{ending}", ending, (OWN[key],))
        found = FORMATS.get(key) or (self.edam.lookup(ending, "format") if key else None)
        return Term(found) if found and found in self.edam else None


def text(value: object, spot: Spot, *, limit: int = MAX_NAME) -> str:
    """A text as it may stand in the graph: one line, no control or invisible characters, at most `limit` characters.

    None and "" give "". What is no text or number gives "" and is told, as is what had to be changed.
    """
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        spot.dropped("not a text", value)
        return ""
    if isinstance(value, int) and abs(value) > 10**30:
        spot.dropped("number too large", value)
        return ""
    given = str(value)
    clean = given[: 4 * limit].strip()
    if not clean.isascii() or not clean.isprintable():
        clean = "".join(" " if unicodedata.category(c) in INVISIBLE else c for c in unicodedata.normalize("NFC", clean))
    clean = " ".join(clean.split())
    if len(clean) > limit or len(given) > 4 * limit:
        spot.repaired(f"longer than {limit} characters, cut", given)
        return clean[:limit].rstrip()
    if clean != given and re.sub(r"\s+", " ", given.strip()) != clean:
        spot.repaired("control or invisible characters removed", given)
    return clean


def listed(value: object) -> list[Any]:
    """The value where it is a list, else none."""
    return value if isinstance(value, list) else []


def texts(value: object, spot: Spot) -> list[str]:
    """The texts of a list, or the one text given in its place, without the empty ones; see `text`."""
    values: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    found = (text(one, spot.at(index)) for index, one in enumerate(values))
    return list(dict.fromkeys(one for one in found if one))


def licence_id(value: object, spot: Spot) -> str:
    """An SPDX id, or `LicenseRef-<name>` for what SPDX does not list; "" where there is nothing to read.

    Free spellings are read by family and version: `GPL (>= 2)` is GPL-2.0-or-later.
    """
    name = text(value, spot)
    if not name:
        return ""
    if found := spdx(name):
        return found
    kind = "-or-later" if re.search(r"later|>=|\+", name) else "-only"
    for candidate in (family(name) + kind, family(name)):
        if "GPL" in candidate.upper() and candidate.endswith("-only"):
            continue  # "GPL 2" alone does not say that later versions are excluded
        if found := spdx(candidate):
            spot.repaired("licence name read as an SPDX id", name)
            return found
    rest = re.sub(r"[^A-Za-z0-9.-]+", "-", slug(name)).strip("-.")[:60]
    spot.kept_once("licence that SPDX does not list", name)
    return f"LicenseRef-{rest}" if rest else UNKNOWN


def _alternatives(pattern: str) -> Iterator[str]:
    """What a pattern with braces, bars and commas stands for, one more than `MAX_ALTERNATIVES` at most."""
    words = re.sub(r"\s*([,|;])\s*|(?<=[{(])\s+|\s+(?=[})])", r"\1", pattern[:1000]).split()
    if len(words) > 1:  # prose around a pattern, such as `directory with *.{amb,ann}`
        words = [word for word in words if re.search(r"[*.{|]", word)]
    waiting, given = words, 0
    while waiting and given <= MAX_ALTERNATIVES:
        name = waiting.pop(0)
        inner = re.search(r"[{(]([^{}()]*)[})]", name)
        if inner:
            parts = re.split(r"[,|]", inner[1])[: MAX_ALTERNATIVES + 1]
            waiting[:0] = [name[: inner.start()] + part.strip() + name[inner.end() :] for part in parts]
            waiting = waiting[: 4 * MAX_ALTERNATIVES]
        elif re.search(r"[,|;]", name):
            waiting[:0] = [part for part in re.split(r"[,|;]+", name) if part][: MAX_ALTERNATIVES + 1]
        else:
            given += 1
            yield name
