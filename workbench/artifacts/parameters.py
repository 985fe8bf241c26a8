"""Parameters of the notebooks: what each declares, whether what a user gives fits, and defaults that suit a model.

papermill only warns about an unknown name and injects any value whatever its type; a mistyped `-p` would then run for
minutes on the default. Here both are errors before the first cell runs, and so is a value beyond the bounds that the
comment behind a parameter sets. A value that a user gives goes before a model's preset, and a preset before the default
of the cell. Whatever runs, records or checks a run sees a preset as a given value."""

from __future__ import annotations

import ast
import difflib
import json
import math
import tokenize
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.artifacts.checks import KINDS, Parameter, ParameterError, Value, comments, kind_of, rule_of


def parse_value(text: str) -> Value:
    """Read a value typed on a command line: int, float, true/false, null, quoted text, [list]; anything else is text.

    Python's spellings True, False, None, 'text' are read too, so a value can be copied from a notebook.

    Raises:
        ParameterError: a number too large to be finite.
    """
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        bare = _bare_list(stripped)
        if bare is not None:
            return bare
    for read in (_strict_json, ast.literal_eval):
        try:
            value = read(stripped)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{text!r} is too large for a number")
        if type(value) in KINDS.values():
            return typing.cast(Value, value)
    return text


def _strict_json(text: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def _bare_list(text: str) -> list[Value] | None:
    """`[a, 1]` with words that need no quotes; None when it nests or quotes, which the other readers understand."""
    inside = text[1:-1].strip()
    if any(mark in inside for mark in "[]{}()'\"\\"):
        return None
    return [parse_value(item.strip()) for item in inside.split(",")] if inside else []


def has_parameters_cell(notebook: Path) -> bool:
    """Whether a notebook has a code cell with the tag `parameters`. Errors as in `read_parameters`."""
    return _parameters_cell(notebook) is not None


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook: the assignments of its first cell with the tag `parameters`, in their order.

    Raises:
        FileNotFoundError: there is no such notebook.
        ParameterError: it is no notebook, or the cell holds something other than assignments of literals.
    """
    cell = _parameters_cell(notebook)
    return {} if cell is None else _read_cell(cell, notebook.name)


def _parameters_cell(notebook: Path) -> str | None:
    try:
        # not with nbformat, which takes two seconds to load, at the start of every kernel
        cells = [
            (cell["cell_type"], list(cell["metadata"].get("tags", [])), "".join(cell["source"]))
            for cell in json.loads(notebook.read_text("utf-8"))["cells"]
        ]
    except FileNotFoundError:
        raise FileNotFoundError(f"{notebook} does not exist") from None
    except Exception as error:
        raise ParameterError(f"{notebook} cannot be read as a notebook: {error}") from error
    return next((source for kind, tags, source in cells if kind == "code" and "parameters" in tags), None)


def _read_cell(source: str, name: str) -> dict[str, Parameter]:
    try:
        told = comments(source)
        found = [_read_statement(statement, told) for statement in ast.parse(source).body]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ParameterError(
            f"the parameters cell of {name} may hold only assignments of literals, such as `steps = 400`, and behind "
            f"them rules such as `# steps of learning; steps >= 1`: {error}"
        ) from error
    return {parameter.name: parameter for parameter in found if parameter}


def _read_statement(statement: ast.stmt, told: Mapping[int, str]) -> Parameter | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return None  # a docstring
    target: ast.expr
    annotation = None
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value, annotation = statement.target, statement.value, statement.annotation
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    else:
        raise ValueError(f"line {statement.lineno} is something else")
    if not isinstance(target, ast.Name):
        raise ValueError(f"line {statement.lineno} assigns to something that is no plain name")
    default = ast.literal_eval(value)
    rule = rule_of(target.id, told.get(statement.end_lineno or statement.lineno, ""))
    parameter = Parameter(target.id, default, _accepted(default, annotation), rule)
    parameter.fit(default)
    return parameter


def _accepted(default: Value, annotation: ast.expr | None) -> frozenset[str]:
    if annotation is not None:
        names = {ast.unparse(node) for node in ast.walk(annotation)}
        return frozenset(names & KINDS.keys())
    return frozenset() if default is None else frozenset({kind_of(default)})


def assign_parameters(
    given: Mapping[str, Value], declared: Mapping[str, Mapping[str, Parameter]]
) -> dict[str, dict[str, Value]]:
    """Hand each given value to the notebooks that know its name.

    Args:
        given: name -> value.
        declared: notebook -> its parameters.

    Returns:
        notebook -> the values for it, in the given order; a notebook that knows none gets an empty dict.

    Raises:
        ParameterError: no notebook knows a name, or a value has the wrong type; names notebook and expectation.
    """
    handed: dict[str, dict[str, Value]] = {notebook: {} for notebook in declared}
    for name, value in given.items():
        takers = [notebook for notebook, parameters in declared.items() if name in parameters]
        if not takers:
            raise ParameterError(_unknown(name, declared))
        for notebook in takers:
            try:
                handed[notebook][name] = declared[notebook][name].fit(value)
            except ParameterError as error:
                raise ParameterError(f"parameter of {notebook}: {error}") from None
    return handed


def _unknown(name: str, declared: Mapping[str, Mapping[str, Parameter]]) -> str:
    known: Iterable[str] = {known for parameters in declared.values() for known in parameters}
    near = difflib.get_close_matches(name, sorted(known), n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    listed = "; ".join(f"{notebook}: {', '.join(names) or 'none'}" for notebook, names in declared.items())
    return f"no notebook has a parameter {name!r}.{guess} Known are: {listed}."


PRESETS: Mapping[str, Mapping[str, Value]] = {
    # 135 million weights: on a processor an answer takes about a second
    "smollm2": {
        "topics": [],
        "train_cases": 40_000,  # where it trains: as many as the adapter that ships learned
        "steps": 700,  # where it trains: as the one that ships was
        "batch": 128,
        "modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "learning_rate": 1.2e-3,
        "train_shares": [0.0, 0.3, 0.6],
        "replay": 0.35,
        "scored_cases": 40,
        "scored_others": 10,
        "base_cases": 2,
        "shares": [0.0, 0.3],
        # a prompt costs half a second to a second of two cores, a gradient two: notebook 3
        "explained_cases": 6,
        "masked_cases": 3,
        "loop_steps": 12,
        "loop_learning_rate": 1.3,
        "certified_budget": 60,
        "flip_sets": 1,
        "shapley_orders": 2,
        "fitted_masks": 20,
        "tried_masks": 12,
        "changed_cases": 2,
        "peer_cases": 1,
        "other_orders": 2,
        "paired_facts": 2,
        # and notebook 4, on 210 modules in 30 layers
        "units": "layer",
        "random_changes": 1,
        "dosed_cases": 2,
        "effect_cases": 1,
        "effect_doses": [0.5],
        "map_cases": 1,
        "switched_shares": [0.1],
        "closer_layers": 1,
        "agreement_cases": 2,
        "deleted_cases": 1,
        "reduced_cases": 4,
        "compared_cases": 1,
    }
}
"""Model -> parameter -> value."""
