"""Terms that lie on one another in long chains: read in time that grows as they do, and never by recursion."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from workbench.kg import load_edam
from workbench.kg.edam import Edam, EdamTerm
from workbench.kg.importers import FactItem, Node, Provenance, assemble
from workbench.kg.published import Plausibility
from workbench.kg.rows import FILES
from workbench.kg.table import first_error
from workbench.kg.tsv import RawRow, TableError

DEEP = 5_000  # a recursion ends far above it
FEW = range(5)  # so few that an error shows the whole way round
links = st.lists(st.tuples(st.sampled_from(FEW), st.sampled_from(FEW)), max_size=15)


class Counted(tuple):
    """Cells that count how often they are gone through."""

    times = 0

    def __iter__(self):
        Counted.times += 1
        return super().__iter__()


def refused(parents: dict[int, list[int]]) -> TableError | None:
    """The first error of a table that holds own terms alone, term -> terms above it."""
    rows = {file: [] for file in FILES}
    rows["terms.tsv"] = [
        RawRow("terms.tsv", number, {
            "term": (f"format:t{term}",), "name": (f"term number {term}",),
            "is_a": Counted(f"format:t{one}" for one in above) if above else ("format_1915",),
        })
        for number, (term, above) in enumerate(parents.items(), 2)
    ]  # fmt: skip
    return first_error(rows, load_edam())


def test_a_chain_of_own_terms_is_gone_through_a_few_times_and_not_once_a_term() -> None:
    chain = {term: [term - 1] if term else [] for term in range(2_000)}
    Counted.times = 0
    assert refused(chain) is None
    assert 0 < Counted.times <= 5 * len(chain)


def test_a_long_cycle_is_told_in_a_short_line() -> None:
    error = refused({term: [(term - 1) % DEEP] for term in range(DEEP)})
    assert error.row == 2 and error.rule == "cycle in is_a" and len(str(error)) < 600


@given(links)
def test_the_first_term_on_a_cycle_is_told_with_a_shortest_way_round(pairs: list[tuple[int, int]]) -> None:
    parents = {term: list(dict.fromkeys(up for low, up in pairs if low == term)) for term in FEW}
    error = refused(parents)
    is_a = nx.DiGraph(pairs)
    rounds = [
        (term, 1 + min(nx.shortest_path_length(is_a, up, term) for up in parents[term] if nx.has_path(is_a, up, term)))
        for term in parents
        if any(nx.has_path(is_a, up, term) for up in parents[term])
    ]
    if not rounds:
        assert error is None
    else:
        first, length = rounds[0]
        way = [int(step.split("format:t")[1]) for step in error.value.strip("'").split(" -> ")]
        assert error.row == first + 2 and way[0] == way[-1] == first and len(way) == length + 1
        assert all(is_a.has_edge(low, up) for low, up in nx.utils.pairwise(way))


@given(links)
def test_ancestors_are_those_of_the_graph_cycles_included(pairs: list[tuple[int, int]]) -> None:
    above = {low: tuple(f"format_{up}" for one, up in pairs if one == low) for low in FEW}
    terms = {f"format_{low}": EdamTerm(f"term {low}", above[low]) for low in FEW}
    edam, is_a = Edam(terms, version="x"), nx.DiGraph((f"format_{low}", f"format_{up}") for low, up in pairs)
    for term in terms:
        assert edam.ancestors(term) == (nx.descendants(is_a, term) if term in is_a else set())


def test_a_deep_ontology_is_looked_up_and_imported() -> None:
    up = {f"format_{9 + low}": f"format_{8 + low}" for low in range(1, DEEP)}
    terms = {"format_9": EdamTerm("root")} | {low: EdamTerm(low, (high,)) for low, high in up.items()}
    deepest, edam = f"format_{8 + DEEP}", Edam(terms, version="x")
    assert len(edam.ancestors(deepest)) == DEEP - 1
    here = Provenance("here", "1", "MIT")
    items = [Node("command:a", "command", "a"), Node("command:b", "command", "b")]
    items += [FactItem("command:a", "output", deepest, here), FactItem("format_9", "input", "command:b", here)]
    graph = assemble(items, edam=edam)
    assert graph.number_of_nodes() == DEEP + 2
    assert Plausibility(graph).accepts(("command:a", "command:b"))
