"""The steps of the chain: which notebooks, with which parameters, and whether one has to run again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.artifacts.executed import copy_changes
from workbench.artifacts.origin import PACKAGE_FOLDER
from workbench.artifacts.parameters import (
    Parameter,
    ParameterError,
    Value,
    assign_parameters,
    has_parameters_cell,
    read_parameters,
)
from workbench.artifacts.presets import preset
from workbench.artifacts.stage import STAGES, MissingStage, check_code, check_stage
from workbench.artifacts.work import state_of_work


@dataclass(frozen=True)
class Step:
    """One notebook to run, with the parameters for it."""

    stage: str
    notebook: Path
    given: Mapping[str, Value]
    effective: Mapping[str, Value] = field(default_factory=dict)  # the defaults, overlaid with what is given

    @property
    def name(self) -> str:
        return self.notebook.stem


def run_folder(given: str | os.PathLike[str]) -> Path:
    """The run folder as an absolute path, whether it exists or not.

    Raises:
        ParameterError: the text names no folder, or would garble every message that shows it.
    """
    text = os.fspath(given)
    if not text.strip():
        raise ParameterError("the run folder has no name; give one with --run-dir")
    if not text.isprintable():  # control characters, NUL, bytes that are no text
        raise ParameterError(f"the run folder {text!a} has characters that cannot be printed; give another --run-dir")
    try:
        return Path(text).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # no such user, links in a circle
        raise ParameterError(f"the run folder {text!r} cannot be found: {error}; give another --run-dir") from error


def find_notebooks(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the notebooks: `folder`, else that of a source checkout, else `./notebooks`, else those that an
    installed package carries.

    Raises:
        FileNotFoundError: none of them holds the first notebook.
    """
    checkout, carried = (place.resolve() / "notebooks" for place in (PACKAGE_FOLDER.parent, PACKAGE_FOLDER))
    own = dict.fromkeys([checkout, Path("notebooks").resolve(), carried])
    places = [Path(folder)] if folder is not None else list(own)
    for place in places:
        if all((place / f"{name}.ipynb").is_file() for name in STAGES.values()):
            return place
    wanted = ", ".join(f"{name}.ipynb" for name in STAGES.values())
    raise FileNotFoundError(f"no notebooks in {' or '.join(map(str, places))}; looked for {wanted}. Give --notebooks.")


def declared_parameters(notebooks: Path) -> dict[str, dict[str, Parameter]]:
    """Notebook -> its parameters.

    Raises:
        FileNotFoundError: a notebook is missing.
        ParameterError: an unknown name, a wrong type, a value out of bounds, or a notebook that cannot be read or told
            where to write.
    """
    declared = {name: read_parameters(notebooks / f"{name}.ipynb") for name in STAGES.values()}
    for name, known in declared.items():
        if "run_dir" not in known:
            path = notebooks / f"{name}.ipynb"
            lacks = "a parameter `run_dir`" if has_parameters_cell(path) else "a code cell with the tag `parameters`"
            raise ParameterError(
                f"{path} has no {lacks[2:]}, so it would write somewhere else than asked. Add {lacks}; in JupyterLab "
                "tags are set in the property inspector, the gear at the upper right."
            )
    return declared


def plan(notebooks: Path, run_dir: Path, parameters: Mapping[str, Value]) -> list[Step]:
    """The steps with their parameters checked, with those of the model's preset; `run_dir` goes to every notebook.

    Raises:
        FileNotFoundError: a notebook is missing.
        ParameterError: an unknown name, a wrong type, or a notebook that cannot be told where to write.
    """
    declared = declared_parameters(notebooks)
    known = {name for names in declared.values() for name in names}
    presets = {name: value for name, value in preset(parameters.get("model")).items() if name in known}
    handed = assign_parameters({**presets, **parameters}, declared)
    steps = []
    for stage, name in STAGES.items():
        given = {**handed[name], "run_dir": str(run_dir)}
        defaults = {known: parameter.default for known, parameter in declared[name].items()}
        steps.append(Step(stage, notebooks / f"{name}.ipynb", given, {**defaults, **given}))
    return steps


def why_again(run_dir: Path, step: Step) -> list[str]:
    """Why a step has to run, in words, most telling first; an empty list when what it left is whole and up to date.

    Looked at are its parameters, the notebook, what it was made from, the code, and every file it left.
    """
    folder, work = run_dir / step.stage, state_of_work(run_dir, step.stage)
    try:
        stage = check_stage(run_dir, step.stage)
        code = check_code(run_dir, step.stage)
    except MissingStage:
        begun = work == "begun" or (folder.is_dir() and any(folder.iterdir()))
        return ["it was not finished"] if begun else ["it was not run yet"]
    again = ["--fresh asked for it anew"] if work == "afresh" else []
    return [*again, *copy_changes(folder, step.notebook, step.effective), *stage, *code]
