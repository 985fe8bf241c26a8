"""Measures that know the graph: edits from one graph to another, ends of kept edges, facts in another order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from workbench.cases import Case

Edge = tuple[str, str, str]  # head, relation, tail


class Edits(NamedTuple):
    """How many edits turn one graph into another; `size` is that of both together, nodes and edges."""

    nodes_removed: int
    nodes_added: int
    nodes_retyped: int
    edges_removed: int
    edges_added: int
    edges_retyped: int
    size: int

    @property
    def distance(self) -> int:
        """The graph edit distance: all edits, each at cost 1."""
        return sum(self[:-1])

    @property
    def normalised(self) -> float:
        """Distance / size, in [0, 1]: 1 where the two share nothing, 0 for two empty graphs."""
        return self.distance / self.size if self.size else 0.0


def graph_edits(before: tuple[Iterable[str], Iterable[Edge]], after: tuple[Iterable[str], Iterable[Edge]]) -> Edits:
    """The cheapest edits between graphs of (nodes, edges) whose nodes are known by their ids.

    nodes: ids, or a mapping id -> type. An edge is (head, relation, tail), parallel edges allowed; its ends count as
    nodes. Removing, adding and retyping cost 1 each. Ids fix which node is which, and ends which edge can become which,
    so that the counts are exact and nothing is searched: where r relations between two nodes are only in the one graph
    and s only in the other, min(r, s) edges are retyped.
    """
    (old, old_edges), (new, new_edges) = _parts(*before), _parts(*after)
    shared = old.keys() & new.keys()
    gone, come = _by_ends(old_edges - new_edges), _by_ends(new_edges - old_edges)
    retyped = {ends: min(gone[ends], come[ends]) for ends in gone.keys() & come.keys()}
    return Edits(
        nodes_removed=len(old) - len(shared),
        nodes_added=len(new) - len(shared),
        nodes_retyped=sum(old[node] != new[node] for node in shared),
        edges_removed=gone.total() - sum(retyped.values()),
        edges_added=come.total() - sum(retyped.values()),
        edges_retyped=sum(retyped.values()),
        size=len(old) + len(new) + old_edges.total() + new_edges.total(),
    )


def case_edits(before: Case, after: Case) -> Edits:
    """`graph_edits` of what two cases show; a node none of whose facts is shown is not shown."""
    return graph_edits((before.nodes, before.facts), (after.nodes, after.facts))


def with_ends(case: Case, keep: np.ndarray) -> np.ndarray:
    """Keep-masks (m, n) bool with both ends of every kept edge kept too, so that it shows.

    For masks that keep an explanation alone; where elements are removed, an edge goes with its ends instead.
    """
    keep = np.asarray(keep, dtype=bool)
    closed = keep.copy()
    nodes = case.nodes
    number = {node: i for i, node in enumerate(nodes)}
    for i, fact in enumerate(case.facts, start=len(nodes)):
        closed[:, number[fact.head]] |= keep[:, i]
        closed[:, number[fact.tail]] |= keep[:, i]
    return closed


def reordered(case: Case, *, rng: np.random.Generator) -> tuple[Case, np.ndarray]:
    """The case with its facts in random order, and `index` (n,): scores of it, as scores[index], fit the case given.

    For stability: nodes are numbered by first mention, so that another order of facts renumbers every element.
    """
    deal = rng.permutation(len(case.facts))
    other = replace(case, facts=tuple(case.facts[i] for i in deal))
    number = {node: i for i, node in enumerate(other.nodes)}
    nodes = [number[node] for node in case.nodes]
    return other, np.array([*nodes, *(len(nodes) + np.argsort(deal))], dtype=int)


def _parts(nodes: Iterable[str], edges: Iterable[Edge]) -> tuple[dict[str, str | None], Counter[Edge]]:
    """id -> type (None: not given), and how often each edge occurs."""
    counted = Counter((head, relation, tail) for head, relation, tail in edges)
    types: dict[str, str | None] = dict.fromkeys(end for head, _, tail in counted for end in (head, tail))
    types.update(nodes if isinstance(nodes, Mapping) else dict.fromkeys(nodes))
    return types, counted


def _by_ends(edges: Counter[Edge]) -> Counter[tuple[str, str]]:
    """How many of these edges run from one node to another."""
    by_ends: Counter[tuple[str, str]] = Counter()
    for (head, _, tail), count in edges.items():
        by_ends[head, tail] += count
    return by_ends
