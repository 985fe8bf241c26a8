"""Questions toward a goal and for a missing step: drawn, asked, parsed, judged and explained as chains are. What the
shipped table answers to questions that practitioners have answered already."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from dosed_models import shipped
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from test_sampling import holds, tool_of
from textbook import Answered, answered, any_share, commands_of, first_share, matches, never_told, questions, tool_names
from tiny import NAMES, chain_case, save_tiny
from transformers import AutoTokenizer
from typed_worlds import KINDS, all_chains, worlds

from workbench import kg
from workbench.cases import CHAIN, GOAL, QUESTIONS, STEP, Case, toolchain, withhold
from workbench.cases.sampler import chains_by_kind
from workbench.cases.sampling import SamplingConfig, familiarity, leaks, sample_cases, stretches, unseen_commands
from workbench.explain import CERTIFIED, ExplainConfig, without
from workbench.explain.session import Session
from workbench.figures.case_graph import case_graph
from workbench.game import Engine
from workbench.hands.cli import main
from workbench.kg.columns import MAIN, is_ports, parse_ports
from workbench.kg.links import Flow, Links, fits, lasting
from workbench.kg.plan import Planner
from workbench.models.prompts import ChatTemplate, ReaderTemplate, encode_answer, text
from workbench.models.reader import build_tokenizer

CONFIG = SamplingConfig(
    in_field=True,
    train=150, held_out=12, held_out_sequences=24, held_out_tools=6, length_shares=(0.25, 0.45, 0.3), seed=3,
    questions=QUESTIONS,
)  # fmt: skip


@pytest.fixture(scope="module")
def field():
    part = kg.field(kg.build_graph(kg.read_table()), ["Transcriptomics", "RNA-Seq", "Mapping"])
    return part, kg.flow_graph(part), Links(part)


@pytest.fixture(scope="module")
def splits(field):
    return sample_cases(*field[:2], CONFIG)


def made(links: Links, flows: list[Flow], command: str) -> list[Flow]:
    """What a command gives of flows, whatever their formats."""
    mains = [port for port in links.takes.get(command, ()) if port.need == MAIN]
    taken = [flow for flow in flows if any(fits(flow, port) for port in mains)]
    return [links.carry(f, out) if out.carries else lasting(f, out) for f in taken for out in links.gives[command]]


def leading_by_kind(links: Links, case: Case, commands: set[str]) -> set[tuple[str, ...]]:
    """Every chain of no more commands than the answer has whose last output is of the wanted kind: by trying all."""
    found = set()
    for length in range(len(case.toolchain) + 1):
        for chain in permutations(sorted(commands), length):
            flows = list(links.gives[case.source])
            for command in chain:
                flows = made(links, flows, command) if flows else []
            if any(case.target in flow.above_kinds for flow in flows):
                found.add(chain)
    return found


def test_every_kind_is_drawn_in_every_split_with_a_single_answer(field, splits):
    _, flow, links = field
    for cases in splits.values():
        assert {case.kind for case in cases} == set(QUESTIONS)
        for case in cases:
            commands = {n for n in case.nodes if n.startswith("command:")}
            assert links.follows(case.whole or case.path) and len(case.facts) <= CONFIG.max_facts
            assert [f.head for f in case.needed] == list(case.path[:-1])
            if case.kind == GOAL:
                assert flow.nodes[case.target]["type"] == "data" and not case.whole
                assert leading_by_kind(links, case, commands) == {case.toolchain}
            if case.kind == STEP:
                into, command, out = case.path
                assert [c for c in sorted(commands) if flow.has_edge(into, c) and flow.has_edge(c, out)] == [command]
                assert holds(case.whole, case.path) and case.toolchain == (command,) and len(case.sequence) > 1
                stated = {(f.head, f.tail) for f in case.facts}
                assert stated.issuperset(zip(case.whole, case.whole[1:], strict=False))
            assert Case.from_dict(case.to_dict()) == case


def test_splits_keep_apart_what_the_questions_say_whatever_their_kind(field, splits):
    part = field[0]
    assert not list(leaks(splits, tool_of(part)))
    train = splits["train"]
    known = set().union(*(stretches(toolchain(c.whole or c.path)) for c in train))
    ends = {(chain[0], chain[-1]) for chain in (c.whole or c.path for c in train)}
    for case in (case for split, cases in splits.items() if split != "train" for case in cases):
        chain = case.whole or case.path
        assert (chain[0], chain[-1]) not in ends
    for case in splits["held_out_sequences"]:
        assert toolchain(case.whole or case.path) not in known and familiarity(case, known) == "sequence unseen"
    new = set(unseen_commands(splits))
    assert all(new & set(case.toolchain) for case in splits["held_out_tools"])
    step = next(case for case in splits["held_out_sequences"] if case.kind == STEP)
    planted = replace(step, split="train", kind=CHAIN, path=step.whole, whole=(), target=step.whole[-1])
    assert len(list(leaks({**splits, "train": [planted]}, tool_of(part)))) >= 2, "its pair and its sequence"


def test_chains_alone_are_drawn_by_themselves_and_written_as_before(field, splits):
    assert SamplingConfig().questions == (CHAIN,)
    case = next(case for case in splits["train"] if case.kind == CHAIN)
    assert case.to_dict().keys() == {"id", "source", "target", "facts", "path", "names", "withheld", "split"}
    refused("one of chain, goal, step, not 'why'", SamplingConfig, questions=("why",))
    refused("kind must be one of", Case.from_dict, {**case.to_dict(), "kind": "why"})


@settings(deadline=None, max_examples=80)
@given(worlds(), st.sampled_from(KINDS))
def test_shortest_chains_by_kind_are_those_of_trying_all(graph, goal):
    links = Links(graph)
    every = [chain for _, chain in all_chains(graph, goal)]
    shortest = {chain for chain in every if len(chain) == min(map(len, every))}
    commands = {node for node in graph if node.startswith("command:")}
    found = chains_by_kind(links.gives["source:s"], goal, commands, lambda f, c: tuple(links.after(f, None, c, None)))
    assert found == shortest


def asked() -> list[Case]:
    """The tiny case's chain, the same toward a goal, and its second command missing."""
    case = chain_case()
    step = replace(case, id="step", kind=STEP, source=case.path[3], target=case.path[5], path=case.path[3:6])
    return [case, replace(case, id="goal", kind=GOAL), replace(step, whole=case.path)]


def test_each_kind_is_one_sentence_and_its_answer_is_parsed_back(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny(tmp_path / "llama", "llama"))
    sentences = [
        "Question: which chain leads from SRA to BAM?",
        "Question: which chain makes data of the kind BAM from SRA?",
        "Question: which chain of one command leads from reads to SAM in place of ? in "
        "SRA -> archive -> fetch -> reads -> ? -> SAM -> sort it -> BAM?",
    ]
    ids = {name: node for node, name in NAMES.items()}
    for template, coder in ((ReaderTemplate(), build_tokenizer(NAMES.values())), (ChatTemplate(tokenizer), tokenizer)):
        for case, sentence in zip(asked(), sentences, strict=True):
            lines = text(case, template).splitlines()
            shown = [segment.text for segment in template.segments(case) if segment.fact >= 0]
            assert len(shown) == len(case.facts) and all(line.count("\n") == 1 for line in shown)
            if isinstance(template, ChatTemplate):
                assert sum(line.endswith(sentence) for line in lines) == 2
            said = coder.decode(encode_answer(case, case.path, template, coder)[:-1])
            assert template.parse(case, said, ids) == case.path
    step = text(asked()[2], ReaderTemplate())
    assert step.startswith("<s> to SAM from reads :\nSRA archive fetch reads : SAM sort_it BAM\n")
    assert step.endswith("? to SAM from reads")


def test_questions_that_differ_in_their_kind_alone_are_different():
    chain, goal, step = asked()
    other = replace(step, whole=step.whole[:-2])
    assert len({case.question for case in (chain, goal, step, other)}) == 4
    assert chain.question == (chain.source, chain.target)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_certified_search_masks_and_attention_answer_each_kind(kind):
    lm = shipped()
    case = asked()[QUESTIONS.index(kind)]
    engine = Engine(lm)
    session = Session(engine, [case], config=ExplainConfig(paper_steps=3, loop_steps=3))
    full = toolchain(engine.answers([case])[0])
    [found] = session.explanations(CERTIFIED, with_base=True)
    assert found.flipped and found.certificate["certified"] and full == toolchain(found.toolchains["tuned_full"])
    assert toolchain(engine.answers([without(case, found.removed)])[0]) != full
    for member in found.removed:  # put back, it no longer flips
        fewer = without(case, [one for one in found.removed if one != member])
        assert toolchain(engine.answers([fewer])[0]) == full
    for method in ("paper", "in_loop", "attention_highest"):
        [other] = session.explanations(method, with_base=False)
        assert set(other.removed) <= set(case.elements) and toolchain(other.toolchains["tuned_full"]) == full
    assert case_graph(case, title=kind).alt.startswith(f"{kind}: 9 facts")


def test_of_a_missing_step_only_its_own_facts_are_withheld():
    step = asked()[2]
    for share in (0.3, 0.6):
        (gone,) = withhold(step, share, rng=np.random.default_rng(0)).withheld
        assert gone in step.needed and len(step.needed) == 2
    assert len(withhold(step, 1.0, rng=np.random.default_rng(0)).withheld) == 2


def test_kg_ask_answers_toward_a_goal(capsys):
    ask = ["kg", "ask", "biotoolkg", "--from", "FASTQ"]
    told = []
    for wanted in (["--goal", "differential expression"], ["--to", "data:differential_expression"]):
        assert main([*ask, *wanted, "--k", "1"]) == 0
        told.append(capsys.readouterr().out)
    said, _, answers = told[0].partition("\n")
    assert "is taken for 'Differential expression result'" in said
    assert answers == told[1] and "-> Differential expression result" in told[0]
    for goal, problem in {
        "variants": "'variants' is in 4 names, say which: Small variants (data:small_variants)",
        "no such kind": "'no such kind' is in no name",
        "format_2572": "takes a kind of data",
    }.items():
        assert main([*ask, "--goal", goal]) == 2
        assert problem in capsys.readouterr().err
    refused("2", main, [*ask, "--to", "VCF", "--goal", "variants"], error=SystemExit)


FIRST, ANY = 0.95, 0.98  # shares of the questions
GOALS_FIRST, GOALS_ANY = 12 / 15, 13 / 15  # of those that the table was not corrected by
TOOLS = {"bwa mem": "bwa", "samtools sort": "samtools", "fastp": "fastp", "freebayes": "freebayes", "bwa aln": "bwa"}


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(kg.build_graph(kg.read_table()))


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


MATCHES = [
    ("bwa mem > freebayes", "bwa mem > freebayes", "bwa mem > samtools sort > freebayes"),
    ("bwa mem > [samtools sort] > freebayes", "bwa mem > freebayes", "bwa mem > fastp > freebayes"),
    ("[fastp > bwa mem] > freebayes", "fastp > bwa mem > freebayes", "fastp > freebayes"),
    ("tool:bwa|fastp > freebayes", "bwa aln > freebayes", "samtools sort > freebayes"),
    ("fastp || bwa mem", "bwa mem", "fastp > bwa mem"),
    ("* > freebayes", "fastp > freebayes", "freebayes"),
]


@pytest.mark.parametrize(("chains", "accepted", "refused"), MATCHES)
def test_chains_match_as_they_are_written(chains, accepted, refused):
    assert matches(chains, accepted.split(" > "), TOOLS)
    assert not matches(chains, refused.split(" > "), TOOLS)


def test_a_stretch_is_found_anywhere_in_a_plan():
    plan = ["fastp", "bwa mem", "samtools sort", "freebayes"]
    assert matches("bwa mem > samtools sort", plan, TOOLS, within=True)
    assert not matches("bwa mem > freebayes", plan, TOOLS, within=True)
