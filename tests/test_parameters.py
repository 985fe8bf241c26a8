"""Parameters: what is typed on a command line, and whether it fits the notebooks."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_chain import write_notebooks

from workbench.artifacts.parameters import ParameterError, assign_parameters, parse_value, read_parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("1e-3", 1e-3), (".5", 0.5), ("1_000", 1000), ("true", True), ("True", True),
        ("false", False), ("null", None), ("None", None), ("on", "on"), ("no", "no"), ("nan", "nan"), ("NaN", "NaN"),
        ('"3"', "3"), ("'a b'", "a b"), ("a: b", "a: b"), ("", ""), ("[]", []), ("[1, a, true]", [1, "a", True]),
        ('["a,b", 2]', ["a,b", 2]), ("[[1], [2]]", [[1], [2]]), ("(1, 2)", "(1, 2)"), ("{a: 1}", "{a: 1}"),
        ("007", "007"), ("{{0}}", "{{0}}"),
        ("samtools sort", "samtools sort"), ("__import__('os')", "__import__('os')"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_it_looks(text: str, value: object) -> None:
    read = parse_value(text)
    assert read == value and type(read) is type(value)


def test_a_number_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ParameterError, match="1e999"):
        parse_value("1e999")


@given(st.one_of(st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.integers() | st.text())))
def test_json_is_read_as_json(value: object) -> None:
    assert parse_value(json.dumps(value)) == value


@given(st.text())
def test_any_text_is_read_as_something(text: str) -> None:
    parse_value(text)


EXTRA = {
    "adapter": 'steps = 400\nrate = 5e-3\nmodel: str | None = None\nshares = [0.0, 0.3]\nname = "a # b"\nfast = False\n'
}


@pytest.fixture
def declared(tmp_path: Path) -> dict:
    folder = write_notebooks(tmp_path, extra=EXTRA)
    return {path.stem: read_parameters(path) for path in sorted(folder.iterdir())}


def test_values_go_to_the_notebooks_that_know_them(declared: dict) -> None:
    handed = assign_parameters({"steps": 10, "seed": 3, "rate": 1, "shares": [1], "model": "m"}, declared)
    assert handed["02_train_qlora"] == {"steps": 10, "seed": 3, "rate": 1.0, "shares": [1.0], "model": "m"}
    assert handed["01_build_kg"] == {"seed": 3}
    assert type(handed["02_train_qlora"]["rate"]) is float
    assert declared["02_train_qlora"]["name"].default == "a # b"


def test_an_unknown_name_lists_the_known_and_the_nearest(declared: dict) -> None:
    with pytest.raises(ParameterError) as caught:
        assign_parameters({"stpes": 3}, declared)
    message = str(caught.value)
    assert "'stpes'" in message and "Did you mean 'steps'?" in message
    assert "01_build_kg: run_dir, seed; 02_train_qlora: run_dir, seed, steps" in message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 0.1, r"steps must be int \(default 400\), not 0.1 \(float\)"),
        ("steps", "many", "must be int"), ("steps", True, "must be int"), ("fast", 1, "must be bool"),
        ("rate", "x", "must be float"), ("rate", None, "must be float"), ("name", 3, "quote it"),
        ("model", 3, "must be None or str"), ("shares", 0.3, "must be list"),
        ("shares", ["a"], "every item of shares must be float"),
    ],
)  # fmt: skip
def test_a_wrong_type_names_notebook_and_expectation(declared: dict, name: str, value: object, expected: str) -> None:
    with pytest.raises(ParameterError, match=rf"parameter of 02_train_qlora: .*{expected}"):
        assign_parameters({name: value}, declared)


@pytest.mark.parametrize("line", ["a, b = 1, 2", "a = len([])", "import os", "a.b = 1", "a = (", "a = {}", "a: int"])
def test_a_parameters_cell_holds_literals_only(tmp_path: Path, line: str) -> None:
    notebook = write_notebooks(tmp_path, extra={"kg": line}) / "01_build_kg.ipynb"
    with pytest.raises(ParameterError, match=r"parameters cell of 01_build_kg\.ipynb may hold only"):
        read_parameters(notebook)


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    with pytest.raises(ParameterError, match=r"a\.ipynb cannot be read as a notebook"):
        read_parameters(tmp_path / "a.ipynb")
    with pytest.raises(FileNotFoundError, match=r"b\.ipynb does not exist"):
        read_parameters(tmp_path / "b.ipynb")
