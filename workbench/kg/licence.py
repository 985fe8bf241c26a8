"""Licence names: the SPDX rule of the table, and reading the many spellings found in registries."""

from __future__ import annotations

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

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
            version = re.search(r"[0-9](?:\.[0-9])?", text[found.start() :])
            return f"{label}-{_two_parts(version[0])}" if version else label
    return (spdx(name) or text).lower()


def same(ours: str, theirs: str) -> bool:
    """True when both names can mean the same licence; a name without a version agrees with every version."""
    first, second = family(ours), family(theirs)
    return first == second or first.startswith(f"{second}-") or second.startswith(f"{first}-")


def _two_parts(version: str) -> str:
    return version if "." in version else f"{version}.0"
