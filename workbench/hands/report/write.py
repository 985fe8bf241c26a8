"""The report of a run, and two runs beside one another, as pages that load nothing from elsewhere.

One script of the package's own runs in them: its hash is the only one that the page's policy allows.
"""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader
from pygments.formatters import HtmlFormatter

from workbench.artifacts.files import atomic_write_text
from workbench.artifacts.provenance import load_manifest
from workbench.artifacts.runs import STAGES, MissingStage, read_manifest
from workbench.artifacts.stage import LOG, stages
from workbench.artifacts.start import this_command
from workbench.artifacts.steps import REPORT, copy_path, read_origin
from workbench.hands.narrative.names import glossed
from workbench.hands.report import finding, log_page
from workbench.hands.report.finding import live
from workbench.hands.report.lineage import STATIC, compare, figure_note, report_state, sealed, stage_record
from workbench.hands.report.render import render_notebook

SCRIPT = (STATIC / "report.js").read_text("utf-8")
HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode("utf-8")).digest()).decode("ascii")
POLICY = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{HASH}'"
"""Even if something slipped past the cleaning, the browser would neither run nor load it."""


def write_report(run_dir: str | os.PathLike[str]) -> Path:
    """Write `<run_dir>/report.html` from the executed copies and the manifests, or of an explained log from its
    records, and return its path.

    Raises:
        MissingStage: a stage or its executed copy is not there.
    """
    folder = Path(run_dir)
    manifests = {stage: read_manifest(folder, stage) for stage in stages(folder)}
    run = _run(folder, manifests)
    if manifests.keys() == LOG.keys():
        page = _log(folder, run, manifests["log"])
    else:
        sections = [_section(folder, stage, manifest) for stage, manifest in manifests.items()]
        page = _page("report.html", [run], title=run["title"], run=run, sections=sections)
    return atomic_write_text(folder / REPORT, sealed(page, folder))


def write_beside(first: str | os.PathLike[str], second: str | os.PathLike[str], file: str | os.PathLike[str]) -> Path:
    """Write two runs beside one another, what each found and what differs, and return the page's path.

    Raises:
        NoRun: one of the folders holds none.
    """
    folders = [Path(one) for one in (first, second)]
    differences = compare(*folders)
    made = [{stage: load_manifest(one / stage) or {"files": {}} for stage in stages(one)} for one in folders]
    runs = [_run(folder, manifests) for folder, manifests in zip(folders, made, strict=True)]
    title = " and ".join(run["title"] for run in runs)
    return atomic_write_text(Path(file), _page("beside.html", runs, title=title, differences=differences))


def _log(folder: Path, run: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """The page of an explained log."""
    more = {"cards": log_page.cards(folder), "unused": log_page.unused(folder), "record": stage_record(manifest, {})}
    metrics = metric_tables(manifest.get("metrics", {}))
    more["beyond"] = sum(manifest.get("metrics", {}).get("records", {}).values()) - log_page.MOST_CARDS
    return _page("log.html", [run], title=run["title"], run=run, metrics=metrics, **more)


def _page(template: str, runs: Sequence[Mapping[str, Any]], **values: Any) -> str:
    """The page of runs; one that shows no case to be tried holds no script."""
    code = [HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark")]
    dark = f"@media screen and (prefers-color-scheme: dark) {{{code[1]}}}"
    style = f"{(STATIC / 'report.css').read_text('utf-8')}{code[0]}{dark}"
    made = {"policy": POLICY, "style": style, "script": SCRIPT, "live": any(run["live"] for run in runs)}
    return _room().get_template(template).render(made | values, runs=runs)


def log_records(folder: str | os.PathLike[str]) -> str:
    """The records of an explained log as HTML without a page around it, everything in it escaped."""
    return _room().get_template("records.html").render(cards=log_page.cards(Path(folder)))


def _room() -> Environment:
    room = Environment(loader=FileSystemLoader(STATIC), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    room.filters |= {"shown": _shown, "dictvalues": lambda row: list(row.values())}
    filters = (glossed, log_page.decided, log_page.set_words, log_page.level_words)
    room.filters |= {one.__name__: one for one in filters}
    return room


def _run(folder: Path, manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the first screen shows of a run."""
    if manifests.keys() == LOG.keys():
        return log_page.first(folder, manifests["log"])
    metrics = {stage: manifest.get("metrics", {}) for stage, manifest in manifests.items()}
    last = manifests[list(STAGES)[-1]]
    seconds = sum(manifest.get("seconds") or 0 for manifest in manifests.values())
    case = live(folder, manifests["explain"])
    title = f"Workbench run {folder.resolve().name}"
    about = [title, f"finished {last.get('finished')}", f"device {last.get('device')}", f"seed {last.get('seed')}"]
    about += [f"time in stages {seconds:,.0f} s", f"workbench {last.get('workbench')}"]
    return {
        "title": title,
        "about": about,
        "finding": finding.finding(metrics),
        "figures": finding.figures(metrics),
        "caveat": finding.caveat(metrics, manifests),
        "more": case and case.pop("more"),  # first: what is left goes onto the page as it is
        "live": case,
    }


def _section(run_dir: Path, stage: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the report shows of a stage: its notebook's answer, the notebook's parts, metrics, origin."""
    name = STAGES[stage]
    path = copy_path(run_dir, name)
    if not path.is_file():
        raise MissingStage(f"{path} does not exist; run the chain: {this_command()} run --run-dir {run_dir}")

    def note(cell: int, section: str) -> str:
        return figure_note(stage, notebook=name, cell=cell, section=section)

    found = render_notebook(nbformat.read(path, as_version=4), note=note)
    more = {"stage": stage, "metrics": metric_tables(manifest.get("metrics", {})), "title": found.title or name}
    return vars(found) | more | {"record": stage_record(manifest, read_origin(run_dir, name))}


def metric_tables(metrics: Mapping[str, Any]) -> list[tuple[list[str], list[list[Any]]]]:
    """Tables (head, rows) of a stage's metrics: plain values as name and value, a group of records as one row each."""
    single = [[name, value] for name, value in metrics.items() if not _records(value)]
    tables: list[tuple[list[str], list[list[Any]]]] = [([], single)] if single else []
    for name, value in metrics.items():
        if records := _records(value):
            columns = list(dict.fromkeys(column for _, record in records for column in record))
            rows = [[label, *(record.get(column) for column in columns)] for label, record in records]
            tables.append(([name, *columns], rows))
    return tables


def _records(value: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Rows, where a metric is a dict or list of dicts; otherwise none."""
    named = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    rows = [(str(label), record) for label, record in named]
    return rows if rows and all(isinstance(record, Mapping) for _, record in rows) else []


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def current_report(run_dir: str | os.PathLike[str]) -> Path:
    """Path of the run's report, written where it is not there or not up to date. Errors as in `write_report`."""
    return Path(run_dir) / REPORT if report_state(run_dir) is None else write_report(run_dir)
