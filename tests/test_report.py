"""The report: everything visible, nothing loaded, one known script run, whatever the names in a graph are."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from textwrap import fill

import nbformat
import pytest
from dosed_models import sharp
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from refusals import refused
from report_runs import EVIL, MEAN, METRICS, PNG, display, finish, live_case
from tiny import chain_case

from workbench.artifacts import runs
from workbench.explain.sets import ElementSet
from workbench.explain.trial import answered
from workbench.game import Engine
from workbench.hands.report import finding
from workbench.hands.report.lineage import STATIC, report_state
from workbench.hands.report.render import clean, formula, render_notebook, sentences
from workbench.hands.report.write import current_report, metric_tables, write_beside, write_report

ROOT = Path(__file__).resolve().parent.parent

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
        assert not {"srcset", "background"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")], attributes
        assert attributes.get("src", "data:").startswith("data:")
        assert "url(" not in attributes.get("style", "")
        assert not re.match(r"\s*(javascript|data):", attributes.get("href") or "", re.IGNORECASE)


def show(*outputs: nbformat.NotebookNode) -> str:
    found = render_notebook(new_notebook(cells=[new_code_cell("figure", outputs=list(outputs))]))
    return "".join(found.parts[0].body)


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
    found = render_notebook(new_notebook(cells=[new_markdown_cell(source)]))
    (part,) = found.parts
    (body,) = part.body
    assert 'href="https://e.org"' in body and "p.png" not in body and "\ue000" not in body
    assert body.count("<math") == 2 and "<mfrac>" in body and "α" in body
    assert found.title.startswith("A b x")
    assert_harmless(body)


def test_a_formula_beyond_the_converter_is_shown_as_its_source() -> None:
    assert formula(r"\nosuchthing<b>") == r'<code class="formula">\nosuchthing&lt;b&gt;</code>'
    known = (r"a \le b", r"\lVert x\rVert", r"\tfrac{1}{2}", r"\bigl(a\bigr)")
    assert all(formula(one).startswith("<math") for one in known)


def test_the_answer_of_a_notebook_stands_before_its_parts() -> None:
    printed = new_output(
        "stream", name="stdout", text="a sentence that is wrapped, " * 3 + "since the next\nword-is-long.\nAnother.\n"
    )
    told = new_code_cell("answer", outputs=[printed, display({"image/png": PNG})], metadata={"tags": ["answer"]})
    cells = [new_markdown_cell("# Title\n\n**Question.** Why?"), new_markdown_cell("## Part <i>"), told]
    found = render_notebook(new_notebook(cells=[*cells, new_code_cell("more", outputs=[display({"image/png": PNG})])]))
    assert (found.title, "Why?" in found.question) == ("Title", True)
    assert found.said[1:] == ["Another."] and found.said[0].endswith("next word-is-long.")
    assert [part.pictures for part in found.parts] == [0, 2] and found.parts[1].title == "Part"
    assert len(found.drawn) == 1 and "".join(found.parts[1].body).count("<img") == 1


@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=40).map(" ".join))
def test_a_wrapped_sentence_is_joined_as_it_was(line: str) -> None:
    assert sentences(f"{fill(line, 100)}\n  an indented line") == [line, "  an indented line"]


@given(st.text() | st.text("<>/=\"' scriptimgonerrorhttp:", max_size=80), st.text("<>&\"'\\\\{}^_ abhreftxscript:/#;0"))
def test_any_cleaned_text_and_any_formula_are_harmless(text: str, latex: str) -> None:
    for one in (clean(text), formula(latex), formula(rf"\text{{{EVIL}}}"), formula(r"\href{javascript:alert(1)}{x}")):
        assert_harmless(one)


def test_metrics_become_tables() -> None:
    metrics = {"n": 6815744, "share": 0.000848, EVIL: EVIL, "interval": [0.1, 0.2], "none": None}
    metrics["methods"] = {"paper": {"jaccard": 0.5, "n": 50}, EVIL: {"jaccard": 0.25, "cosine": 1}}
    metrics["rows"] = [{"a": 1}, {"a": 2}]
    single, methods, rows = metric_tables(metrics)
    assert single == ([], [[name, metrics[name]] for name in ("n", "share", EVIL, "interval", "none")])
    assert methods == (["methods", "jaccard", "n", "cosine"], [["paper", 0.5, 50, None], [EVIL, 0.25, None, 1]])
    assert rows == (["rows", "a"], [["0", 1], ["1", 2]])


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    refused("01_build_kg", write_report, tmp_path, error=runs.MissingStage)
    cells = [new_code_cell("figure", outputs=[display(figure)]) for figure in FIGURES.values()]
    run_dir = finish(tmp_path / "run <b>", cells=[new_markdown_cell("## Part\n\n$a_b$"), *cells])
    page = write_report(run_dir).read_text("utf-8")
    body = page[page.index("<body>") :]
    elements = Elements(body)
    assert_harmless(body)  # no case, no script
    assert "default-src 'none'" in page
    for word in ("require.js", "mathjax", "cdn."):
        assert word not in page.lower()
    assert [tag for tag, _ in elements.found].count("img") == 4 * len(FIGURES) == body.count("where this comes from")
    assert [tag for tag, _ in elements.found].count("math") == 4
    targets = {attributes["id"] for _, attributes in elements.found if "id" in attributes}
    links = [attributes["href"] for tag, attributes in elements.found if tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} <= targets
    assert len(links) == 4 + 4 + 4 * len(FIGURES)  # sections, manifests, and beside each figure its stage
    assert "01_build_kg, cell 1, under “Part”" in elements.text
    assert elements.text.count(EVIL) >= 8 and "6,815,744" in elements.text and "0.000848" in elements.text
    assert runs.read_manifest(run_dir, "kg")["code"]["package_sha256"] in elements.text


def test_the_one_script_is_the_package_s_and_names_are_data(tmp_path: Path) -> None:
    nasty = f"</script>{EVIL}\u2028&amp;"
    page = write_report(finish(tmp_path / "run", case=live_case(nasty))).read_text("utf-8")
    body = page[page.index("<body>") :]
    data, script = re.findall(r"(?s)<script[^>]*>(.*?)</script>", body)
    assert script == (STATIC / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    assert f"script-src 'sha256-{digest}'" in page and "unsafe-eval" not in page
    assert "<" not in data and nasty[:20] in json.loads(data)["facts"][0]["text"]
    rest = body.replace(script, "").replace(data, "")
    assert "several facts" not in page, "a run that has looked for no second case says nothing of it"
    none = write_report(finish(tmp_path / "none", case=live_case("x") | {"more": []})).read_text("utf-8")
    assert "No case of this run has a certified set of two facts or more" in none
    (tmp_path / "run" / "explain" / "answers.json").write_text("{}")  # not what the run recorded: not shown
    assert "<script" not in write_report(tmp_path / "run").read_text("utf-8")
    assert rest.count("<script") == 2 and "<img" not in rest and "onerror=alert" in Elements(rest).text


def test_what_can_be_tried_is_what_the_models_answer() -> None:
    """Asked anew, as texts without the facts, of a reader whose attention is sharp: singles, pairs and sets."""
    engine, case = Engine(sharp()), chain_case()
    facts = range(len(case.facts))
    first = len(case.nodes)
    flip = ElementSet("flip", (first + 3, first + 5, first + 6), True, True, 1, -1.0)
    enough = ElementSet("sufficient", (first + 1, first + 2), True, True, 1, 1.0)
    told = answered(engine, case, [flip, enough], paired=4)
    table = {tuple(row["without"]): row for row in told["answers"]}
    pairs = set(itertools.combinations(told["paired"], 2))
    assert len(pairs) == 6 and set(table) == {(), *((i,) for i in facts), *pairs, (3, 5, 6), (0, *range(3, 9))}
    assert len({tuple(path) for path in told["paths"]}) == len(told["paths"]) > 3
    left = [replace(case, facts=tuple(case.facts[i] for i in facts if i not in gone)) for gone in table]
    for model, adapter in (("tuned", True), ("base", False)):
        paths = [list(path) for path in engine.answers(left, adapter=adapter)]
        assert [told["paths"][row[model]] for row in table.values()] == paths


def test_the_finding_says_what_the_figures_say() -> None:
    hanging = {**METRICS["explain"]["hanging"], "dropped": {**MEAN, "mean": 0.64}}
    hanging["two"] = {**hanging["two"], "share": 0.55}
    for more, p, word in ((4.0, 0.001, "fewer of"), (-4.0, 0.001, "more of"), (4.0, 0.2, "cases do not tell")):
        hanging["dropped_over_added"] = {**MEAN, "mean": more, "p": p}
        said = finding.finding(METRICS | {"explain": {"hanging": hanging}})
        assert word in said and "dropped 64" in said
        assert ("hang on two facts, of which either is enough (n = 60)" in said) == (p > 0.05)
    assert [len(one["bars"]) for one in finding.figures(METRICS)] == [4, 3, 3, 2]
    assert [one["note"][:7] for one in finding.figures(METRICS)] == ["n = 161", "n = 60 ", "n = 60 ", "n = 60 "]
    adapter = dict(METRICS["adapter"])
    few = {name: {**one, "n": 2} if "base" in name else one for name, one in adapter["intervals"].items()}
    (right,) = finding.figures({"adapter": adapter | {"intervals": few}, "explain": {}, "shift": {}})
    assert right["note"] == "n = 161 cases (base: 2)"
    assert [bar["range"] for bar in right["bars"]] == ["[40, 60]", "(n = 2)"] * 2
    assert [bar["high"] - bar["low"] for bar in right["bars"]] == pytest.approx([20, 0] * 2)
    assert finding.finding({"adapter": adapter, "explain": {}})
    assert not finding.finding({"adapter": adapter | {"intervals": few}, "explain": {}})
    for topics, field in (([], "one seed, one graph,"), (["Mapping"], "one seed, one field of one graph,")):
        manifests = {"explain": {}, "adapter": {"config": {"topics": topics}}}
        assert field in finding.caveat(METRICS, manifests)
    none = {"hanging": {"one": {"share": None, "low": None, "high": None, "n": 0}}}
    assert finding.figures({"adapter": {}, "explain": none, "shift": {}}) == []
    assert finding.finding({"adapter": {}, "explain": none, "shift": {}}) == ""


@given(st.lists(st.sampled_from("abcd"), max_size=7), st.lists(st.sampled_from("abcd"), max_size=7))
def test_aligned_answers_hold_each_answer_in_its_order(full: list[str], now: list[str]) -> None:
    steps = finding.aligned(full, now)
    assert [one for one, _, _ in steps if one] == full and [two for _, two, _ in steps if two] == now
    for one, two, mark in steps:
        assert mark == ("same" if one == two else "other" if one and two else "gone" if one else "new")


def test_two_runs_stand_side_by_side(tmp_path: Path) -> None:
    several = live_case("y") | {"words": "Both must go."}
    first = finish(tmp_path / "one", case=live_case("x") | {"more": [several]})
    second = finish(tmp_path / "two", n=2, rate=0.5)
    (second / "shift" / runs.MANIFEST).unlink()
    page = write_beside(first, second, tmp_path / "page.html").read_text("utf-8")
    elements = Elements(page[page.index("<body>") :])
    assert [tag for tag, _ in elements.found].count("header") == 2 and page.count("<script>") == 1
    assert "rate" in elements.text and "was not made" in elements.text
    assert page.count("<p>Both must go.</p>") == page.count("No case of this run has a certified set") == 1
    assert re.search(r"<td>n</td><td class=\"number\">6,815,744</td><td class=\"number\">2</td>", page)


def test_a_report_is_written_again_only_when_it_must_be(tmp_path: Path) -> None:
    finish(tmp_path)
    path = current_report(tmp_path)
    before = path.stat().st_mtime_ns
    assert report_state(tmp_path) is None and current_report(tmp_path).stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes().replace(b"recorded metric", b"other metric"))
    assert "was changed" in str(report_state(tmp_path))
    current_report(tmp_path)
    runs.open_stage(tmp_path, "kg")
    runs.write_manifest(tmp_path, "kg", config={}, inputs={}, metrics={}, seed=2, device="cpu")
    assert "another state" in str(report_state(tmp_path))


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_formula_of_the_notebooks_can_be_drawn(notebook: Path) -> None:
    found = render_notebook(nbformat.read(notebook, as_version=4))
    page = "".join(text for part in found.parts for text in part.body)
    assert re.findall(r'<code class="formula">(.*?)</code>', page) == []
    assert "answer" in {tag for cell in nbformat.read(notebook, 4).cells for tag in cell.metadata.get("tags", [])}
