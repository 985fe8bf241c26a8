"""Plans: against every chain of small random typed graphs, and what a user reads of them on the small table."""

from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kg_tables import PORTS, write_ports
from refusals import refused
from typed_worlds import FORMATS, HERE, KINDS, all_chains, described, worlds

from workbench import kg
from workbench.kg.chains import WORTH
from workbench.kg.flows import VAGUE
from workbench.kg.importers import Item, Toolchain, assemble
from workbench.kg.links import Links, fits
from workbench.kg.plan import COSTS, Plan, Planner

TARGETS = st.sampled_from([*FORMATS, *KINDS])


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    return Planner(kg.build_graph(kg.read_table(write_ports(tmp_path))))


@given(worlds(), TARGETS)
def test_the_first_plan_costs_as_little_as_any_chain(graph: nx.MultiDiGraph, target: str) -> None:
    costs = [cost for cost, _ in all_chains(graph, target)]
    found = Planner(graph).plans("source:s", target)
    assert found.proved and bool(found.plans) == bool(costs)
    if found.plans:
        assert found.plans[0].cost <= min(costs) + 1e-9
        repeated = len(set(found.plans[0].commands)) < len(found.plans[0].commands)
        assert repeated or found.plans[0].cost == pytest.approx(min(costs))


@given(worlds(), TARGETS)
def test_answers_are_other_ways_in_the_order_of_their_cost(graph: nx.MultiDiGraph, target: str) -> None:
    found = Planner(graph).plans("source:s", target, k=4).plans
    tool_of = {head: tail for head, tail, key in graph.edges(keys=True) if key == "command_of"}
    tools = [{tool_of[command] for command in plan.commands} for plan in found]
    assert not any(tools[i] <= tools[j] for j in range(len(tools)) for i in range(j))
    assert [plan.cost for plan in found] == sorted(plan.cost for plan in found)
    assert all(plan.cost <= WORTH * found[0].cost + 1e-9 for plan in found)
    whole = {frozenset(tool_of[c] for c in chain) for _, chain in all_chains(graph, target)}
    repeated = any(len(set(plan.commands)) < len(plan.commands) for plan in found)
    assert repeated or {frozenset(some) for some in tools} <= whole


@given(worlds())
def test_what_can_be_reached_is_what_a_chain_leads_to(graph: nx.MultiDiGraph) -> None:
    planner = Planner(graph)
    reached = set(planner.reachable("source:s"))
    led_to = {item for item in [*FORMATS, *KINDS] if any(chain for _, chain in all_chains(graph, item))}
    assert led_to <= reached
    assert all(planner.plans("source:s", item).plans for item in reached)


def test_a_plan_names_its_path_and_what_else_is_needed(planner: Planner) -> None:
    [plan] = planner.plans("source:sra", "data_3134").plans
    assert plan.commands == tuple(f"command:{name}" for name in CHAIN)
    assert plan.path[:4] == ("source:sra", "format_3698", "command:fasterq-dump", "format_1930")
    assert plan.path[-1] == "data_3134" and Links(planner.graph).follows(plan.path)
    assert plan.needs == ((), (frozenset({"format:hisat2_index"}),), (), (), ())
    [given] = planner.plans(["source:sra", "format:hisat2_index"], "data_3134").plans
    assert not any(given.needs), "it is there"
    assert planner.plans("source:ensembl", "format_2306").plans == (
        Plan((), 0.0, (), ("source:ensembl", "format_2306")),
    )


CHAIN = ("fasterq-dump", "hisat2", "samtools sort", "stringtie", "gffcompare")


def test_data_keeps_its_meaning_on_the_way(tmp_path: Path) -> None:
    dna = PORTS["commands.tsv"].replace("format_2573=data_0863[rna,unsorted]", "format_2573=data_0863[dna,unsorted]")
    graph = kg.build_graph(kg.read_table(write_ports(tmp_path, commands=dna)))
    assert not Planner(graph).plans("source:sra", "data_3134").plans, "a sort makes no RNA of DNA"


def test_a_way_that_differs_in_the_fetching_alone_is_no_other(tmp_path: Path) -> None:
    twice = "\n".join(
        f"{name}\t{tool}\t{does}\t{standing}\tformat_3698=data:reads\tformat_1930=*"
        for name, tool, does, standing in (
            ("get", "gffcompare", "operation_2422", "common"), ("trim", "stringtie", "operation_3192", "special"),
        )
    )  # fmt: skip
    graph = kg.build_graph(kg.read_table(write_ports(tmp_path, commands=PORTS["commands.tsv"] + twice + "\n")))
    found = Planner(graph).plans("source:sra", "format_2573", k=3).plans
    assert [plan.commands for plan in found] == [("command:fasterq-dump", "command:hisat2")]


def test_where_nothing_leads_the_givers_are_named(planner: Planner) -> None:
    assert not planner.plans("source:ensembl", "format_2573").plans
    assert planner.lacking("format_2573") == [("command:hisat2", frozenset({"format_1930"}))]


def test_an_unknown_node_and_a_number_out_of_range_are_named(planner: Planner) -> None:
    refused("'format_0'", planner.plans, "format_0", "data_3134", error=kg.PathError)
    refused("'tool:samtools'", planner.plans, "source:sra", "tool:samtools", error=kg.PathError)
    refused("k must be 1", planner.plans, "source:sra", "data_3134", k=0)


def test_a_registry_s_references_and_indexes_are_companions() -> None:
    inputs = [["format_3327"], ["format_2572"], ["format_1929"], ["format_1930"]]
    ports = Links(assemble(described("call", "caller", inputs, []))).takes["command:call"]
    assert [port.need for port in ports] == ["companion", "main", "companion", "main"]


@given(st.data())
def test_what_takes_a_flow_is_found_as_by_testing_each(data: st.DataObject) -> None:
    graph = nx.MultiDiGraph(states={"rna": "assay", "dna": "assay"})
    graph.add_edge("format:d", "format_3475", "format_is_a")
    graph.add_edge("data:l", "data:k", "data_is_a")
    items = st.tuples(
        st.sets(st.sampled_from(["format:a", "format:d", "format_3475"]), max_size=2),
        st.sets(st.sampled_from(["data:k", "data:l"]), max_size=1),
    ).filter(any)
    flow = data.draw(items), data.draw(st.sampled_from([(), ("rna",), ("dna",)])), data.draw(st.sampled_from([-1, 0]))
    for number in range(data.draw(st.integers(1, 5))):
        (formats, kinds), ports = data.draw(items), data.draw(st.sampled_from([None, [0]]))
        graph.add_node(f"command:{number}", type="command", standing="common", input_states={"0": ["rna"]})
        for item in (*formats, *kinds):
            relation = "input" if item in formats else "input_data"
            graph.add_edge(item, f"command:{number}", relation, **({"ports": ports} if ports else {}))
    for node in graph:
        graph.nodes[node].setdefault("type", node.replace("_", ":").split(":")[0])
    planner = Planner(graph)
    given = replace(planner.links.flow(*flow[0], flow[1]), number=flow[2])
    taken = planner.flows.taking(planner.flows.number(given))
    found = {planner.commands[number] for number in taken.commands.tolist()}
    assert found == {c for c in planner.commands if any(fits(given, port) for port in planner.links.takes.get(c, ()))}


def _chain(*steps: tuple[str, str, str], uses: tuple[str, ...] = (), listed: tuple[str, ...] = ()) -> nx.MultiDiGraph:
    """Commands of one input and one output; those that a published toolchain uses, those that two registries list."""
    items: list[Item] = []
    for name, takes, gives in steps:
        items += described(name, name, [[takes]], [[gives]], listed=["here", "there"] if name in listed else [])
    return assemble([*items, *(Toolchain(one, one, (), (f"command:{one}",), HERE) for one in uses)])


@pytest.mark.parametrize("voice", ["uses", "listed"])
def test_without_standing_what_others_use_goes_first(voice: str) -> None:
    ways = ("a", "format_1930", "format_2572"), ("b", "format_1930", "format_2572"), ("c", "format_1930", "format_2572")
    assert Planner(_chain(*ways)).plans("format_1930", "format_2572").plans[0].commands == ("command:a",)
    told = Planner(_chain(*ways, **{voice: ("c",)}))
    assert told.plans("format_1930", "format_2572").plans[0].commands == ("command:c",)
    assert COSTS["standard"] < told.cost["command:c"] < told.cost["command:a"] == COSTS["special"]


def test_a_link_that_a_table_alone_makes_is_dear() -> None:
    ways = [("a", "format_1930", "format_3475"), ("b", "format_3475", "format_3016")]
    ways += [("y", "format_1930", "format_2572"), ("z", "format_2572", "format_3016")]
    found = Planner(_chain(*ways)).plans("format_1930", "format_3016", k=2).plans
    assert [plan.commands for plan in found] == [("command:y", "command:z"), ("command:a", "command:b")]
    assert found[1].cost - found[0].cost == VAGUE
