"""One self-contained page from the executed notebooks of a run: no script, nothing loaded from elsewhere."""

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from pygments.formatters import HtmlFormatter

from workbench.artifacts.executed import REPORT, copy_path, read_origin
from workbench.artifacts.files import MANIFEST, atomic_write_text
from workbench.artifacts.runs import STAGES, MissingStage, read_manifest
from workbench.report.evidence import figure_note, stage_record
from workbench.report.page import sealed
from workbench.report.render import Rendered, render_notebook

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Even if something slipped past the cleaning, the browser would neither run nor load it."""

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; overflow-wrap: break-word; }
h1, h2, h3, h4 { line-height: 1.25; } h2 { border-top: 2px solid #ddd; padding-top: 1.5rem; margin-top: 3rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; display: block; overflow-x: auto; }
td, th { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left; } td.number { text-align: right; }
pre { background: #f6f7f9; padding: .7rem; overflow-x: auto; font-size: .85rem; line-height: 1.35; }
pre.error { background: #fdecea; } img { max-width: 100%; } .output { margin: .8rem 0; overflow-x: auto; }
div.formula { margin: .8rem 2rem; } summary { cursor: pointer; color: #555; font-size: .85rem; }
details.origin { margin: .2rem 0 1.2rem; } details.origin table { display: table; }
.note { color: #555; font-style: italic; } nav ul { list-style: none; padding-left: 1.2rem; }
"""


def write_report(run_dir: str | os.PathLike[str]) -> Path:
    """Write `<run_dir>/report.html` from the executed copies and the manifests, and return its path.

    Raises:
        MissingStage: a stage or its executed copy is not there.
    """
    folder = Path(run_dir)
    manifests = {stage: read_manifest(folder, stage) for stage in STAGES}
    rendered = {stage: _render(folder, stage, manifest) for stage, manifest in manifests.items()}
    origins = {stage: read_origin(folder, name) for stage, name in STAGES.items()}
    title = f"Workbench run {html.escape(folder.resolve().name)}"
    page = [
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}{HtmlFormatter().get_style_defs('.highlight')}</style></head><body>",
        f"<h1>{title}</h1>{_facts(manifests)}{_contents(rendered)}",
        f'<h2 id="metrics">Headline metrics</h2>{"".join(map(_stage_metrics, manifests.items()))}',
        *(
            f"<section>{part.body}{stage_record(stage, manifests[stage], origins[stage])}</section>"
            for stage, part in rendered.items()
        ),
        "</body></html>\n",
    ]
    return atomic_write_text(folder / REPORT, sealed("\n".join(page), folder))


def _render(run_dir: Path, stage: str, manifest: Mapping[str, Any]) -> Rendered:
    name = STAGES[stage]
    path = copy_path(run_dir, name)
    if not path.is_file():
        raise MissingStage(f"{path} does not exist; run the chain: python -m workbench run --run-dir {run_dir}")

    def note(cell: int, section: str) -> str:
        return figure_note(stage, manifest, notebook=name, cell=cell, section=section)

    return render_notebook(nbformat.read(path, as_version=4), prefix=name, note=note)


def _facts(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    last = manifests[list(STAGES)[-1]]
    seconds = sum(manifest.get("seconds") or 0 for manifest in manifests.values())
    facts = {
        "finished": last.get("finished"),
        "device": last.get("device"),
        "seed": last.get("seed"),
        "time in stages": f"{seconds:.0f} s",
        "workbench": last.get("workbench"),
        "Python": f"{last.get('python')}, {last.get('platform')}",
    }
    return f"<p>{' · '.join(f'{name}: {html.escape(str(value))}' for name, value in facts.items())}</p>"


def _contents(rendered: Mapping[str, Rendered]) -> str:
    items = ['<li><a href="#metrics">Headline metrics</a></li>']
    for part in rendered.values():
        titles = [(level, f'<a href="#{name}">{text}</a>') for level, name, text in part.headings if level <= 2]
        inner = "".join(f"<li>{link}</li>" for level, link in titles if level == 2)
        items += [f"<li>{link}<ul>{inner}</ul></li>" for level, link in titles if level == 1]
    return f"<nav><ul>{''.join(items)}</ul></nav>"


def _stage_metrics(item: tuple[str, Mapping[str, Any]]) -> str:
    stage, manifest = item
    metrics = manifest.get("metrics", {})
    link = f'<a href="{stage}/{MANIFEST}">{stage}/{MANIFEST}</a>'
    return f"<h3>{STAGES[stage]}</h3>{metric_tables(metrics)}<p>Everything recorded: {link}</p>"


def metric_tables(metrics: Mapping[str, Any]) -> str:
    """Tables of a stage's metrics: plain values as name and value, a group of records as one row each."""
    single = {name: value for name, value in metrics.items() if not _records(value)}
    parts = [_table([], [[name, value] for name, value in single.items()])] if single else []
    for name, value in metrics.items():
        records = _records(value)
        if records:
            columns = list(dict.fromkeys(column for _, record in records for column in record))
            rows = [[label, *(record.get(column) for column in columns)] for label, record in records]
            parts.append(_table([name, *columns], rows))
    return "".join(parts)


def _records(value: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Rows, where a metric is a dict or list of dicts; otherwise none."""
    named = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    rows = [(str(label), record) for label, record in named]
    return rows if rows and all(isinstance(record, Mapping) for _, record in rows) else []


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = f"<tr>{''.join(f'<th>{html.escape(str(name))}</th>' for name in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{top}{body}</table>"


def _cell(value: Any) -> str:
    kind = ' class="number"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td{kind}>{html.escape(_shown(value))}</td>"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
