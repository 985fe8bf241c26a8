"""Cases drawn from the shipped graph: unique answers, no leaks, the same seed the same cases."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from refusals import refused

from workbench import kg
from workbench.cases import Case, sampling, toolchain
from workbench.stats import proportion

COUNTS = {"train": 600, "held_out": 30, "held_out_sequences": 25, "held_out_tools": 12}
CONFIG = sampling.SamplingConfig(in_field=True, length_shares=(0.25, 0.4, 0.25, 0.1), seed=3, **COUNTS)
ONE = sampling.SamplingConfig(train=1, held_out=1, held_out_sequences=0, held_out_tools=0, length_shares=(1,))


@pytest.fixture(scope="module")
def graph():
    return kg.build_graph(kg.read_table())


@pytest.fixture(scope="module")
def field(graph):
    part = kg.field(graph, ["Transcriptomics", "RNA-Seq", "Mapping"])
    return part, kg.flow_graph(part)


@pytest.fixture(scope="module")
def splits(field):
    return sampling.sample_cases(*field, CONFIG)


def tool_of(part):
    return {command: tool for command, tool, relation in part.edges(keys=True) if relation == "command_of"}


def test_every_case_has_one_shortest_chain_even_for_who_knows_the_whole_graph(field, splits):
    _, flow = field
    for case in (c for cases in splits.values() for c in cases):
        assert all(flow.edges[f.head, f.tail]["relation"] == f.relation for f in case.facts)
        assert len(set(case.facts)) == len(case.facts) <= CONFIG.max_facts
        shown = nx.DiGraph([(f.head, f.tail) for f in case.facts])
        commands = {n for n in case.nodes if n.startswith("command:")}
        formats = {n for c in commands for n in (*flow.predecessors(c), *flow.successors(c))}
        for known in (shown, flow.subgraph(commands | formats | {case.source, case.target})):
            chains = {toolchain(p) for p in nx.all_shortest_paths(known, case.source, case.target)}
            assert chains == {case.toolchain}
        assert case.needed and [f.head for f in case.needed] == list(case.path[:-1])
        assert all(known.has_edge(*step) for step in pairwise(case.path))


def test_splits_do_not_leak_and_have_their_lengths(field, splits):
    part, _ = field
    assert not list(sampling.leaks(splits, tool_of(part)))
    counts = {split: sampling.split_counts(cases) for split, cases in splits.items()}
    for split in ("train", "held_out", "held_out_tools"):
        wanted = sampling.lengths(getattr(CONFIG, split), CONFIG.length_shares)
        assert [counts[split].get(f"commands_{k + 1}", 0) for k in range(len(wanted))] == wanted
        assert counts[split]["cases"] == getattr(CONFIG, split) == len(splits[split])
    mentioned = {n for c in splits["train"] for n in c.names}
    assert sampling.unseen_commands(splits) and not mentioned & set(sampling.unseen_commands(splits))


def test_held_out_sequences_are_each_their_own_and_new_in_nothing_but_the_order(splits):
    cases = splits["held_out_sequences"]
    counts = sampling.split_counts(cases)
    assert 12 <= counts["cases"] == counts["pairs"] == counts["sequences"] <= 25
    wanted = sampling.lengths(25, CONFIG.length_shares[1:])
    found = Counter(len(case.toolchain) for case in cases)
    assert not found[1] and len(+found) > 1 and all(found[k] <= most for k, most in enumerate(wanted, start=2))
    taught = {step for case in splits["train"] for step in pairwise(case.path)}
    assert taught.issuperset(step for case in cases for step in pairwise(case.path))


@pytest.mark.slow
def test_the_fields_that_are_asked_about_give_sequences_enough_and_keep_a_rich_training(graph):
    part = kg.field(graph, ["Gene transcripts", "Mapping", "Sequence assembly"])
    media = kg.load_graph("mediakg").graph
    config = sampling.SamplingConfig(train=800, held_out_tools=60, held_out_sequences=200)  # a part of what is usual
    for field, least, rich in ((part, 110, 0.6), (media, 110, 0.5)):
        asked = (replace(config, in_field=field is part, held_out_sequences=count) for count in (200, 0))
        with_all, without = (sampling.sample_cases(field, kg.flow_graph(field), one) for one in asked)
        counts = sampling.split_counts(with_all["held_out_sequences"])
        assert counts["cases"] >= least and min(counts[f"commands_{k}"] for k in (2, 3, 4, 5)) >= 5
        kept, whole = (sampling.split_counts(splits["train"])["sequences"] for splits in (with_all, without))
        assert kept > rich * whole and not list(sampling.leaks(with_all, tool_of(field)))


def test_other_held_out_cases_are_the_same_with_and_without_held_out_sequences(field, splits):
    without = sampling.sample_cases(*field, replace(CONFIG, held_out_sequences=0))
    assert without["held_out_sequences"] == [] != splits["held_out_sequences"]
    assert all(without[split] == splits[split] for split in ("held_out", "held_out_tools"))
    single = sampling.sample_cases(*field, replace(CONFIG, length_shares=(1.0,)))
    assert single["held_out_sequences"] == [] and len(single["train"]) == CONFIG.train


@st.composite
def small_graphs(draw: st.DrawFn) -> nx.MultiDiGraph:
    """One or two sources, four to six formats, three to nine commands that each read and write one or two of them."""
    formats = [f"format:{k}" for k in range(draw(st.integers(4, 6)))]
    some = st.sets(st.sampled_from(formats), min_size=1, max_size=2)
    graph = nx.MultiDiGraph()
    for number in range(draw(st.integers(1, 2))):
        graph.add_edges_from((f"source:{number}", item, "download_from") for item in draw(some))
    for number in range(draw(st.integers(3, 9))):
        command = f"command:{number}"
        graph.add_edges_from((item, command, "input") for item in draw(some))
        graph.add_edges_from((command, item, "output") for item in draw(some))
        graph.add_edge(command, f"tool:{number}", "command_of")
    for node in graph:
        graph.nodes[node].update(type=node.split(":")[0], name=node)
    return graph


def holds(whole: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole)))


def leaks_found_by_hand(splits: dict[str, list[Case]]) -> Counter:
    """How many held-out cases leak in which way, each compared with every training case."""
    found: Counter = Counter()
    for case in (*splits["held_out"], *splits["held_out_sequences"]):
        found["asks"] += any((c.source, c.target) == (case.source, case.target) for c in splits["train"])
    for case in splits["held_out_sequences"]:
        found["answered"] += any(c.toolchain == case.toolchain for c in splits["train"])
        longer = [c.toolchain for c in splits["train"] if c.toolchain != case.toolchain]
        found["contained"] += len(case.toolchain) > 1 and any(holds(chain, case.toolchain) for chain in longer)
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(graph=small_graphs(), count=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_graph_that_gave_cases_gives_them_beside_held_out_sequences_without_a_leak(graph, count, seed):
    config = replace(ONE, train=8, length_shares=(1, 1, 1), seed=seed)
    flow = kg.flow_graph(graph)
    sampler = sampling.Sampler(graph, flow, config=config)
    assume(all(walked(sampler, length) for length in (1, 2, 3)))
    try:
        sampling.sample_cases(graph, flow, config)
    except ValueError:  # so small that the one held-out pair leaves none
        assume(False)
    splits = sampling.sample_cases(graph, flow, replace(config, held_out_sequences=count))
    assert len(splits["train"]) == 8 and not +leaks_found_by_hand(splits)
    assert not list(sampling.leaks(splits, tool_of(graph)))


def walked(sampler: sampling.Sampler, length: int) -> bool:
    rng = np.random.default_rng(0)
    return any(sampler.walk(rng, length, set(sampler.commands)) for _ in range(60))


KINDS = {"asks": "asks the pair of", "answered": "has the command sequence of", "contained": "contains"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_planted_leaks_of_every_kind_are_found(splits, data):
    every = [case for cases in splits.values() for case in cases]
    some = st.lists(st.sampled_from(every), max_size=12)
    pools = {"held_out_tools": [], **{k: data.draw(some) for k in ("train", "held_out", "held_out_sequences")}}
    # the pairs of one, the answers of others: each kind of leak comes alone as well
    some_others = zip(pools["train"], data.draw(some), strict=False)
    moved = [replace(c, target=d.target, path=(*c.path[:-1], d.target)) for c, d in some_others]
    pools["train"] += moved
    told = list(sampling.leaks(pools, {}))
    by_hand = leaks_found_by_hand(pools)
    for kind, words in KINDS.items():
        assert sum(words in leak for leak in told) == by_hand[kind], kind


def test_a_tool_that_is_known_is_a_leak(field, splits):
    known_tool = {**splits, "held_out_tools": [splits["train"][0]]}
    assert any("needs no tool that is new" in leak for leak in sampling.leaks(known_tool, tool_of(field[0])))


@given(st.lists(st.integers(0, 3), max_size=6).map(lambda numbers: tuple(map(str, numbers))))
def test_stretches_are_all_parts_of_two_or_more_in_a_row(chain):
    parts = {chain[i : i + n] for n in range(2, len(chain) + 1) for i in range(len(chain) - n + 1)}
    assert sampling.stretches(chain) == parts


def test_a_sequence_is_seen_where_a_longer_one_contains_it(splits):
    chains = {case.toolchain for case in splits["train"]}
    known = set().union(*map(sampling.stretches, chains))
    for case in (*splits["held_out"], *splits["held_out_sequences"]):
        seen = any(holds(chain, case.toolchain) for chain in chains)
        expected = "one command" if len(case.toolchain) == 1 else f"sequence {'seen' if seen else 'unseen'}"
        assert sampling.familiarity(case, known) == expected


def test_the_same_seed_gives_the_same_cases(field, splits):
    assert sampling.sample_cases(*field, CONFIG) == splits
    few, other = (sampling.sample_cases(*field, replace(CONFIG, train=20, seed=seed))["train"] for seed in (3, 4))
    assert few != other


def test_reserved_pairs_are_not_asked_in_training(field, splits):
    first = splits["train"][0]
    again = sampling.sample_cases(*field, CONFIG, reserved=[(first.source, first.target)])["train"]
    assert (first.source, first.target) not in {(c.source, c.target) for c in again}


def star(**standing: str) -> nx.MultiDiGraph:
    """Commands of these standings that each make a format of their own of what the one source gives."""
    world = nx.MultiDiGraph([("source:s", "format:a", "download_from")])
    for name, how in standing.items():
        world.add_edge("format:a", f"command:{name}", "input")
        world.add_edge(f"command:{name}", f"format:{name}", "output")
        world.add_edge(f"command:{name}", f"tool:{name}", "command_of")
        world.nodes[f"command:{name}"]["standing"] = how
    for node in world:
        world.nodes[node].update(type=node.split(":")[0], name=node)
    return world


@pytest.mark.parametrize(("in_field", "low", "high"), [(True, 0.75, 1.0), (False, 0.35, 0.65)])
def test_over_a_whole_graph_a_lot_decides_whether_the_commonest_pair_is_held_out(in_field, low, high):
    world = star(common="standard", rare="special", seldom="special", scarce="special")
    config = replace(ONE, in_field=in_field)
    drawn = [sampling.sample_cases(world, kg.flow_graph(world), replace(config, seed=seed)) for seed in range(120)]
    assert not [leak for splits in drawn for leak in sampling.leaks(splits, tool_of(world))]
    found = proportion(np.array([splits["held_out"][0].target == "format:common" for splits in drawn]))
    assert low < found.low <= found.high < high, found


def test_a_graph_of_two_pairs_gives_its_cases_whatever_the_lots():
    world = star(one="standard", other="standard")
    for seed in range(8):  # by lot neither pair may be held out in a quarter of them
        splits = sampling.sample_cases(world, kg.flow_graph(world), replace(ONE, train=3, seed=seed))
        assert [len(splits[name]) for name in ("train", "held_out")] == [3, 1]
        assert not list(sampling.leaks(splits, tool_of(world)))


def test_shortest_chains_against_networkx(field):
    part, flow = field
    sampler = sampling.Sampler(part, flow, config=CONFIG)
    rng = np.random.default_rng(0)
    for _ in range(60):
        commands = {sampler.commands[i] for i in rng.integers(len(sampler.commands), size=14)}
        source = sampler.sources[rng.integers(len(sampler.sources))]
        formats = {n for c in commands for n in (*sampler.reads[c], *sampler.writes[c])}
        known = flow.subgraph(commands | formats | {source})
        for target in sorted(formats):
            try:
                expected = {toolchain(p) for p in nx.all_shortest_paths(known, source, target)}
            except nx.NetworkXNoPath:
                expected = set()
            assert sampler.shortest_chains(source, target, commands) == expected


def test_the_showcase_is_a_case(graph):
    flow, chain = kg.flow_graph(graph), kg.showcase(graph)[-1]
    case = sampling.showcase_case(graph, flow, chain, CONFIG)
    assert case.path == tuple(chain) and len(case.facts) > len(case.needed)
    again = sampling.with_order(case, np.random.default_rng(0))
    assert set(again.facts) == set(case.facts) and again.facts != case.facts


def test_impossible_wishes_are_named(field):
    config = replace(ONE, train=10, length_shares=(0,) * 30 + (1,))
    refused(r"gives only \d+ of \d+ held_out cases", sampling.sample_cases, *field, config)
    wrong = {"train": 0, "held_out_sequences": -1, "tool_share": 1.0, "length_shares": (), "max_facts": 1}
    for name, value in wrong.items():
        refused(name, sampling.SamplingConfig, **{name: value})
