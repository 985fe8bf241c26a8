"""What file endings and datatype names mean, where EDAM does not say so itself (`data/registries/endings.tsv`).

A name stands for an EDAM format (`format`), for nothing (`any`: any format at all), or for an own term `format:<name>`
below the EDAM term given (`own`); endings that stand nowhere in it become own terms below the root of the formats.
"""

from __future__ import annotations

import csv
import importlib.resources

FILE = importlib.resources.files("workbench") / "data" / "registries" / "endings.tsv"


def _named(kind: str) -> dict[str, str]:
    """Ending or datatype name -> EDAM format, of one kind of rows."""
    with FILE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]
    return {name: row["term"] for row in rows for name in row["names"].split()}


FORMATS = _named("format")
OWN = _named("own")  # endings without an EDAM format of their own -> the EDAM format they are a kind of
ANY = frozenset(_named("any"))
SPOKEN = frozenset(_named("spoken"))  # formats people name in prose; others are words as well (dat, raw, map)
PACKING = _named("packing")  # ending -> the format it is when nothing else is left of the name
COMPRESSION = frozenset({"format_3989", "format_4006", "format_3615"})  # says how content is packed, not what it is
