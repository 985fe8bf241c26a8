"""The report: everything visible, nothing loaded, nothing run, whatever the names in a graph are."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.artifacts import runs
from workbench.artifacts.executed import copy_path
from workbench.report.page import current_report, report_state
from workbench.report.render import clean, formula, render_notebook
from workbench.report.write import metric_tables, write_report

ROOT = Path(__file__).resolve().parent.parent
PNG = base64.b64encode(b"\x89PNG tiny").decode()
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"

FIGURES = {
    "png": {"image/png": PNG, "text/html": '<script src="https://cdn.plot.ly/plotly.js"></script>'},
    "svg": {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"},
    "widget": {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "image/png": PNG, "text/plain": "Panel"},
    "plotly": {"application/vnd.plotly.v1+json": {"data": []}, "image/png": PNG},
}


class Elements(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(text: str) -> None:
    elements = Elements(text)
    for tag, attributes in elements.found:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form", "svg", "audio", "video"}, tag
        assert not [name for name in attributes if name.startswith("on") or name in {"srcset", "background"}], (
            attributes
        )
        assert attributes.get("src", "data:").startswith("data:")
        assert "url(" not in attributes.get("style", "")
        assert not re.match(r"\s*(javascript|data):", attributes.get("href") or "", re.IGNORECASE)


def show(*outputs: nbformat.NotebookNode, source: str = "figure") -> str:
    return render_notebook(new_notebook(cells=[new_code_cell(source, outputs=list(outputs))]), prefix="n").body


def display(data: dict) -> nbformat.NotebookNode:
    return new_output("display_data", data=data)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_shows_its_static_twin(name: str) -> None:
    page = show(display(FIGURES[name]))
    pictures = [attributes for tag, attributes in Elements(page).found if tag == "img"]
    assert len(pictures) == 1 and pictures[0]["src"].startswith("data:image/")
    assert_harmless(page)


def test_what_is_live_only_says_so_and_progress_bars_are_left_out() -> None:
    widget = "application/vnd.jupyter.widget-view+json"
    assert "open the notebook" in show(display({widget: {}, "text/plain": "IntSlider(value=0)"}))
    assert "open the notebook" not in show(display({widget: {}, "text/plain": "  0%|    | 0/3 [00:00<?, ?it/s]"}))


def test_text_is_shown_as_a_terminal_would_show_it() -> None:
    page = show(
        new_output("stream", name="stdout", text="a <b> \x1b[31mred\x1b[0m\n10%\r20%\r30%\nend"),
        new_output("stream", name="stderr", text="a warning"),
        new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m: <v>"]),
    )
    assert "a &lt;b&gt;" in page and "30%\nend" in page and "20%" not in page and "\x1b" not in page
    assert "<summary>messages</summary>" in page and "E</span>: &lt;v&gt;" in page


def test_tables_stay_and_scripts_go() -> None:
    table = f"<style>td{{}}</style><table><tr><td style='color:red;background:url(http://x)'>1{EVIL}</td></tr></table>"
    page = show(display({"text/html": table, "text/plain": "frame"}))
    assert "<table>" in page and "color: red" in page.replace("color:red", "color: red") and "td{}" not in page
    assert_harmless(page)


def test_markdown_keeps_links_and_draws_formulas() -> None:
    source = (
        f"# A *b* $x$ {EVIL}\n\n[link](https://e.org) ![out](https://e.org/p.png) $L = \\alpha$\n\n$$\\frac{{a}}{{b}}$$"
    )
    part = render_notebook(new_notebook(cells=[new_markdown_cell(source)]), prefix="n")
    assert 'href="https://e.org"' in part.body and "p.png" not in part.body
    assert part.body.count("data:image/svg+xml") == 3
    assert [(level, name) for level, name, _ in part.headings] == [(1, "n-1")]
    assert_harmless(part.body + "".join(text for _, _, text in part.headings))


def test_a_formula_beyond_matplotlib_is_shown_as_its_source() -> None:
    assert formula(r"\nosuchthing<b>") == r'<code class="formula">\nosuchthing&lt;b&gt;</code>'
    assert all(
        formula(one).startswith("<img") for one in (r"a \le b", r"\lVert x\rVert", r"\tfrac{1}{2}", r"\bigl(a\bigr)")
    )


@given(st.text() | st.text("<>/=\"' scriptimgonerrorhttp:", max_size=80))
def test_any_cleaned_text_is_harmless(text: str) -> None:
    assert_harmless(clean(text))


def test_metrics_become_tables_with_every_name_escaped() -> None:
    metrics = {"n": 6815744, "share": 0.000848, EVIL: EVIL, "interval": [0.1, 0.2], "none": None}
    metrics["methods"] = {"paper": {"jaccard": 0.5, "n": 50}, EVIL: {"jaccard": 0.25, "cosine": 1}}
    metrics["rows"] = [{"a": 1}, {"a": 2}]
    page = metric_tables(metrics)
    assert "6,815,744" in page and "0.000848" in page and "[0.1, 0.2]" in page
    assert "<th>methods</th><th>jaccard</th><th>n</th><th>cosine</th>" in page
    assert page.count("<table>") == 3
    assert_harmless(page)
    assert Elements(page).text.count(EVIL) == 3


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(runs.MissingStage, match="01_build_kg"):
        write_report(tmp_path)
    run_dir = tmp_path / "run <b>"
    for stage, name in runs.STAGES.items():
        runs.open_stage(run_dir, stage)
        runs.write_manifest(run_dir, stage, config={}, inputs={}, metrics={EVIL: 1}, seed=1, device=EVIL)
        cells = [new_markdown_cell(f"# Title {stage}\n\n## Part\n\n$a_b$")]
        cells += [new_code_cell("figure", outputs=[display(figure)]) for figure in FIGURES.values()]
        runs.atomic_write_text(copy_path(run_dir, name), nbformat.writes(new_notebook(cells=cells)))

    page = write_report(run_dir).read_text("utf-8")
    body = page[page.index("<body>") :]
    elements = Elements(body)
    assert_harmless(body)
    assert "default-src 'none'" in page
    for word in ("require.js", "mathjax", "cdn."):
        assert word not in page.lower()
    assert [tag for tag, _ in elements.found].count("img") == 4 * (len(FIGURES) + 1)
    targets = {attributes["id"] for _, attributes in elements.found if "id" in attributes}
    links = [attributes["href"] for tag, attributes in elements.found if tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} <= targets
    assert len(links) == 1 + 4 * 2 + 4 + 4 * len(FIGURES)  # contents, manifests, and beside each figure its stage
    assert body.count("where this comes from") == 4 * len(FIGURES)
    assert "01_build_kg, cell 1, under “Part”" in elements.text
    assert all(f"origin-{stage}" in targets for stage in runs.STAGES)
    assert runs.read_manifest(run_dir, "kg")["code"]["package_sha256"] in elements.text


def test_a_report_is_written_again_only_when_it_must_be(tmp_path: Path) -> None:
    for stage, name in runs.STAGES.items():
        runs.open_stage(tmp_path, stage)
        runs.write_manifest(tmp_path, stage, config={}, inputs={}, metrics={}, seed=1, device="cpu")
        runs.atomic_write_text(copy_path(tmp_path, name), nbformat.writes(new_notebook(cells=[])))
    path = current_report(tmp_path)
    before = path.stat().st_mtime_ns
    assert report_state(tmp_path) is None and current_report(tmp_path).stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes().replace(b"Headline", b"Deadline"))
    assert "was changed" in str(report_state(tmp_path))
    current_report(tmp_path)
    runs.open_stage(tmp_path, "kg")
    runs.write_manifest(tmp_path, "kg", config={}, inputs={}, metrics={}, seed=2, device="cpu")
    assert "another state" in str(report_state(tmp_path))


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_formula_of_the_notebooks_can_be_drawn(notebook: Path) -> None:
    page = render_notebook(nbformat.read(notebook, as_version=4), prefix="n").body
    assert re.findall(r'<code class="formula">(.*?)</code>', page) == []
