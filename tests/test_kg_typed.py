"""The shipped table of typed ports: whole, used throughout, and walked without a break in meaning. Terms that lie on
one another in long chains: read in time that grows as they do, and never by recursion."""

from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing import SHARED

from workbench.cases.practice import DRAWN, RESHAPED, WIDER
from workbench.cases.sampler import Sampler, SamplingConfig
from workbench.cases.sampling import sample_cases
from workbench.kg import build_graph, field, flow_graph, load_edam
from workbench.kg.columns import FILES, MAIN, Table
from workbench.kg.edam import Edam, EdamTerm
from workbench.kg.importers import FactItem, Node, Provenance, assemble
from workbench.kg.plan import Planner
from workbench.kg.published import Plausibility, known_links, links_allowed, published_links
from workbench.kg.table import default_folder, first_error, read_table
from workbench.kg.tsv import RawRow, TableError
from workbench.stats import proportion

FOLDER = Path(str(default_folder())).parent / "biotoolkg"
PUBLISHED = SHARED / "iwc" / "links.tsv"


@cache
def table() -> Table:
    return read_table(FOLDER)


@cache
def graph() -> nx.MultiDiGraph:
    return build_graph(table())


def test_every_command_says_how_common_it_is_and_what_it_is_done_to() -> None:
    assert not [one.command for one in table().commands if not one.standing or not one.gives]
    assert not [one.command for one in table().commands if not any(port.need == MAIN for port in one.needs)]
    counts = [sum(one.standing == standing for one in table().commands) for standing in ("standard", "common")]
    assert 0 < counts[0] < len(table().commands) / 3, "a standard is what is taken first, not one of many"


def test_nothing_is_declared_that_no_port_or_term_uses() -> None:
    ports = [port for one in table().commands for port in (*one.needs, *one.gives)]
    ports += [port for one in table().sources for port in one.gives]
    assert {state for port in ports for state in port.states} == {one.state for one in table().states}
    formats = {one for port in ports for one in port.formats}
    assert {one.format for one in table().formats} <= formats
    used = formats | {one for port in ports for one in port.kinds}
    used |= {one for about in table().formats for one in about.encodes}
    used |= {one for about in table().commands for one in about.operations}
    used |= {one for about in table().tools for one in about.topics}
    above = {one.term: one.is_a for one in table().terms}
    waiting = [term for term in used if term in above]
    while waiting:
        new = [term for term in above[waiting.pop()] if term in above and term not in used]
        used.update(new)
        waiting += new
    assert not above.keys() - used


def test_all_that_can_be_made_is_told_without_every_combination_of_states() -> None:
    planner = Planner(graph())
    made = planner.reachable(["format_1930"])
    assert {"format_2572", "format_3016", "data:gene_counts"} <= set(made) and len(planner.flows.flows) < 20_000


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the links of published workflows are not at hand")
def test_published_links_are_allowed_and_random_ones_mostly_not() -> None:
    pairs = published_links(PUBLISHED, graph())
    real, chance = links_allowed(graph(), pairs)
    assert real.n >= 170 and real.share >= 0.95 and chance.share <= 0.25


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the links of published workflows are not at hand")
def test_training_cases_hold_links_that_people_make() -> None:
    part = field(graph(), ["Gene transcripts", "Mapping", "Sequence assembly"])
    config = SamplingConfig(train=600, held_out=20, held_out_sequences=0, held_out_tools=10)
    paths = [case.path for case in sample_cases(part, flow_graph(part), config)["train"]]
    published = published_links(PUBLISHED, part)
    found = known_links(paths, part, published)
    assert found.links.n == sum(len(path) // 2 - 2 for path in paths) > 600 and found.between.n < found.links.n
    assert found.links.share >= 0.3 and found.distinct.n >= 20 and found.distinct.share >= 0.08
    turned = {(tail, head) for head, tail in published} - published
    assert known_links(paths, part, turned).links.share < found.links.share / 3


@pytest.mark.parametrize(
    ("often", "rarely", "odds"),
    [
        (("common", "3"), ("common", "2"), WIDER),
        (("standard", "3"), ("common", "3"), DRAWN["standard"] / DRAWN["common"]),
        (("standard", "5"), ("special", "4"), WIDER * DRAWN["standard"] / DRAWN["special"]),
    ],
)
def test_what_is_taken_first_is_drawn_so_much_more_often(often, rarely, odds: float) -> None:
    world = nx.MultiDiGraph([("source:s", "format:a", "download_from")])
    for name, (standing, reach) in {"often": often, "rarely": rarely}.items():
        world.add_edges_from((("format:a", f"command:{name}", "input"), (f"command:{name}", "format:b", "output")))
        world.add_edge(f"command:{name}", f"tool:{name}", "command_of")
        world.nodes[f"command:{name}"]["standing"], world.nodes[f"tool:{name}"]["reach"] = standing, int(reach)
    for node in world:
        world.nodes[node].update(type=node.split(":")[0], name=node)
    sampler, rng = Sampler(world, flow_graph(world), config=SamplingConfig()), np.random.default_rng(5)
    walks = [sampler.walk(rng, 1, set(sampler.commands)) for _ in range(3000)]
    cell = proportion(np.array([path is not None and path[2] == "command:often" for path in walks]))
    assert cell.low <= odds / (1 + odds) <= cell.high and cell.low > 0.5


def two_ways(*, in_field: bool) -> Sampler:
    """Reads go to `map`, a genome to `mask`; `sort` gives what `map` made in another format, `call` does more."""
    world = nx.MultiDiGraph()
    takes = {"map": ["format:reads", "format:genome"], "mask": ["format:genome"]}
    takes |= {"sort": ["format:map"], "call": ["format:map"]}
    for item in ("format:reads", "format:genome"):
        world.add_edge("source:s", item, "download_from", ports=[int(item == "format:genome")])
    for name, items in takes.items():
        for number, item in enumerate(items):
            world.add_edge(item, f"command:{name}", "input", ports=[number])
        world.add_edge(f"command:{name}", f"tool:{name}", "command_of")
        world.add_edge(f"command:{name}", f"format:{name}", "output", ports=[0])
        world.nodes[f"command:{name}"].update(standing="common", companion_ports=[1])
    for node in world:
        world.nodes[node].update(type=node.split(":")[0], name=node)
    world.nodes["command:sort"]["carrying_ports"] = [0]
    return Sampler(world, flow_graph(world), config=SamplingConfig(in_field=in_field))


def share(sampler: Sampler, length: int, node: str) -> tuple[float, float]:
    """The interval of how often the last command of a walk of so many, from reads if two, is the node."""
    rng, allowed = np.random.default_rng(5), set(sampler.commands)
    walks = (sampler.walk(rng, length, allowed) for _ in range(3000))
    cell = proportion(np.array([path[-2] == node for path in walks if path]))
    return cell.low, cell.high


@pytest.mark.parametrize(("in_field", "start", "step"), [(False, 2 / 3, 1 / (1 + RESHAPED)), (True, 1 / 2, 1 / 2)])
def test_over_a_whole_graph_chains_start_with_main_data_and_seldom_reshape_it(in_field, start, step) -> None:
    sampler = two_ways(in_field=in_field)
    for odds, length, node in ((start, 1, "command:map"), (step, 2, "command:call")):
        low, high = share(sampler, length, node)
        assert low <= odds <= high, node


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
