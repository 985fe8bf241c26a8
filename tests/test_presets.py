"""Defaults that are others for a model: they fit the notebooks, and go behind what a user gives."""

from pathlib import Path

import pytest

from workbench.artifacts.parameters import PRESETS
from workbench.artifacts.steps import declared_parameters, find_notebooks, plan


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
