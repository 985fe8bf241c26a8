"""Parameters: what is typed on a command line, and whether it fits the notebooks. Defaults that are others for a model:
they fit the notebooks, and go behind what a user gives."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from tiny_chain import write_notebooks

from workbench.artifacts.checks import Rule
from workbench.artifacts.parameters import PRESETS, ParameterError, assign_parameters, parse_value, read_parameters
from workbench.artifacts.steps import declared_parameters, find_notebooks, plan
from workbench.cases.sampling import SamplingConfig
from workbench.explain import ExplainConfig, Weights
from workbench.train import TrainConfig

READ = [
    ("3", 3), ("-3", -3), ("1e-3", 1e-3), (".5", 0.5), ("1_000", 1000), ("true", True), ("True", True),
    ("false", False), ("null", None), ("None", None), ("on", "on"), ("no", "no"), ("nan", "nan"), ("NaN", "NaN"),
    ('"3"', "3"), ("'a b'", "a b"), ("a: b", "a: b"), ("", ""), ("[]", []), ("[1, a, true]", [1, "a", True]),
    ('["a,b", 2]', ["a,b", 2]), ("[[1], [2]]", [[1], [2]]), ("(1, 2)", "(1, 2)"), ("{a: 1}", "{a: 1}"),
    ("007", "007"), ("{{0}}", "{{0}}"),
    ("samtools sort", "samtools sort"), ("__import__('os')", "__import__('os')"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), READ)
def test_a_value_is_read_as_it_looks(text: str, value: object) -> None:
    read = parse_value(text)
    assert read == value and type(read) is type(value)


def test_a_number_beyond_all_bounds_is_refused() -> None:
    refused("1e999", parse_value, "1e999", error=ParameterError)


@given(st.one_of(st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.integers() | st.text())), st.text())
def test_json_is_read_as_json_and_any_text_as_something(value: object, text: str) -> None:
    assert parse_value(json.dumps(value)) == value
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


WRONG = [
    ("steps", 0.1, r"steps must be int \(default 400\), not 0.1 \(float\)"),
    ("steps", "many", "must be int"), ("steps", True, "must be int"), ("fast", 1, "must be bool"),
    ("rate", "x", "must be float"), ("rate", None, "must be float"), ("name", 3, "quote it"),
    ("model", 3, "must be None or str"), ("shares", 0.3, "must be list"),
    ("shares", ["a"], "every item of shares must be float"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_wrong_type_names_notebook_and_expectation(declared: dict, name: str, value: object, expected: str) -> None:
    with pytest.raises(ParameterError, match=rf"parameter of 02_train_qlora: .*{expected}"):
        assign_parameters({name: value}, declared)


@pytest.mark.parametrize("line", ["a, b = 1, 2", "a = len([])", "import os", "a.b = 1", "a = (", "a = {}", "a: int"])
def test_a_parameters_cell_holds_literals_only(tmp_path: Path, line: str) -> None:
    notebook = write_notebooks(tmp_path, extra={"kg": line}) / "01_build_kg.ipynb"
    refused(r"parameters cell of 01_build_kg\.ipynb may hold only", read_parameters, notebook, error=ParameterError)


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    refused(r"a\.ipynb cannot be read as a notebook", read_parameters, tmp_path / "a.ipynb", error=ParameterError)
    refused(r"b\.ipynb does not exist", read_parameters, tmp_path / "b.ipynb", error=FileNotFoundError)


RULES = "0 <= x <= 1;x >= 3;0 ≤ x ≤ 1;x ≥ 3;0 < x;-2 < x <= 1e6;x in [0, 2];x > 0 and x < 10;5 > x >= -1.5".split(";")


def python(rule: Rule) -> str:
    return rule.text.replace("≤", "<=").replace("≥", ">=")


@pytest.mark.parametrize("text", RULES)
def test_a_rule_holds_where_the_expression_it_is_written_as_does(text: str) -> None:
    rule = Rule(text, "x")
    for value in [k / 4 for k in range(-20, 60)] + [0, 1, 2, 3, 10**30]:
        assert rule.holds(value) == eval(python(rule), {"x": value})
    each = Rule(text.replace("x", "each"), "x")
    for values in ([], [1], [1, 7, -9], [2, 2.0]):
        assert each.holds(values) == all(rule.holds(value) for value in values)


@pytest.mark.parametrize(
    "text",
    ["y > 0", "x > y", "x > 10^6", "x == 1", "len(y) < 3",
     "__import__('os').system('touch x') > 0", "x > [i for i in x]", "(" * 500 + "x < 1",
     "x > 0 or x < 1", "not x > 0", "1 < 2", "x < x", "x <", "x.real > 0", "x > 0 if x else x > 1"],
)  # fmt: skip
def test_what_is_more_than_a_rule_is_refused_and_not_run(tmp_path: Path, text: str) -> None:
    notebook = write_notebooks(tmp_path, extra={"kg": f"x = 3  # a number; {text}\n"}) / "01_build_kg.ipynb"
    refused("the rule of x must compare x, each or len", read_parameters, notebook, error=ParameterError)
    assert [path.name for path in tmp_path.iterdir() if "ipynb" not in path.name] == []


RULED = """
tau = 0.15  # temperature; cold is sure; 0 < tau <= 100
shares = [0.1]  # each between 0 and 1; 0 < each <= 1 and len(shares) > 0
way: str | None = None  # how; way in ["a", "b"]
plain = 3  # a comment; None: nothing is asked
"""


BEYOND = [
    ("tau", -1, "tau must keep to `0 < tau <= 100`, and -1 does not; nothing was changed"),
    ("tau", 10**26, f"and {10**26} does not"), ("tau", 10**400, "finite"), ("tau", float("nan"), "finite"),
    ("tau", float("inf"), "finite"), ("shares", [0.5, 2], "0 < each <= 1"), ("shares", [], "len"),
    ("shares", [0.1, float("nan")], "every item of shares must be a finite number"), ("way", "c", "way in"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), BEYOND)
def test_a_value_out_of_bounds_is_refused_with_the_rule(tmp_path, name, value, expected):
    notebook = write_notebooks(tmp_path, extra={"kg": RULED}) / "01_build_kg.ipynb"
    known = {"01_build_kg": read_parameters(notebook)}
    assert assign_parameters({"tau": 2, "shares": [1], "way": None, "plain": -5}, known)["01_build_kg"]["tau"] == 2.0
    refused(re.escape(expected), assign_parameters, {name: value}, known, error=ParameterError)


def test_a_default_keeps_to_its_own_rule(tmp_path: Path) -> None:
    notebook = write_notebooks(tmp_path, extra={"kg": "tau = 0.0  # temperature; tau > 0\n"}) / "01_build_kg.ipynb"
    refused("tau must keep to `tau > 0`", read_parameters, notebook, error=ParameterError)


NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
DECLARED = [(path.stem, p) for path in sorted(NOTEBOOKS.rglob("*.ipynb")) for p in read_parameters(path).values()]
TAKES: dict[tuple[str, str], Callable[[Any], object]] = {
    **{("02_train_qlora", name): lambda value, name=name: TrainConfig(**{name: value})
       for name in ("rank", "steps", "batch", "learning_rate", "replay", "checkpoint_every")},
    ("02_train_qlora", "lora_alpha"): lambda value: TrainConfig(alpha=value),
    **{("02_train_qlora", f"{name}_cases"): lambda value, plural=plural: SamplingConfig(**{plural: value})
       for name, plural in (("train", "train"), ("held_out", "held_out"), ("held_out_tool", "held_out_tools"))},
    **{("03_explain_masks", name): lambda value, name=name: ExplainConfig(**{name: value})
       for name in ("threshold", "paper_steps", "paper_learning_rate", "loop_steps", "loop_learning_rate",
                    "certified_budget", "max_new_tokens")},
    **{("03_explain_masks", name): lambda value, name=name: Weights(**{name: value})
       for name in ("lambda_v", "lambda_e", "alpha", "beta", "gamma", "delta", "epsilon", "tau")},
}  # fmt: skip
"""Notebook and parameter -> the configuration that takes its value and checks it too."""


def numeric(parameter) -> bool:
    items = parameter.default if isinstance(parameter.default, list) else [parameter.default]
    return any(type(item) in (int, float) for item in items) or bool(parameter.kinds & {"int", "float"})


def test_every_number_of_every_notebook_has_bounds() -> None:
    without = [f"{notebook}: {p.name}" for notebook, p in DECLARED if numeric(p) and p.rule is None]
    assert without == [] and sum(numeric(p) for _, p in DECLARED) > 40
    for _, p in DECLARED:
        if numeric(p):
            for value in (10**26, -(10**26)):
                refused(p.name, p.fit, [value] if isinstance(p.default, list) else value, error=ParameterError)


@pytest.mark.parametrize(("notebook", "name"), TAKES)
def test_the_bounds_of_a_notebook_are_those_of_what_takes_its_values(notebook: str, name: str) -> None:
    """On both sides of every bound: what the rule lets pass is taken, what lies below is refused there too."""
    parameter = next(p for where, p in DECLARED if (where, p.name) == (notebook, name))
    assert parameter.rule is not None
    bounds = [node.value for node in ast.walk(ast.parse(python(parameter.rule))) if isinstance(node, ast.Constant)]
    step = 1 if type(parameter.default) is int else 1e-9
    for value in [bound + way * step for bound in bounds for way in (-1, 0, 1)]:
        if parameter.rule.holds(value):
            TAKES[notebook, name](value)
        elif value <= min(bounds):
            refused(r"must|weight", TAKES[notebook, name], value)


def effective(tmp_path: Path, **given: object) -> dict[str, object]:
    """Name -> value in the notebook that knows it."""
    steps = plan(find_notebooks(), tmp_path, given)
    return {name: value for step in steps for name, value in step.effective.items()}


@pytest.mark.parametrize("model", PRESETS)
def test_a_preset_reaches_every_notebook_and_counts_as_given(model: str, tmp_path: Path) -> None:
    known = {name for names in declared_parameters(find_notebooks()).values() for name in names}
    assert set(PRESETS[model]) <= known, "each is the name of a parameter"
    steps = plan(find_notebooks(), tmp_path, {"model": model})
    for name, value in PRESETS[model].items():
        takers = [step for step in steps if name in step.effective]
        assert takers and all(step.given[name] == step.effective[name] == value for step in takers)


@pytest.mark.parametrize("model", PRESETS)
def test_what_a_user_gives_goes_before_the_preset_and_other_models_have_none(model: str, tmp_path: Path) -> None:
    cells = effective(tmp_path)
    preset = effective(tmp_path, model=model)
    assert {name for name in cells if cells[name] != preset[name]} <= {"model", *PRESETS[model]}
    name = next(name for name in PRESETS[model] if type(cells[name]) is int and cells[name] != preset[name])
    given = {"model": model, name: cells[name]}
    assert effective(tmp_path, **given) == {**preset, **given}
    assert effective(tmp_path, model="reader") == cells
