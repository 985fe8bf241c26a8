"""Ports of a table, and the one test of a link: by hand for every alternative, along chains, where it is silent, and in
planted worlds with known answers."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kg_tables import PORTS, write_ports, write_table
from refusals import refused
from typed_worlds import described

from workbench import kg
from workbench.cases.sampler import Sampler, SamplingConfig
from workbench.hands.bench.full_size import check, known_as
from workbench.kg.columns import Port, carried, parse_ports
from workbench.kg.importers import assemble
from workbench.kg.links import TABLES, Flow, Links, fits
from workbench.kg.published import Plausibility
from workbench.kg.table import read_table
from workbench.kg.tsv import TableError

CHAIN = (
    "source:sra", "format_3698", "command:fasterq-dump", "format_1930", "command:hisat2", "format_2573",
    "command:samtools sort", "format_2572", "command:stringtie", "format_2306", "command:gffcompare", "data_3134",
)  # fmt: skip


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Links:
    return Links(kg.build_graph(read_table(write_ports(tmp_path_factory.mktemp("ports")))))


def test_a_cell_is_read_as_it_is_written() -> None:
    assert parse_ports("format_1930|format_1929=data:reads[short,raw] ; +a=b ; ?a=b|c") == (
        Port(("format_1930", "format_1929"), ("data:reads",), ("short", "raw")),
        Port(("a",), ("b",), (), "companion"),
        Port(("a",), ("b", "c"), (), "optional"),
    )
    (same,) = carried(parse_ports("format_2572=*[sorted]"), parse_ports("x=data_0863 ; +y=z"))
    assert same == Port(("format_2572",), ("data_0863",), ("sorted",), carries=True)


@pytest.mark.parametrize(
    "text", ["", "a", "a=", "=b", "a=b ; ", "a||b=c", "a=b[x,]", "a=b[x", "a=b=c", "a|a=b", "!a=b[x]y"]
)
def test_what_is_no_port_is_refused(text: str) -> None:
    refused(r"no port|an empty value", parse_ports, text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format_3698=data:reads\t", "format_3698=data:reads[wet]\t", "unknown state"),
        ("standard\tformat_1930", "usual\tformat_1930", "no standing"),
        ("format_1930=data:reads[rna]", "+format_1930=data:reads[rna]", "no main input"),
        ("format_1930=*", "format_1930=", "not a list of ports"),
        ("format_1930=data:reads[rna]", "format_1930=data:raeds[rna]", "unknown own term"),
    ],
)
def test_a_broken_port_names_its_row_and_rule(tmp_path: Path, old: str, new: str, said: str) -> None:
    commands = PORTS["commands.tsv"].replace(old, new, 1)
    assert commands != PORTS["commands.tsv"]
    with pytest.raises(TableError, match=rf"commands\.tsv, row \d, column \w+: {said}"):
        read_table(write_ports(tmp_path, commands=commands))


def test_a_table_without_ports_is_read_as_before_and_told_what_it_lacks(tmp_path: Path) -> None:
    plain, full = read_table(write_table(tmp_path / "plain")), read_table(write_ports(tmp_path / "full"))
    assert len(plain.lacks) == 3 and not full.lacks
    assert Links(kg.build_graph(plain)).accepts("command:stringtie", "command:gffcompare")


def test_a_reach_that_is_none_names_its_row_and_rule_and_none_need_be_stated(tmp_path: Path) -> None:
    folder = write_table(tmp_path)
    path = folder / "tools.tsv"
    header, *rows = path.read_text("utf-8").splitlines()
    assert {tool.reach for tool in read_table(folder).tools} == {""}
    for value in ("0", "6", "3.0", "wide"):
        lines = [f"{header}\treach", *(f"{row}\t5" for row in rows[:-1]), f"{rows[-1]}\t{value}"]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        refused(rf"tools\.tsv, row {len(lines)}, column reach: no reach", read_table, folder, error=TableError)
    path.write_text(path.read_text("utf-8").replace("\twide\n", "\t\n"), "utf-8")
    assert [tool.reach for tool in read_table(folder).tools] == ["5"] * (len(rows) - 1) + [""]


def test_data_keeps_its_meaning_along_a_chain(links: Links) -> None:
    assert links.follows(CHAIN) and links.first_break(CHAIN) == ""
    short = (*CHAIN[:6], "command:samtools sort", "format_2572")
    (flow,) = links.after(links.start(*short[:2]), *short[1:4])
    assert flow.kinds == {"data:reads"}, "what was delivered, in another format"
    skipped = (*CHAIN[:3], "format_1930", "command:stringtie", "format_2306")
    assert not links.follows(skipped) and links.first_break(skipped).startswith("format_3698")
    flows = links.start("source:sra", "format_3698")
    for place in range(1, 7, 2):
        flows = links.after(flows, *CHAIN[place : place + 3])
    assert dict(flows[0].states) == {"assay": {"rna"}, "order": {"sorted"}}, "a sort says nothing of the assay"


def test_companions_carry_no_chain(links: Links, tmp_path: Path) -> None:
    flow = kg.flow_graph(kg.build_graph(read_table(write_ports(tmp_path))))
    assert not flow.has_edge("format:hisat2_index", "command:hisat2")
    assert not flow.has_edge("format_2306", "command:stringtie") and flow.has_edge("format_2572", "command:stringtie")


AXES = {"order": ("sorted", "unsorted"), "assay": ("rna", "dna")}
ABOVE = {"f1": {"f1", "f"}, "f2": {"f2", "f"}, "f": {"f"}, "k1": {"k1", "k"}, "k2": {"k2", "k"}, "k": {"k"}}
STATES = st.dictionaries(st.sampled_from(sorted(AXES)), st.sets(st.sampled_from(("sorted", "rna", "dna")), min_size=1))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    formats = frozenset(draw(st.sets(st.sampled_from(("f", "f1", "f2")), min_size=1)))
    kinds = frozenset(draw(st.sets(st.sampled_from(("k", "k1", "k2")))))
    states = tuple((axis, frozenset(some)) for axis, some in sorted(draw(STATES).items()))
    above = [frozenset().union(*(ABOVE[one] for one in some)) for some in (formats, kinds)]
    return Flow(formats, kinds, above[0], above[1], states, number=0)


@given(out=flows(), into=flows())
def test_a_link_holds_as_every_alternative_by_itself_would(out: Flow, into: Flow) -> None:
    def alone(format: str, kind: str, other: str, wanted: str) -> bool:
        return other in ABOVE[format] and wanted in ABOVE[kind]

    pairs = product(out.formats, out.kinds, into.formats, into.kinds)
    by_hand = any(alone(*pair) for pair in pairs) if out.kinds and into.kinds else bool(
        {one for f in out.formats for one in ABOVE[f]} & into.formats
    )  # fmt: skip
    shared = dict(into.states)
    against = out.kinds and into.kinds and any(axis in shared and not some & shared[axis] for axis, some in out.states)
    assert fits(out, into) == bool(by_hand and not against)


def test_a_table_format_alone_says_too_little() -> None:
    tsv = Flow(frozenset({"format_3475"}), frozenset({"k"}), frozenset({"format_3475"}), frozenset({"k"}), number=0)
    assert "format_3475" in TABLES
    assert not fits(tsv, replace(tsv, kinds=frozenset(), above_kinds=frozenset()))
    assert fits(tsv, tsv)


def test_a_part_of_the_graph_judges_links_as_the_whole_does() -> None:
    graph = kg.load_graph().graph
    whole, rng = Links(graph), np.random.default_rng(0)
    for topic in ("Mapping", "Metagenomics", "Proteomics"):
        part = kg.focus(graph, kg.tools_with_topic(graph, [topic]))
        sampler = Sampler(part, kg.flow_graph(part), config=SamplingConfig())
        paths = {sampler.walk(rng, int(rng.integers(1, 4)), set(sampler.commands)) for _ in range(100)} - {None}
        assert len(paths) > 20
        assert not [whole.first_break(path) for path in paths if not whole.follows(path)]


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
    assert found.rates["command", "real"][:2] == (1.0, 1) and found.rates["command", "reversed"][:2] == (0.0, 1)
    assert known_as(graph, ["command:galaxy:s.o.r.t"]) == {"command:galaxy:s.o.r.t": "command:sort"}
