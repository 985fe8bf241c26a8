"""What the shipped table answers to questions that practitioners have answered already."""

import importlib.resources

import pytest
from textbook import Answered, answered, any_share, commands_of, first_share, matches, never_told, questions, tool_names

from workbench.kg.build import build_graph
from workbench.kg.columns import is_ports, parse_ports
from workbench.kg.plan import Planner
from workbench.kg.table import read_table

FIRST, ANY = 0.95, 0.98  # shares of the questions
GOALS_FIRST, GOALS_ANY = 12 / 15, 13 / 15  # of those that the table was not corrected by
TOOLS = {"bwa mem": "bwa", "samtools sort": "samtools", "fastp": "fastp", "freebayes": "freebayes", "bwa aln": "bwa"}


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(build_graph(read_table(importlib.resources.files("workbench") / "data" / "biotoolkg")))


@pytest.fixture(scope="module")
def answers(planner: Planner) -> list[Answered]:
    return answered(planner, questions("textbook.tsv"))


def test_answers_are_those_of_the_textbook(answers):
    odd = [f"{one.question.id}: {one.plans}" for one in answers if not any(one.accepted)]
    first, some = first_share(answers), any_share(answers)
    said = f"first answer accepted {first:.3f}, one of three {some:.3f}; none of {odd}"
    assert first >= FIRST and some >= ANY, said


def test_nothing_is_told_that_must_never_be(planner, answers):
    told = never_told(planner, answers)
    rows = {row for row, _ in told}
    assert not rows, f"{len(rows)} rows of the never list, {len(told)} answers: {told}"


def test_answers_toward_a_goal_are_those_of_practitioners(planner):
    """Kinds of data, some above what any command gives, asked for once the table was there."""
    toward = answered(planner, questions("goals.tsv"))
    odd = [f"{one.question.id}: {one.plans}" for one in toward if one.accepted[:1] != (True,)]
    assert first_share(toward) >= GOALS_FIRST and any_share(toward) >= GOALS_ANY, odd
    assert all(planner.graph.nodes[one.question.target]["type"] == "data" for one in toward)
    assert not never_told(planner, toward)


@pytest.mark.parametrize(("file", "count"), [("textbook.tsv", 60), ("goals.tsv", 15), ("never.tsv", 40)])
def test_rows_ask_about_what_the_table_knows(planner, file, count):
    rows, tools = questions(file), tool_names(planner)
    known = set(tools) | {f"tool:{tool}" for tool in tools.values()}
    assert len({row.id for row in rows}) == len(rows) == count
    for row in rows:
        assert commands_of(row.chains) <= known, (row.id, commands_of(row.chains) - known)
        ports = parse_ports(row.start) if is_ports(row.start) else ()
        ends = {item for port in ports for item in (*port.formats, *port.kinds)} or {row.start}
        assert all(end in planner.graph for end in ends | {row.target}), row.id


@pytest.mark.parametrize(
    ("chains", "accepted", "refused"),
    [
        ("bwa mem > freebayes", "bwa mem > freebayes", "bwa mem > samtools sort > freebayes"),
        ("bwa mem > [samtools sort] > freebayes", "bwa mem > freebayes", "bwa mem > fastp > freebayes"),
        ("[fastp > bwa mem] > freebayes", "fastp > bwa mem > freebayes", "fastp > freebayes"),
        ("tool:bwa|fastp > freebayes", "bwa aln > freebayes", "samtools sort > freebayes"),
        ("fastp || bwa mem", "bwa mem", "fastp > bwa mem"),
        ("* > freebayes", "fastp > freebayes", "freebayes"),
    ],
)
def test_chains_match_as_they_are_written(chains, accepted, refused):
    assert matches(chains, accepted.split(" > "), TOOLS)
    assert not matches(chains, refused.split(" > "), TOOLS)


def test_a_stretch_is_found_anywhere_in_a_plan():
    plan = ["fastp", "bwa mem", "samtools sort", "freebayes"]
    assert matches("bwa mem > samtools sort", plan, TOOLS, within=True)
    assert not matches("bwa mem > freebayes", plan, TOOLS, within=True)
