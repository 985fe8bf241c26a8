"""Names: the forms in which they are compared, made ids of, and shown; of licences, and what those of facts ask for."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

import networkx as nx
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_NAME = 200  # characters of one value
MAX_URL = 2000
MAX_SHOWN = 80  # characters of a value that an error message repeats


def name_key(name: str) -> str:
    """The form in which two names are compared: case folded, runs of blanks as one."""
    return " ".join(name.split()).casefold()


def plain_key(name: str) -> str:
    """Letters and digits alone, case folded, without a closing "format": `FASTQ_Sanger format` is `fastqsanger`."""
    key = "".join(character for character in name.casefold() if character.isalnum())
    return key.removesuffix("format") or key


def plain_name(name: str) -> str:
    """A name without case, blanks and punctuation: `Trim Galore!` and `trim_galore` are one."""
    return re.sub(r"[^0-9a-z]+", "", name.casefold()) or name.casefold()


def slug(name: str) -> str:
    """`name` as an id: a-z, 0-9 and . _ + -, a digest where letters are left but none of these, "" where nothing is."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9._+-]+", "-", folded).lstrip("-._+").rstrip("-._")[:100]
    if plain or not any(character.isalnum() for character in name):
        return plain
    return "x" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:10]


def shorten(value: str, limit: int = MAX_SHOWN) -> str:
    """`repr(value)` with at most `limit` characters: control characters show as escapes, long values are cut."""
    shown = repr(value[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 4] + "...'"


def is_url(value: str) -> bool:
    """Whether a text is an http(s) address with a host and without blanks."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", value)


_FAMILIES = (  # what registries write -> SPDX family; the first hit counts, so AGPL and LGPL come before GPL
    (r"\b(affero|agpl)", "AGPL"),
    (r"\b(lesser|lgpl)", "LGPL"),
    (r"\b(gnu general public|gpl|gnu public)", "GPL"),
    (r"\bapache", "Apache"),
    (r"\bartistic", "Artistic"),
    (r"\bmozilla|\bmpl\b", "MPL"),
    (r"\bboost|\bbsl-", "BSL"),
    (r"\bcecill", "CECILL"),
    (r"\b(non-profit open software|nposl)", "NPOSL"),
    (r"\b(open software license|osl)", "OSL"),
    (r"\b(academic|non-?commercial)", "academic"),
    (r"\b(proprietary|eula)\b", "proprietary"),
)
_PUBLIC = ("public domain", "ncbi-pd", "licenseref-public-domain", "united states government work")


def spdx(name: str) -> str | None:
    """`name` as a single SPDX id in its official spelling, or None when it is none.

    `LicenseRef-...` is accepted for what SPDX does not list; expressions with AND, OR or WITH are not.
    """
    if not re.fullmatch(r"[A-Za-z0-9.+-]+", name):
        return None
    try:
        return str(canonicalize_license_expression(name))
    except InvalidLicenseExpression:
        return None


def family(name: str) -> str:
    """Licence family and version for comparing spellings: `GPL v3`, `GPL-3.0-or-later`, `GPLv3+` all give `GPL-3.0`.

    "Or later" does not count, as registries rarely say it. Unknown names come back in lower case.
    """
    text = " ".join(name.replace("_", "-").split()).lower()
    if text in _PUBLIC:
        return "public-domain"
    if re.search(r"\bmit\b(?!-)", text) and "gpl" not in text:
        return "MIT"
    if text == "freebsd":
        return "BSD-2-Clause"
    if re.search(r"\bbsd\b", text):
        clauses = re.search(r"[0-9](?=[ -]clause)", text)
        return f"BSD-{clauses[0]}-Clause" if clauses else "BSD"
    for pattern, label in _FAMILIES:
        if found := re.search(pattern, text):
            version = re.search(r"([0-9])(?:\.([0-9]))?", text[found.start() :])
            return f"{label}-{version[1]}.{version[2] or 0}" if version else label
    return (spdx(name) or text).lower()


def same_licence(ours: str, theirs: str) -> bool:
    """True when both names can mean the same licence; a name without a version agrees with every version."""
    first, second = family(ours), family(theirs)
    return first == second or first.startswith(f"{second}-") or second.startswith(f"{first}-")


_ASKS = {  # what licences ask for, from the strictest on -> marks of it in an SPDX id
    "no derived works may be shared: a merged graph is one, so it may not be passed on": ("-ND",),
    "no commercial use": ("-NC",),
    "share alike: what is derived and passed on stands under the same licence": ("-SA", "ODbL", "GPL"),
    "the makers must be named": ("-BY",),
    "the notice must be kept": ("MIT", "Apache", "BSD"),
}
_FREE = ("CC0-1.0", "PDDL-1.0", "Unlicense", "0BSD", "LicenseRef-public-domain")


@dataclass(frozen=True)
class DataLicence:
    """facts: licence -> facts that stand under it (a fact of two registries counts in both). asks: strictest first.

    unstated: licences that say nothing that is known here, and facts without provenance as ""."""

    facts: dict[str, int]
    asks: tuple[tuple[str, tuple[str, ...]], ...]
    unstated: tuple[str, ...]

    @property
    def note(self) -> str:
        """The report in words."""
        parts = [f"{', '.join(licences)}: {ask}" for ask, licences in self.asks]
        if self.unstated:
            named = ", ".join(name or "no licence stated" for name in self.unstated)
            parts.append(f"{named}: ask the makers before the graph is passed on")
        return ". ".join([*parts, ""]).strip() or "no facts"


def data_licence(graph: nx.MultiDiGraph) -> DataLicence:
    """The licences of a graph's facts, read from their `provenance`."""
    facts: Counter[str] = Counter()
    for _, _, provenance in graph.edges(data="provenance"):
        facts.update({one["licence"] for one in provenance} if provenance else {""})
    asks: dict[str, list[str]] = {ask: [] for ask in _ASKS}
    unstated = []
    for licence in sorted(facts):
        known = not licence.startswith("LicenseRef")
        found = [ask for ask, marks in _ASKS.items() if known and any(mark in licence for mark in marks)]
        for ask in found[:2] if "-NC" in licence or "-ND" in licence else found[:1]:
            asks[ask].append(licence)
        if not found and licence not in _FREE:
            unstated.append(licence)
    asked = tuple((ask, tuple(licences)) for ask, licences in asks.items() if licences)
    return DataLicence(dict(facts.most_common()), asked, tuple(unstated))
