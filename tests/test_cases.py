"""Cases: elements, the dangling-edge rule, withholding, and which one a notebook follows when nobody names one. Made-up
names: each another, none a name of the graph, another at each sight, and read like any name."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from tiny import COMMANDS, NAMES, chain_case, save_tiny, tiny_reader

from workbench import models
from workbench.cases import Case, iter_cases, load_cases, mixed, save_cases, withhold
from workbench.cases.asking import telling_case
from workbench.models.prompts import encode, encode_answer
from workbench.models.reader import FIRST_ENTITY, POOL, build_tokenizer
from workbench.train.views import WORD, Names, plain, renamed


def test_elements_are_nodes_then_facts():
    case = chain_case()
    assert case.elements == case.nodes + case.facts
    assert len(set(case.nodes)) == len(case.nodes)
    assert case.toolchain == COMMANDS
    assert [(f.head, f.tail) for f in case.needed] == list(zip(case.path, case.path[1:], strict=False))


def test_keep_degrees_multiply_so_that_removing_a_node_removes_its_lines():
    case = chain_case()
    index = {e: i for i, e in enumerate(case.elements)}
    for keep in (np.random.default_rng(0).random((3, len(index))), ~np.eye(len(index), dtype=bool)):
        got = case.keep_facts(keep)
        for k, f in enumerate(case.facts):
            assert np.allclose(got[:, k], keep[:, index[f]] * keep[:, index[f.head]] * keep[:, index[f.tail]])


@settings(max_examples=60)
@given(share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_withholding_is_even_and_exact(share, seed):
    case = chain_case()
    out = withhold(case, share, rng=np.random.default_rng(seed))
    assert len(out.withheld) == int(np.floor(share * len(case.needed) + 0.5))
    assert set(out.facts) | set(out.withheld) == set(case.facts) and not set(out.facts) & set(out.withheld)
    assert out.needed == case.needed  # path order survives
    losses = [sum(c in (f.head, f.tail) for f in out.withheld) for c in case.toolchain]
    assert max(losses) - min(losses) <= 1 or min(losses) >= 1
    if share <= 0.4:  # as long as it is possible every command is still named
        assert set(case.toolchain) <= {n for f in out.facts for n in (f.head, f.tail)}


def test_facts_of_unseen_commands_are_never_withheld():
    case = chain_case()
    out = withhold(case, 1.0, rng=np.random.default_rng(0), always_shown=COMMANDS[:1])
    assert all(COMMANDS[0] not in (f.head, f.tail) for f in out.withheld)


def test_share_outside_its_range_is_an_error():
    refused(r"share .* \[0, 1\].*1\.5", withhold, chain_case(), 1.5, rng=np.random.default_rng(0))


def test_cases_survive_the_file_and_so_do_names_with_marks_that_end_a_line(tmp_path):
    case, odd = chain_case(), "a\u2028b\x85c\x0bd\re"
    other = withhold(replace(case, id="other", split="held_out"), 0.5, rng=np.random.default_rng(0))
    cases = [case, other, replace(case, names={**case.names, "format_1": odd})]
    save_cases(tmp_path / "cases.jsonl", cases)
    assert load_cases(tmp_path / "cases.jsonl") == cases
    assert Case.from_dict(json.loads(json.dumps(other.to_dict()))) == other


def test_cases_are_read_one_at_a_time_and_a_torn_line_is_named(tmp_path):
    path = tmp_path / "cases.jsonl"
    save_cases(path, (chain_case() for _ in range(3)))
    path.write_text(path.read_text()[:-20])
    cases = iter_cases(path)
    assert next(cases) == next(cases) == chain_case()
    refused(r"cases\.jsonl: line 3 is no case", next, cases)


def test_mixed_cases_are_the_same_ones_and_the_first_few_stand_for_all():
    cases = [replace(chain_case(), id=f"{length}-{i}") for length in range(5) for i in range(40)]
    some = mixed(cases)
    assert sorted(one.id for one in some) == sorted(one.id for one in cases) and some == mixed(cases)
    assert {one.id[0] for one in some[:32]} == set("01234") and mixed([]) == []


WHOLE = chain_case()
SHORT = replace(WHOLE, path=WHOLE.path[:4], target=WHOLE.path[3])
WRONG = ("source:s", COMMANDS[1])


def told(**rights: tuple[Case, bool, bool]) -> str:
    """The choice among cases by id, each with whether tuned and base have it right."""
    cases = [replace(case, id=name) for name, (case, _, _) in rights.items()]
    answers = {n: (c.path if tuned else WRONG, c.path if base else WRONG) for n, (c, tuned, base) in rights.items()}
    engine = SimpleNamespace(answers=lambda some, adapter: [answers[case.id][0 if adapter else 1] for case in some])
    return telling_case(engine, cases)


@pytest.mark.parametrize(
    ("rights", "chosen"),
    [
        ({"a": (WHOLE, True, True), "b": (SHORT, True, False), "c": (WHOLE, False, False)}, "b"),
        ({"a": (SHORT, True, False), "b": (WHOLE, True, False), "c": (WHOLE, True, False)}, "b"),
        ({"a": (SHORT, True, True), "b": (WHOLE, True, True), "c": (WHOLE, False, True)}, "b"),
        ({"a": (SHORT, False, True), "b": (WHOLE, False, False)}, "a"),
    ],
    ids=["put right", "the longest of those", "right before as well", "none right: the first"],
)
def test_the_case_that_tells_most_is_the_longest_that_tuning_put_right(rights: dict, chosen: str) -> None:
    assert told(**rights) == chosen


def chat(tmp_path):
    return models.load(str(save_tiny(tmp_path / "llama", "llama")), names=NAMES, four_bit=False)


@pytest.mark.parametrize("kind", ["reader", "chat"])
def test_made_up_names_are_read_like_any(tmp_path, kind):
    lm = tiny_reader() if kind == "reader" else chat(tmp_path)
    draw, rng, seen = Names.of(lm), np.random.default_rng(0), []
    for _ in range(80):
        case = draw.of_case(chain_case(), rng)
        new = {node: name for node, name in case.names.items() if name != NAMES[node]}
        assert case.names.keys() == NAMES.keys() and len(set(map(plain, case.names.values()))) == len(NAMES)
        assert not {plain(name) for name in new.values()} & {plain(name) for name in NAMES.values()}
        assert new.keys() == NAMES.keys() or (new and all(node.startswith("command:") for node in new))
        seen.append(frozenset(new.items()))
        answer = lm.template.answer(case, case.path)
        assert lm.template.parse(case, answer, {name: node for node, name in case.names.items()}) == case.path
        ids = encode(case, lm.template, lm.tokenizer).ids + encode_answer(case, case.path, lm.template, lm.tokenizer)
        assert lm.tokenizer.unk_token_id is None or lm.tokenizer.unk_token_id not in ids
    assert len(set(seen)) == 80 and 25 < sum(len(new) == len(NAMES) for new in seen) < 55
    assert {len(new) for new in seen} == {1, 2, 3, 4, len(NAMES)}


def test_names_have_the_shape_of_what_they_stand_for(tmp_path):
    nodes = [f"command:{i}" for i in range(99)] + ["format:x", "format_1", "source:s", "data_9"]
    names = replace(Names.of(chat(tmp_path)), kinds={}).draw(nodes, np.random.default_rng(1))
    commands = [names[f"command:{i}"] for i in range(99)]
    assert all(name.islower() for name in commands) and {name.count(" ") for name in commands} == {0, 1}
    assert all(names[node].isupper() and len(names[node]) <= 5 for node in ("format:x", "format_1"))
    assert names["source:s"].istitle() and names["data_9"].islower()


def test_half_the_names_are_made_of_words_of_the_graphs_own(tmp_path):
    lm = chat(tmp_path)
    names = ["samtools sort-x", "STAR", "sva::ComBat_seq", "3' end.pl"]
    lm.names = {f"command:{i}": name for i, name in enumerate(names)}
    own = set(WORD.findall(" ".join(lm.names.values())))
    rng = np.random.default_rng(0)
    drawn = list(Names.of(lm).draw([f"command:{i}" for i in range(40)], rng).values())
    alike = [name for name in drawn if set(WORD.findall(name)) <= own]
    assert 10 < len(alike) < 30 and {WORD.sub("", name) for name in alike} == {WORD.sub("", name) for name in names}
    kinds = {"command": ("STAR", "star")}
    folded = replace(Names.of(lm), taken=frozenset(), kinds=kinds).draw([f"command:{i}" for i in range(60)], rng)
    assert len(set(map(plain, folded.values()))) == 60, "an answer is read whatever its case"
    assert len(set(map(plain, drawn))) == 40 and not set(map(plain, drawn)) & set(map(plain, names))


def test_a_reader_without_tokens_to_spare_deals_out_its_own():
    lm = tiny_reader()
    lm.names = NAMES | {f"format:{i}": f"f{i}" for i in range(POOL - len(NAMES) - 3)}
    lm.tokenizer = build_tokenizer(lm.names.values())
    assert len(Names.of(lm).spare) == 3
    names = Names.of(lm).draw(NAMES, np.random.default_rng(0))
    ids = lm.tokenizer.convert_tokens_to_ids(list(names.values()))
    assert len(set(ids)) == len(NAMES) and min(ids) >= FIRST_ENTITY
    assert names != NAMES


def test_a_graph_under_other_names_asks_the_same(tmp_path):
    lm = chat(tmp_path)
    cases, other = renamed([chain_case()] * 2, lm, seed=1)
    assert other.model is lm.model and lm.names == NAMES and cases[0] == cases[1]
    assert cases[0].facts == chain_case().facts and other.ids[cases[0].names["command:align"]] == "command:align"
    assert not set(other.names.values()) & set(NAMES.values())
