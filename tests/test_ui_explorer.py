"""The mask explorer in a real browser, as a page by itself. A graph's drawing there without a kernel: as many nodes as
the graph explorer shows at its start."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import ui_browser as ui
from refusals import refused

from workbench.cases import load_cases
from workbench.hands.narrative.names import GLOSSARY
from workbench.hands.panel.graph import AT_MOST, GraphPanel
from workbench.hands.panel.parts import STATIC, Graph
from workbench.kg import load_graph

pytestmark = [pytest.mark.ui, ui.needs_browser]


@pytest.fixture(scope="module")
def page_url(tmp_path_factory: pytest.TempPathFactory, ui_run: Path) -> Iterator[str]:
    """The page on a dark ground; JupyterLab shows the explorer on a light one."""
    folder = tmp_path_factory.mktemp("app")
    with ui.app(folder, ui_run, "--dark") as url:
        yield url
    assert "deprecat" not in (folder / "app.log").read_text("utf-8").lower()
    with pytest.raises(OSError):
        urllib.request.urlopen(url)


@pytest.fixture(scope="module")
def visited(page_url: str, browser) -> Iterator[tuple]:
    """The explorer's page, opened once: each visit starts a kernel. With it, what watches it."""
    with ui.watched(browser) as (page, watch):
        page.goto(page_url, wait_until="commit")
        ui.expect(page.locator("#loading[aria-busy]")).to_contain_text("Loading the model")
        assert page.locator(".wb-panel").count() == 0, "the page is there before the model is"
        ui.explorer(page)
        ui.expect(page.locator("#loading")).to_have_count(0)
        yield page, watch


@pytest.fixture
def shown(visited: tuple) -> Iterator:
    """The page with nothing taken out; what it asked for and said is checked at the end."""
    page, watch = visited
    page.set_viewport_size({"width": 1280, "height": 2000})
    panel = ui.explorer(page)
    panel.locator("button.wb-back").click()
    ui.expect(panel.locator(".wb-words")).to_contain_text("Nothing is taken out")
    for said in (".wb-carried", ".wb-checked"):  # of the test before
        ui.expect(panel.locator(said)).to_have_text("")
    yield page
    watch.check()


def test_a_pasted_record_is_asked_of_the_model_and_its_fault_stands_below_the_box(shown):
    box = shown.locator(".wb-records")
    box.get_by_label("records, as JSON").fill('{"question": "Which chain?"}')
    box.get_by_role("button", name="Explain").click()
    ui.expect(box.get_by_role("alert")).to_contain_text("facts: it must be a list of 1 to 1,000 facts")
    ui.expect(box.locator(".wb-status")).to_contain_text("0 of 1 records")


def test_the_page_shows_no_code_and_asks_for_its_token(page_url: str, shown) -> None:
    page = shown
    assert page.title() == "Mask explorer" and page.locator("html").get_attribute("lang")
    ui.expect(page.get_by_role("main")).to_have_count(1)
    ui.expect(page.get_by_role("heading", level=1)).to_contain_text("Mask explorer")
    assert page.content().find("page_run_dir") == -1 and page.locator(".jp-CodeCell .jp-InputArea").count() == 0
    bare = page_url.partition("?")[0]
    for place in ("", "api/kernels", "voila/render/explorer.ipynb"):
        assert urllib.request.urlopen(bare + place).url.startswith(f"{bare}login?"), place
    refused("403", urllib.request.urlopen, bare + "api/kernels", data=b"{}", error=urllib.error.HTTPError)


def test_the_dark_page_can_be_read(shown) -> None:
    """Nothing serious is in the way of screen readers, with everything on the page that there can be."""
    page, panel = shown, ui.explorer(shown)
    paper = panel.locator(".wb-drawing").evaluate("one => getComputedStyle(one).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", paper)[:3])) < 200, paper
    ui.recomputed(panel, "certified")
    panel.locator(".wb-prompt input[type=checkbox]:checked").first.uncheck()
    ui.expect(panel.locator(".wb-words")).to_contain_text("Taken out")
    panel.locator(".wb-chains button").first.click()
    ui.expect(panel.locator(".wb-carried")).to_contain_text("nats")
    panel.locator("button.wb-check").click()
    ui.expect(panel.locator(".wb-checked")).to_contain_text("asked")
    ui.check_access(page)


def test_a_fact_taken_out_by_keyboard_or_mouse_changes_both_answers(shown, ui_run: Path) -> None:
    page, panel = shown, ui.explorer(shown)
    (case,) = load_cases(ui_run / "adapter" / "showcase.jsonl")
    needed = len(case.nodes) + case.facts.index(case.needed[1])
    words = panel.locator(".wb-words")
    box = panel.locator(f".wb-prompt input[data-key='{needed}']")
    box.focus()
    page.keyboard.press("Space")
    ui.expect(words).to_contain_text(re.compile(r"Taken out: .*The tuned model.*The base model"))
    ui.expect(box).not_to_be_checked()
    assert panel.locator(".wb-prompt input:not(:checked)").count() == 1, "the rest is ticked, and stays"
    ui.expect(panel.locator(".wb-line.wb-removed")).to_have_count(1)
    ui.expect(panel.locator(f".wb-link.wb-removed[data-key='{needed}']")).to_have_count(1)
    ui.expect(box).to_be_focused()
    for model in ("tuned", "base"):
        ui.expect(panel.locator(f".wb-row-{model} td")).to_have_count(3)
    target = case.nodes.index(case.target)
    ui.press(page, panel.locator(f".wb-spot[data-key='{target}']"))
    ui.expect(panel.locator(f".wb-spot.wb-removed[data-key='{target}']")).to_have_count(1)
    gone = panel.locator(".wb-line.wb-gone input").first
    ui.expect(gone).not_to_be_checked()
    ui.expect(gone).to_be_disabled()
    ui.expect(words).to_contain_text("2 elements")
    panel.locator("button.wb-check").click()
    ui.expect(panel.locator(".wb-checked")).to_contain_text("prompts asked")
    panel.locator("button.wb-back").click()
    ui.expect(words).to_contain_text("Nothing is taken out")
    ui.expect(panel.locator(".wb-removed")).to_have_count(0)


def test_a_command_clicked_shows_the_facts_that_carry_it(shown) -> None:
    page, panel = shown, ui.explorer(shown)
    command = panel.locator(".wb-chains button").first
    command.focus()
    page.keyboard.press("Enter")
    ui.expect(panel.locator(".wb-carried")).to_contain_text("nats")
    ui.expect(command).to_have_attribute("aria-pressed", "true")
    ui.expect(panel.locator(".wb-prompt .wb-score").first).to_contain_text("nats")


def test_a_word_of_a_sentence_says_what_it_means(shown) -> None:
    panel = ui.explorer(shown)
    for term in panel.locator(".wb-words .term").all():
        assert ui.meaning(term) == "none"
        term.focus()
        assert ui.meaning(term) == f'"{GLOSSARY[term.inner_text()]}"'
    assert {"tuned", "base"} <= set(panel.locator(".wb-words .term").all_inner_texts())
    assert panel.locator(".wb-needed").first.get_attribute("title") == GLOSSARY["needed"]


def test_nothing_runs_out_of_the_page_and_the_graph_is_seen_whole(shown) -> None:
    page, panel = shown, ui.explorer(shown)
    for width in (390, 640, 900, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.locator("#rendered_cells").evaluate("one => one.scrollTo(0, 0)")
        ui.drawn(page)
        wide = page.evaluate(
            "Math.max(...[...document.querySelectorAll('html, .wb-panel, .wb-panel > *')].map(e => e.scrollWidth))"
        )
        assert wide <= width
        names = ui.names_of(panel)
        assert names["out"] == names["met"] == 0 and names["least"] >= 11 and names["high"] <= 700, (width, names)
        tops = [
            panel.locator(f".wb-{name}").first.bounding_box()["y"] for name in ("chains", "graph", "method", "more")
        ]
        assert tops == sorted(tops), "answers and graph come before what sets them"
        ui.expect(panel.locator(".wb-row-tuned")).to_be_in_viewport()
        assert panel.locator(".wb-chains table").evaluate("one => one.scrollWidth <= one.parentNode.clientWidth")
        fits = "all => all.every(one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight + 1)"
        assert panel.locator(".wb-method label").evaluate_all(fits)


def test_a_finger_on_the_graph_moves_the_page_and_once_it_is_larger_the_graph(shown) -> None:
    page, stage = shown, ui.explorer(shown).locator(".wb-stage").first
    page.set_viewport_size({"width": 390, "height": 844})
    told, spot = page.context.new_cdp_session(page), stage.locator(".wb-spot").first
    told.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def swiped() -> tuple[float, float]:
        """How far a finger on the graph, that goes up by 150 pixels, moves the page, and a node in the graph."""
        stage.evaluate("one => one.scrollIntoView({ block: 'center' })")
        ui.drawn(page)
        before = tops()
        for kind, y in [("Start", 420), *(("Move", 420 - 15 * i) for i in range(1, 11)), ("End", None)]:
            told.send(
                "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": [{"x": 190, "y": y}] * bool(y)}
            )
        ui.drawn(page)
        (whole, node), (whole_before, node_before) = tops(), before
        return whole_before - whole, node_before - node

    def tops() -> tuple[float, float]:
        return stage.bounding_box()["y"], spot.evaluate("one => one.offsetTop")

    page_moved, graph_moved = swiped()
    assert page_moved > 50 and graph_moved == 0, "the page, or the window in which the graph stands"
    larger = ui.explorer(page).get_by_role("button", name="larger").first
    larger.click()
    page_moved, graph_moved = swiped()
    assert page_moved == 0 and graph_moved > 50
    shown.get_by_role("button", name="as at the start").click()
    told.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


PAGE = """<!doctype html><meta name="viewport" content="width=device-width"><style>{style}</style>
<div class="wb-panel"><div id="here"></div></div>
<script type="module">{script}
window.sent = [];
const model = {{ get: () => ({drawing}), on() {{}}, off() {{}}, send: (message) => window.sent.push(message) }};
widget.render({{ model, el: document.getElementById("here") }});
</script>"""


@pytest.fixture(scope="module")
def alone(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    drawing = GraphPanel(load_graph("biotoolkg").graph).view.graph.part.drawing
    assert len(drawing["spots"]) == AT_MOST
    script = str(Graph._esm).replace("export default {", "const widget = {")
    style = (STATIC / "panel.css").read_text("utf-8")
    file = Path(tmp_path_factory.mktemp("graph") / "graph.html")
    shown = json.dumps(drawing).replace("<", "\\u003c")
    file.write_text(PAGE.format(style=style, script=script, drawing=shown), "utf-8")
    with ui.watched(browser) as (page, watch):
        page.goto(file.as_uri())
        yield page
        assert not watch.errors


@pytest.mark.parametrize("width", [390, 900, 1440, 1920])
def test_sixty_nodes_stand_in_a_window_that_fits_a_screen_and_each_can_be_reached(alone, width: int) -> None:
    page = alone
    page.set_viewport_size({"width": width, "height": 844})
    ui.drawn(page)
    panel = page.locator(".wb-panel")
    names = ui.names_of(panel)
    assert names["out"] == names["met"] == 0 and names["least"] >= 11 and names["high"] <= 700, names
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    lowest = panel.locator(".wb-spot").evaluate_all(
        "all => all.reduce((a, b) => (a.offsetTop > b.offsetTop ? a : b)).dataset.key"
    )
    spot, key = panel.locator(f".wb-spot[data-key='{lowest}']"), int(lowest)
    ui.expect(spot).to_have_count(1)
    spot.focus()  # by keyboard: the window goes there
    ui.expect(spot).to_be_in_viewport(ratio=1)
    ui.press(page, spot)
    assert page.evaluate("window.sent.at(-1)") == {"toggle": key}
    panel.get_by_role("button", name="larger").click()
    ui.drawn(page)
    assert spot.bounding_box()["y"] < 844, "it grows around what is seen"
    panel.get_by_role("button", name="as at the start").click()
