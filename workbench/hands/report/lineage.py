"""What a run tells about itself, from manifests and executed copies: shown, verified, compared, beside its figures; and
whether its report is whole and tells of what lies in the run folder now."""

from __future__ import annotations

import hashlib
import html
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts.files import MANIFEST, sha256_file
from workbench.artifacts.provenance import load_manifest
from workbench.artifacts.runs import recorded_parameters
from workbench.artifacts.stage import (
    LOG,
    STAGES,
    MissingStage,
    check_code,
    check_stage,
    extra_files,
    stage_folder,
    state_of_work,
    work_folder,
)
from workbench.artifacts.stage import stages as stages_of
from workbench.artifacts.steps import REPORT, copy_path, copy_verdict, parameter_changes, read_origin

TIMES = ("seconds", "calls_per_second")  # ends of the names of metrics that differ between any two runs
NOT_MADE = "was not made, or not to its end"
SHORT = 12  # hex digits of a digest that identify it among those of a run
FILES = 30  # of a stage that are listed
SEAL = re.compile(rb"\n<!-- made from ([0-9a-f]{64}), sha256 ([0-9a-f]{64}) -->\n\Z")
STATIC = Path(__file__).parent / "static"


class NoRun(ValueError):
    """A folder that holds no stage of a run."""


def lineage(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """Everything that is recorded of a run: stage -> its manifest, with `notebook`, `parameters` and `source_sha256`.

    A stage that was not made is None.

    Raises:
        NoRun: none was made.
    """
    folder = Path(run_dir)
    stages = {stage: _recorded(folder, stage, name) for stage, name in stages_of(folder).items()}
    if not any(stages.values()):
        wanted = ", ".join(f"{stage}/manifest.json" for stage in (*STAGES, *LOG))
        raise NoRun(f"{folder} holds no run: there is none of {wanted}. Give the folder that --run-dir named.")
    return {"run": str(folder.resolve()), "stages": stages}


def _recorded(run_dir: Path, stage: str, name: str) -> dict[str, Any] | None:
    manifest = load_manifest(stage_folder(run_dir, stage))
    if manifest is None:
        return None
    told = {"notebook": name, "source_sha256": read_origin(run_dir, name).get("source_sha256")}
    return manifest | told | {"parameters": recorded_parameters(run_dir, stage, manifest) or None}


def verify(run_dir: str | os.PathLike[str]) -> dict[str, dict[str, list[str]]]:
    """Recompute every digest: stage -> `broken`, what no longer matches, and `notes`, what is merely different now.

    Broken are changed or missing files, those that the stage's manifest does not know, inputs that are not what the
    stage was made from, an executed copy that was changed or tells of another result. Notes are that the code has moved
    on since, that pictures were exported beside the result, that the stage was begun anew and not finished.

    Raises:
        NoRun: none was made.
    """
    return {stage: _verdict(Path(run_dir), stage) for stage in lineage(run_dir)["stages"]}


def _verdict(run_dir: Path, stage: str) -> dict[str, list[str]]:
    try:
        foreign, usual = extra_files(run_dir, stage)
        broken = check_stage(run_dir, stage)
        broken += copy_verdict(stage_folder(run_dir, stage), STAGES[stage]) if stage in STAGES else []
        broken += [f"file {name} is no part of what was made; remove it" for name in foreign]
        return {"broken": broken, "notes": check_code(run_dir, stage) + _beside(run_dir, stage, usual)}
    except MissingStage:
        return {"broken": [f"the stage {NOT_MADE}"], "notes": []}


def _beside(run_dir: Path, stage: str, usual: Sequence[str]) -> list[str]:
    more = f" and {len(usual) - 3} more" if len(usual) > 3 else ""
    notes = [f"beside the result: {', '.join(usual[:3])}{more}"] if usual else []
    if state := state_of_work(run_dir, stage):
        what = "asked for anew (--fresh)" if state == "afresh" else "begun anew and not finished"
        notes.append(f"it was {what}; to leave it as it is, remove {work_folder(run_dir, stage)}")
    return notes


def compare(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> dict[str, Any]:
    """What differs between two runs.

    Returns:
        stage -> `parameters`, `made_from`, `files` (lines of text) and `metrics`, a list of
        `{"name", "first", "second", "difference", "relative"}`; `relative` is (second - first) / |first|, None where
        first is 0 or one of them is no number. Times are not compared.

    Raises:
        NoRun: one of the folders holds none.
    """
    one, other = lineage(first)["stages"], lineage(second)["stages"]
    return {stage: _differences(one.get(stage), other.get(stage), first, second) for stage in {**one, **other}}


def _differences(one: Any, other: Any, first: Any, second: Any) -> dict[str, list[Any]]:
    if one is None or other is None:
        lacking = [str(path) for path, made in ((first, one), (second, other)) if made is None]
        files = [f"the stage {NOT_MADE} in {path}" for path in lacking] if len(lacking) == 1 else []
        return {"parameters": [], "made_from": [], "files": files, "metrics": []}
    digests = {name: (one["files"].get(name), other["files"].get(name)) for name in {**one["files"], **other["files"]}}
    words = {(True, False): "only in the first", (False, True): "only in the second", (True, True): "differs"}
    changed = [f"{name} {words[a is not None, b is not None]}" for name, (a, b) in digests.items() if a != b]
    pair = [run["parameters"] for run in (one, other)]
    if None in pair:
        pair = [dict(flat(run.get("config"), "")) for run in (one, other)]
    return {
        "parameters": parameter_changes(*pair),
        "made_from": parameter_changes(made_from(one), made_from(other)),
        "files": sorted(changed),
        "metrics": metric_differences(one.get("metrics", {}), other.get("metrics", {})),
    }


def made_from(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage was made from besides its parameters, as flat names: inputs, versions, code, machine."""
    code, machine = manifest.get("code", {}), manifest.get("machine", {})
    found = {f"input {name}": one.get("sha256") or one.get("revision") or one.get("id")
             for name, one in manifest["inputs"].items()}  # fmt: skip
    found |= {f"package {name}": version for name, version in manifest.get("packages", {}).items()}
    found |= {"workbench": manifest.get("workbench"), "code": code.get("package_sha256")}
    found |= {name: machine.get(name) for name in ("processor", "threads")}
    return found | {name: manifest.get(name) for name in ("device", "python", "platform")}


def metric_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each metric that differs; see `compare`."""
    one, other = dict(flat(first, "")), dict(flat(second, ""))
    rows = []
    for name in {**one, **other}:
        a, b = one.get(name), other.get(name)
        if a == b or name.endswith(TIMES):
            continue
        gap = b - a if _is_number(a) and _is_number(b) else None  # type: ignore[operator]
        relative = gap / abs(a) if gap is not None and a else None
        rows.append({"name": name, "first": a, "second": b, "difference": gap, "relative": relative})
    return rows


def flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Nested dicts and lists as `a.b.0` -> plain value."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield name, value
        return
    for key, item in items:
        yield from flat(item, f"{name}.{key}" if name else str(key))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def code_line(manifest: Mapping[str, Any]) -> str:
    """The code that made a stage, in words: git revision, else version and digest of the sources."""
    code = manifest.get("code", {})
    version = f"workbench {manifest.get('workbench')}"
    sources = f"sources {str(code.get('package_sha256', 'not recorded'))[:SHORT]}"
    if not code.get("revision"):
        return f"{version}, {sources}"
    edited = ", with changes not committed" if code.get("edited") else ""
    return f"{version}, revision {str(code['revision'])[:SHORT]}{edited}, {sources}"


def input_line(name: str, recorded: Mapping[str, str]) -> str:
    """One input in words: its path and digest, or its identifier and revision."""
    if "sha256" in recorded:
        return f"{name}: {recorded['path']} {recorded['sha256'][:SHORT]}"
    revision = f" at {recorded['revision'][:SHORT]}" if recorded.get("revision") else ""
    return f"{name}: {recorded.get('id')}{revision}"


def figure_note(stage: str, *, notebook: str, cell: int, section: str) -> str:
    """A line below one figure, as HTML: the cell that drew it, with a link to the record of its stage."""
    where = html.escape(f"{notebook}, cell {cell}{f', under “{section}”' if section else ''}")
    return f'<p class="origin">{where}; <a href="#origin-{stage}">where this comes from</a></p>'


def stage_record(manifest: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All that is recorded of a stage but its metrics: title -> name -> value."""
    machine, code = manifest.get("machine", {}), manifest.get("code", {})
    made = {"seed": manifest.get("seed"), "device": manifest.get("device"), **machine}
    made |= {"Python": f"{manifest.get('python')}, {manifest.get('platform')}", "code": code_line(manifest)}
    made |= {"sources of the package": code.get("package_sha256"), "notebook": origin.get("source_sha256")}
    parameters = origin.get("parameters") or manifest.get("config", {})
    files = {name: digest[:SHORT] for name, digest in list(manifest["files"].items())[:FILES]}
    if (more := len(manifest["files"]) - FILES) > 0:
        files[f"{more} more"] = f"listed in {MANIFEST}"
    parts = {
        "made": made,
        "parameters": parameters if isinstance(parameters, Mapping) else {},
        "inputs": {name: input_line(name, one).partition(": ")[2] for name, one in manifest["inputs"].items()},
        "versions": manifest.get("packages", {}),
        "files": files,
    }
    return {title: rows for title, rows in parts.items() if rows}


def report_sources(run_dir: str | os.PathLike[str]) -> str:
    """SHA-256 over what a report is made from: manifests, executed copies, and this folder, which writes it."""
    total = hashlib.sha256()
    made = stages_of(run_dir)
    paths = [stage_folder(run_dir, stage) / MANIFEST for stage in made]
    paths += [copy_path(Path(run_dir), name) for name in made.values()]
    paths += sorted(path for path in STATIC.parent.rglob("*") if path.suffix in (".py", ".html", ".css", ".js"))
    for path in paths:
        total.update(sha256_file(path).encode() if path.is_file() else b"none")
    return total.hexdigest()


def sealed(page: str, run_dir: str | os.PathLike[str]) -> str:
    """The page with a last line that says what it was made from and what it was."""
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()
    return f"{page}\n<!-- made from {report_sources(run_dir)}, sha256 {digest} -->\n"


def report_state(run_dir: str | os.PathLike[str]) -> str | None:
    """What is wrong with a run's report, in words; None when it is whole and up to date."""
    path = Path(run_dir) / REPORT
    try:
        content = path.read_bytes()
    except OSError:
        return f"{path} is not there"
    seal = SEAL.search(content)
    if not seal or hashlib.sha256(content[: seal.start()]).hexdigest().encode() != seal[2]:
        return f"{path} was changed"
    return None if seal[1].decode() == report_sources(run_dir) else f"{path} tells of another state of the run"
