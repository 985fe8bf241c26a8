"""The shipped table of typed ports: whole, used throughout, and walked without a break in meaning."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from functools import cache
from itertools import product
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from workbench.kg import build_graph, flow_graph
from workbench.kg.identity import plain_name
from workbench.kg.links import Links
from workbench.kg.load import load_graph
from workbench.kg.plan import Planner
from workbench.kg.port import MAIN
from workbench.kg.table import Table, default_folder, read_table
from workbench.sampler import Sampler, SamplingConfig

FOLDER = Path(str(default_folder())).parent / "biotoolkg"
SHARED = Path(os.environ.get("WORKBENCH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PUBLISHED = SHARED / "iwc" / "links.tsv"


@cache
def table() -> Table:
    return read_table(FOLDER)


@cache
def graph() -> nx.MultiDiGraph:
    return build_graph(table())


def test_it_covers_what_people_run_and_loads_by_its_name() -> None:
    assert len(table().tools) >= 450 and len(table().commands) >= 1200
    assert load_graph("biotoolkg").digest == table().digest


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


def test_random_walks_keep_their_meaning_at_every_step() -> None:
    sampler = Sampler(graph(), flow_graph(graph()), config=SamplingConfig())
    rng, links, allowed = np.random.default_rng(3), Links(graph()), set(sampler.commands)
    walks = [path for _ in range(600) if (path := sampler.walk(rng, int(rng.integers(1, 5)), allowed))][:200]
    assert len(walks) == 200
    assert not [links.first_break(path) for path in walks if not links.follows(path)]


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the links of published workflows are not at hand")
def test_published_links_are_allowed_and_random_ones_mostly_not() -> None:
    aliases = {"picardtools": "picard", "macs": "macs3", "ucscwigtobigwig": "ucsckent", "maxbin": "maxbin2"}
    aliases |= {"ucscgenomebrowserutilities": "ucsckent", "semibin": "semibin2", "galaxyimageanalysis": "scikitimage"}
    commands: defaultdict[str, list[str]] = defaultdict(list)
    for command, tool, key in graph().edges(keys=True):
        if key == "command_of":
            commands[plain_name(tool.split(":")[1])].append(command)
    aliases = {short: long for short, long in aliases.items() if long in commands}

    def name(suite: str) -> str:
        plain = plain_name(suite.removeprefix("andersen-lab_"))
        return aliases.get(plain, plain)

    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["utility"] == "0"]
    pairs = {(name(row["source"]), name(row["target"])) for row in rows}
    known = sorted(pair for pair in pairs if pair[0] != pair[1] and {*pair} <= commands.keys())
    links = Links(graph())

    def allowed(pair: tuple[str, str]) -> bool:
        return any(links.accepts(*one) for one in product(commands[pair[0]], commands[pair[1]]))

    assert len(known) >= 160 and np.mean([allowed(pair) for pair in known]) >= 0.95
    others = sorted({pair for pair in product(*map(set, zip(*known, strict=True))) if pair not in pairs})
    drawn = [others[i] for i in np.random.default_rng(0).permutation(len(others))[:300]]
    assert np.mean([allowed(pair) for pair in drawn]) <= 0.25
