"""The explorer's state: JSON and back, parameters of the notebook, a command, and what is refused."""

import ast
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.artifacts.parameters import assign_parameters, parse_value, read_parameters
from workbench.artifacts.state import CHOICES, State, StateError
from workbench.cases import Fact
from workbench.explain import ExplainConfig, Weights

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "03_explain_masks.ipynb"

KNOWN = read_parameters(NOTEBOOK)

ids = st.text(max_size=12)
elements = st.one_of(ids, st.builds(Fact, ids, ids, ids))
positive = st.floats(1e-6, 1e6)
states = st.builds(
    State,
    case=ids,
    question=st.one_of(st.just(()), st.tuples(ids, ids)),
    method=st.sampled_from(CHOICES),
    config=st.builds(
        ExplainConfig,
        weights=st.builds(Weights, *([st.floats(0, 1e6)] * 7), tau=positive),
        paper_steps=st.integers(1, 999),
        threshold=st.floats(0, 1),
        loop_learning_rate=positive,
    ),
    seed=st.integers(0, 99),
    withheld=st.floats(0, 1),
    removed=st.one_of(st.none(), st.lists(elements, max_size=3).map(tuple)),
    tool=st.one_of(st.just(()), st.tuples(ids, ids)),
)


@given(states)
def test_json_a_cell_and_a_command_give_the_state_again(state: State) -> None:
    assert State.from_json(state.to_json()) == state
    assert state.to_json().isascii()
    lines = dict(line.split(" = ", 1) for line in state.cell().split("\n"))
    assert {name: ast.literal_eval(value) for name, value in lines.items()} == state.parameters()
    words = shlex.split(state.command("some run"))
    where = words.index("--run-dir")
    assert words[where - 1] == "run" and words[where + 1] == str(Path("some run").absolute())
    given = {words[i + 1]: parse_value(words[i + 2]) for i in range(where + 2, len(words), 3) if words[i] == "-p"}
    handed = assign_parameters(given, {"03": KNOWN})["03"]
    assert {**State().parameters(), **handed} == state.parameters()


def test_the_notebook_knows_every_name_with_the_same_default() -> None:
    for name, value in State().parameters().items():
        assert KNOWN[name].default == value, name


def test_saved_and_loaded(tmp_path: Path) -> None:
    state = State("some", removed=("a", Fact("a", "b", "c")), config=ExplainConfig(Weights(alpha=0.0)))
    assert State.load(state.save(tmp_path / "state.json")) == state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unheard": 1}, "no part of a state"),
        ({"alpha": -1.0}, "alpha must be"),
        ({"alpha": "400"}, "alpha must be a finite number, not '400'"),
        ({"alpha": float("nan")}, "alpha must be a finite number"),
        ({"explored_case": 3}, "explored_case must be a text"),
        ({"paper_steps": 0}, "paper_steps must be 1 or more"),
        ({"paper_steps": True}, "paper_steps must be a whole number"),
        ({"explored_method": "__import__"}, "method must be one of"),
        ({"by_hand": [["a", "b"]]}, "by_hand holds node ids"),
        ({"by_hand": "a"}, "by_hand must be a list"),
        ({"question": ["one"]}, "question must name two"),
        ({"question": [1, 2]}, "list of texts"),
        ({"withheld": 2.0}, "withheld must lie"),
        ({"format": "another 7"}, "format must be"),
    ],
)
def test_what_is_no_state_is_refused_by_name(change: dict, said: str) -> None:
    with pytest.raises(StateError, match=said):
        State.from_dict({**State().to_dict(), **change})


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"alpha": 1e999}', "[" * 100_000])
def test_texts_that_are_no_states(text: str) -> None:
    with pytest.raises(StateError):
        State.from_json(text)


def test_whole_numbers_stand_for_floats_and_missing_names_for_defaults() -> None:
    assert State.from_dict({"alpha": 3}) == replace(State(), config=ExplainConfig(Weights(alpha=3.0)))
    assert json.loads(State().to_json())["alpha"] == 400.0
