"""Cases: elements, the dangling-edge rule, withholding, and which one a notebook follows when nobody names one."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import COMMANDS, chain_case

from workbench.cases import Case, iter_cases, load_cases, mixed, save_cases, withhold
from workbench.cases.asking import telling_case


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


@settings(max_examples=60, deadline=None)
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
    with pytest.raises(ValueError, match=r"share .* \[0, 1\].*1\.5"):
        withhold(chain_case(), 1.5, rng=np.random.default_rng(0))


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
    with pytest.raises(ValueError, match=r"cases\.jsonl: line 3 is no case"):
        next(cases)


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
