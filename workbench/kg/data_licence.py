"""Under which licences the facts of a graph stand, and what the strictest of them asks for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import networkx as nx

_MARKS = (  # what an SPDX id says, from the strictest on: mark in the id, what it asks for
    ("-ND", "no derived works may be shared: a merged graph is one, so it may not be passed on"),
    ("-NC", "no commercial use"),
    ("-SA", "share alike: what is derived and passed on stands under the same licence"),
    ("ODbL", "share alike: what is derived and passed on stands under the same licence"),
    ("GPL", "share alike: what is derived and passed on stands under the same licence"),
    ("-BY", "the makers must be named"),
    ("MIT", "the notice must be kept"),
    ("Apache", "the notice must be kept"),
    ("BSD", "the notice must be kept"),
)
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
    asks: dict[str, list[str]] = {}
    unstated = []
    for licence in sorted(facts):
        found = [ask for mark, ask in _MARKS if mark in licence and not licence.startswith("LicenseRef")]
        for ask in found[:2] if "-NC" in licence or "-ND" in licence else found[:1]:
            asks.setdefault(ask, []).append(licence)
        if not found and licence not in _FREE:
            unstated.append(licence)
    order = list(dict.fromkeys(ask for _, ask in _MARKS))
    ranked = sorted(asks.items(), key=lambda pair: order.index(pair[0]))
    return DataLicence(dict(facts.most_common()), tuple((ask, tuple(names)) for ask, names in ranked), tuple(unstated))
