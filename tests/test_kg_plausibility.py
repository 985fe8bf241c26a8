"""Which links the graph accepts: planted worlds with known answers."""

from __future__ import annotations

import networkx as nx
from typed_worlds import described

from workbench.hands.bench.accepted import check, known_as
from workbench.kg.importers import assemble
from workbench.kg.published import Plausibility


def world(**commands: tuple[str, list[list[str]], list[list[str]]]) -> nx.MultiDiGraph:
    """Commands by name: (tool, what each input takes, what each output gives), ids of EDAM formats and data."""
    return assemble(item for name, said in commands.items() for item in described(name, *said))


def accepted(graph: nx.MultiDiGraph, head: str, tail: str, level: str = "command") -> bool:
    return Plausibility(graph).accepts((f"{level}:{head}", f"{level}:{tail}"))


def test_what_lies_below_is_accepted_and_what_lies_above_is_not() -> None:
    graph = world(bam=("a", [], [["format_2572"]]), some=("b", [["format_2920"]], [["format_2920"]]),
                  exact=("c", [["format_2572"]], []))  # fmt: skip
    assert accepted(graph, "bam", "some") and accepted(graph, "bam", "exact")
    assert not accepted(graph, "some", "exact") and not accepted(graph, "exact", "bam")


def test_kinds_of_data_must_agree_where_both_state_them() -> None:
    counts, tree = ["format_3475", "data_3112"], ["format_3475", "data_0872"]
    graph = world(counts=("a", [], [counts]), reads_counts=("b", [counts], []), reads_tree=("c", [tree], []),
                  any_table=("d", [["format_3475"]], []), only_tree=("e", [["data_0872"]], []))  # fmt: skip
    assert accepted(graph, "counts", "reads_counts")
    assert not accepted(graph, "counts", "any_table"), "a table of anything says too little"
    assert not accepted(graph, "counts", "reads_tree") and not accepted(graph, "counts", "only_tree")


def test_a_tool_accepts_what_any_of_its_commands_does() -> None:
    graph = world(sort=("s", [["format_2573"]], [["format_2572"]]), index=("s", [["format_2572"]], [["format_3327"]]),
                  call=("c", [["format_2572"]], [["format_3016"]]))  # fmt: skip
    assert not accepted(graph, "index", "call") and accepted(graph, "s", "c", level="tool")


def test_links_are_checked_against_their_reverse_and_unknown_commands_are_told() -> None:
    graph = world(sort=("s", [["format_2573"]], [["format_2572"]]), call=("c", [["format_2572"]], [["format_3016"]]),
                  silent=("q", [], []))  # fmt: skip
    links = [
        ["command:SORT", "command:call"],
        ["command:sort", "command:unheard_of"],
        ["command:silent", "command:call"],
    ]
    found = check(graph, [{"links": links}, {"links": links[:1]}], seed=0)
    assert found.links == (("command:sort", "command:call"),) and found.unknown == ("command:unheard_of",)
    assert not found.refused
    rates = {(one.level, one.pairs): (one.share, one.n) for one in found.rates}
    assert rates["command", "real"] == (1.0, 1) and rates["command", "reversed"] == (0.0, 1)
    assert known_as(graph, ["command:galaxy:s.o.r.t"]) == {"command:galaxy:s.o.r.t": "command:sort"}
