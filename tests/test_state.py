"""The explorer's state: JSON and back, parameters of the notebook, a command, and what is refused. Files are whole or
absent, and JSON holds what JSON can."""

import ast
import json
import shlex
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from workbench.artifacts import runs
from workbench.artifacts.files import atomic_path, plain
from workbench.artifacts.parameters import assign_parameters, parse_value, read_parameters
from workbench.artifacts.state import CHOICES, State, StateError
from workbench.cases import Fact
from workbench.explain import TERMS, ExplainConfig, Weights

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


def test_the_notebook_knows_every_name_and_every_weight_with_the_same_default() -> None:
    weights = [(term.weight, term.default) for term in TERMS.values()]
    for name, value in [*State().parameters().items(), *weights]:
        assert KNOWN[name].default == value, name


REFUSED = [
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
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_is_no_state_is_refused_by_name(change: dict, said: str) -> None:
    refused(said, State.from_dict, {**State().to_dict(), **change}, error=StateError)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"alpha": 1e999}', "[" * 100_000])
def test_texts_that_are_no_states(text: str) -> None:
    with pytest.raises(StateError):
        State.from_json(text)


def test_whole_numbers_stand_for_floats_and_missing_names_for_defaults() -> None:
    assert State.from_dict({"alpha": 3}) == replace(State(), config=ExplainConfig(Weights(alpha=3.0)))
    assert json.loads(State().to_json())["alpha"] == 400.0


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = runs.atomic_write_text(tmp_path / "a.json", "old")
    refused(r"a\.json\.loss is nan", runs.atomic_write_json, target, {"loss": float("nan")})
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_written_files_have_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    written = runs.atomic_write_text(tmp_path / "atomic", "")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_json_takes_what_numerical_code_returns(tmp_path: Path) -> None:
    @dataclass
    class Ledger:
        rows: int
        where: Path

    value = {"a": np.float32(0.5), "b": np.arange(2), "c": (1, None), "d": Ledger(3, Path("x")), 4: np.bool_(True)}
    path = runs.atomic_write_json(tmp_path / "v.json", value)
    assert json.loads(path.read_text("utf-8")) == {
        "a": 0.5, "b": [0, 1], "c": [1, None], "d": {"rows": 3, "where": "x"}, "4": True,
    }  # fmt: skip


def test_what_has_no_place_in_json_is_named() -> None:
    refused(r"config\.names is a set", plain, {"names": {1}}, where="config", error=TypeError)
    refused("has the key True", plain, {True: 1}, where="config", error=TypeError)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_plain_keeps_what_is_plain_already(value: object) -> None:
    assert plain(value, where="value") == value
