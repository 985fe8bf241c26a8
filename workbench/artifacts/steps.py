"""The steps of the chain: which notebooks, with which parameters, whether one has to run again, and what its executed
copy says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.artifacts.files import MANIFEST, atomic_write_text, sha256_file
from workbench.artifacts.parameters import (
    PRESETS,
    Parameter,
    ParameterError,
    Value,
    assign_parameters,
    has_parameters_cell,
    read_parameters,
)
from workbench.artifacts.provenance import PACKAGE_FOLDER
from workbench.artifacts.stage import STAGES, MissingStage, check_code, check_stage, state_of_work

if TYPE_CHECKING:
    from nbformat import NotebookNode

COPIES = "notebooks"
REPORT = "report.html"
PARTIAL = ".partial.ipynb"  # while it runs, and after it failed
NOT_COMPARED = {"run_dir"}  # a run folder may be moved


def copy_path(run_dir: Path, name: str, suffix: str = ".ipynb") -> Path:
    """Path of the executed copy of the notebook `name`."""
    return Path(run_dir) / COPIES / f"{name}{suffix}"


def _nbformat() -> Any:
    """It takes two seconds to load, which a kernel that only opens a stage does not need."""
    import nbformat

    return nbformat


def _read(path: Path) -> NotebookNode:
    return _nbformat().read(path, as_version=4)


def source_digest(notebook: Path) -> str:
    """SHA-256 over the kinds and sources of the cells: outputs and what an editor notes beside them do not count."""
    cells = [(cell.cell_type, cell.source) for cell in _read(notebook).cells]
    return hashlib.sha256(json.dumps(cells).encode("utf-8")).hexdigest()


def _shown_digest(executed: NotebookNode) -> str:
    """SHA-256 over what a reader of the copy sees: sources and outputs. Opening and saving it changes neither."""
    cells = [(cell.cell_type, cell.source, [_shown(one) for one in cell.get("outputs", [])]) for cell in executed.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode("utf-8")).hexdigest()


def _shown(output: Mapping[str, Any]) -> list[Any]:
    """Of an output its kind and content; texts in one piece, as files may hold them as lines."""
    data = output.get("data") or {}
    whole = {kind: "".join(value) if isinstance(value, list) else value for kind, value in data.items()}
    text = output.get("text", "")
    return [output.get("output_type"), "".join(text), whole, output.get("evalue", "")]


def _origin(stage_folder: Path, notebook: Path, effective: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest is among it: when a stage was made again by hand since, the copy no longer tells of it."""
    compared = {name: value for name, value in effective.items() if name not in NOT_COMPARED}
    return {
        "source_sha256": source_digest(notebook),
        "parameters": compared,
        "manifest_sha256": sha256_file(stage_folder / MANIFEST),
    }


def finish_copy(stage_folder: Path, notebook: Path, executed: NotebookNode, effective: Mapping[str, Any]) -> Path:
    """Write the finished copy in one step, with what it was made from, in place of the partial one.

    Args:
        stage_folder: folder of the finished stage in the run folder.
        notebook: the notebook that was executed.
        executed: the executed document.
        effective: every parameter with the value it had.
    """
    run_dir = stage_folder.parent
    origin = _origin(stage_folder, notebook, effective)
    executed.metadata["workbench"] = {**origin, "shown_sha256": _shown_digest(executed)}
    # every number of a picture stands on a line of its own: indented, much of the file would be blanks
    text = json.dumps(json.loads(_nbformat().writes(executed)), ensure_ascii=False, indent=0)
    path = atomic_write_text(copy_path(run_dir, notebook.stem), text + "\n")
    copy_path(run_dir, notebook.stem, PARTIAL).unlink(missing_ok=True)
    return path


def read_origin(run_dir: Path, name: str) -> dict[str, Any]:
    """What a finished copy says it was made from: source_sha256, parameters, manifest_sha256; empty where it is not."""
    try:
        found = json.loads(copy_path(run_dir, name).read_text("utf-8"))["metadata"].get("workbench", {})
    except Exception:  # missing, cut off, no notebook
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("parameters"), dict) else {}


def copy_verdict(stage_folder: Path, name: str) -> list[str]:
    """What no longer matches in the executed copy of the notebook `name`, whatever the notebook is now, in words."""
    return _sealed(stage_folder, name)[1]


def copy_changes(stage_folder: Path, notebook: Path, effective: Mapping[str, Any]) -> list[str]:
    """Why the finished copy is not one of this very notebook with these very parameters, in words; empty if it is."""
    recorded, changes = _sealed(stage_folder, notebook.stem)
    if not recorded:
        return changes
    now = _origin(stage_folder, notebook, effective)
    other = [] if recorded.get("source_sha256") == now["source_sha256"] else ["the notebook was changed"]
    return parameter_changes(recorded["parameters"], now["parameters"]) + other + changes


def _sealed(stage_folder: Path, name: str) -> tuple[dict[str, Any], list[str]]:
    """What a copy says it was made from, nothing where it cannot be read, and what is wrong with it in words."""
    path = copy_path(stage_folder.parent, name)
    try:
        executed = _read(path)
        recorded = dict(executed.metadata["workbench"])
        recorded["parameters"].items()
        whole = recorded["shown_sha256"] == _shown_digest(executed)
    except FileNotFoundError:
        return {}, [f"its executed copy {path} is gone"]
    except Exception:  # cut off, no notebook, not ours: in each case it has to run
        return {}, [f"its executed copy {path} cannot be read"]
    changes = [] if whole else [f"its executed copy {path} was changed"]
    if recorded.get("manifest_sha256") != sha256_file(stage_folder / MANIFEST):
        told = f"its manifest is not the one that its executed copy {path} tells of"
        changes.append(f"{told}: the stage was made again by hand, or edited")
    return recorded, changes


def parameter_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`seed 0 -> 1` for each name whose value, or its type, differs; `none` where it is on one side only."""

    def text(values: Mapping[str, Any], name: str) -> str:
        return json.dumps(values[name], ensure_ascii=False) if name in values else "none"

    names = [name for name in {**before, **after} if text(before, name) != text(after, name)]
    return [f"{name} {text(before, name)} -> {text(after, name)}" for name in names]


def where_it_stopped(partial: Path) -> str:
    """The cell in which a run ended, as `code cell 3 ("model = load(...)")`; empty when none had begun.

    papermill marks pending cells as completed when it stops, so the last cell with a start time is the one.
    """
    try:
        cells = _read(partial).cells
    except Exception:  # the kernel never started, or the stop came while the copy was written
        return ""
    number, found = 0, ""
    for cell in cells:
        if cell.cell_type == "code" and cell.source.strip():
            number += 1
            if cell.metadata.get("papermill", {}).get("start_time"):
                found = f'code cell {number} ("{_first_line(cell.source)}")'
    return found


def _first_line(source: str, limit: int = 80) -> str:
    """The first line that is not a comment, or the first at all."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    line = next((line for line in lines if not line.startswith("#")), lines[0])
    return line if len(line) <= limit else line[: limit - 3] + "..."


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
    preset = PRESETS.get(str(parameters.get("model")), {})
    presets = {name: value for name, value in preset.items() if name in known}
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
