"""Cases drawn from the shipped graph: unique answers, no leaks, the same seed the same cases."""

from collections import Counter
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest

from workbench import kg
from workbench.cases import toolchain
from workbench.sampling import (
    Sampler,
    SamplingConfig,
    leaks,
    lengths,
    sample_cases,
    showcase_case,
    unseen_commands,
    with_order,
)

CONFIG = SamplingConfig(train=120, held_out=30, held_out_tools=12, seed=3)


@pytest.fixture(scope="module")
def field():
    graph = kg.build_graph(kg.read_table())
    part = kg.focus(graph, kg.tools_with_topic(graph, ["Transcriptomics", "RNA-Seq", "Mapping"]))
    return part, kg.flow_graph(part)


@pytest.fixture(scope="module")
def splits(field):
    return sample_cases(*field, CONFIG)


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
    assert not list(leaks(splits, tool_of(part)))
    assert {s: len(c) for s, c in splits.items()} == {"train": 120, "held_out": 30, "held_out_tools": 12}
    for split, cases in splits.items():
        wanted = lengths(getattr(CONFIG, split), CONFIG.length_shares)
        found = Counter(len(c.toolchain) for c in cases)
        assert [found[k + 1] for k in range(len(wanted))] == wanted
    mentioned = {n for c in splits["train"] for n in c.names}
    assert unseen_commands(splits) and not mentioned & set(unseen_commands(splits))


def test_the_leak_check_finds_planted_leaks(field, splits):
    part, _ = field
    asked_again = {**splits, "held_out": [*splits["held_out"], splits["train"][0]]}
    assert any("asks the pair" in leak for leak in leaks(asked_again, tool_of(part)))
    known_tool = {**splits, "held_out_tools": [splits["train"][0]]}
    assert any("needs no tool that is new" in leak for leak in leaks(known_tool, tool_of(part)))


def test_the_same_seed_gives_the_same_cases(field, splits):
    assert sample_cases(*field, CONFIG) == splits
    other = sample_cases(*field, SamplingConfig(train=120, held_out=30, held_out_tools=12, seed=4))
    assert other["train"] != splits["train"]


def test_reserved_pairs_are_not_asked_in_training(field):
    part, flow = field
    first = sample_cases(part, flow, CONFIG)["train"]
    pair = (first[0].source, first[0].target)
    again = sample_cases(part, flow, CONFIG, reserved=[pair])["train"]
    assert pair not in {(c.source, c.target) for c in again}


def test_shortest_chains_against_networkx(field):
    part, flow = field
    sampler = Sampler(part, flow, config=CONFIG)
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


def test_the_showcase_is_a_case(field):
    graph = kg.build_graph(kg.read_table())
    flow = kg.flow_graph(graph)
    chain = kg.showcase(graph)[-1]
    case = showcase_case(graph, flow, chain, CONFIG)
    assert case.path == tuple(chain) and len(case.facts) > len(case.needed)
    again = with_order(case, np.random.default_rng(0))
    assert set(again.facts) == set(case.facts) and again.facts != case.facts


def test_impossible_wishes_are_named(field):
    with pytest.raises(ValueError, match=r"gives only \d+ of \d+ held_out cases"):
        sample_cases(*field, SamplingConfig(train=10, held_out=1, held_out_tools=0, length_shares=(0,) * 30 + (1,)))
    for wrong in ({"train": 0}, {"tool_share": 1.0}, {"length_shares": ()}, {"max_facts": 1}):
        name = next(iter(wrong))
        with pytest.raises(ValueError, match=name):
            SamplingConfig(**wrong)
