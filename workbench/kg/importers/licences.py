"""The licences of registries' data, and licence names of tools as SPDX ids."""

from __future__ import annotations

import re

from workbench.kg.importers.report import Spot
from workbench.kg.importers.vocabulary import slug, text
from workbench.kg.licence import family, spdx

REGISTRIES = {  # registry -> the licence of its data
    "nf-core": "MIT",
    "bio.tools": "CC-BY-4.0",
    "Galaxy": "LicenseRef-MIT-and-others",  # tool repositories of many hands
    "EDAM": "CC-BY-SA-4.0",
    "Debian": "LicenseRef-unknown",
    "Bioconda": "MIT",
}
UNKNOWN = "LicenseRef-unknown"


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
