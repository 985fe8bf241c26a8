"""What opens in JupyterLab, in a real browser: the explorers of masks, graph and shift, a guess, a training."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import ui_browser as ui
from ui_run import write_notebooks

pytestmark = [pytest.mark.ui, ui.needs_browser]


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory, ui_run: Path, browser) -> Iterator[tuple]:
    """JupyterLab, opened once: its notebooks share the page and one kernel. With it, what watches it."""
    folder = tmp_path_factory.mktemp("lab")
    notebooks = write_notebooks(folder / "notebooks", ui_run)
    with ui.lab(folder, root=notebooks) as url, ui.watched(browser) as (page, watch):
        page.goto(url)
        yield page, watch


@pytest.fixture
def page(visited: tuple) -> Iterator:
    """Its page; what it asked for and said is checked at the end."""
    page, watch = visited
    yield page
    watch.check()


def opened(page, name: str):
    """The panel of a notebook, once its graph is drawn."""
    panel = ui.run_notebook(page, name)
    ui.expect(panel.locator(".wb-graph .wb-spot").first).to_be_visible()
    return panel


def test_sliders_recompute_cancel_and_errors_in_the_lab(page) -> None:
    ui.run_notebook(page, "explore")
    panel = ui.explorer(page)
    ui.recomputed(panel, "certified")
    panel.locator(".wb-method").get_by_text("paper's mask").click()
    ui.recomputed(panel, "paper")
    panel.get_by_text("weights of the masks").click()
    bars, marker = panel.locator(".wb-table .wb-now").nth(2), panel.locator(".wb-marker")
    ui.expect(marker).to_have_text("")
    before = bars.get_attribute("width")
    handle = panel.locator(".wb-weight-alpha .noUi-handle")
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    ui.expect(marker).to_contain_text("other settings")
    ui.expect(bars).not_to_have_attribute("width", before)
    ui.check_access(page, ".wb-panel")
    read = panel.locator(".wb-weight-alpha .widget-readout").inner_text()
    ui.expect(handle).to_have_attribute("aria-valuetext", read)
    button, status = panel.locator("button.wb-recompute"), panel.locator(".wb-status")
    panel.locator(".wb-method").get_by_text("mask, model in the loop").click()
    button.click()
    ui.expect(button).to_have_text("running")
    ui.expect(button).to_be_disabled()
    ui.expect(status).to_contain_text(re.compile(r"step \d+ of 60"))
    panel.locator("button.wb-cancel").click()
    ui.expect(status).to_contain_text("cancelled")
    ui.expect(button).to_have_text("Recompute")
    ui.expect(button).to_be_enabled()
    panel.locator(".wb-source input").fill("no such place")
    panel.locator("button.wb-ask").click()
    ui.expect(panel.locator(".wb-asked")).to_contain_text("no source is called 'no such place'")
    panel.locator(".wb-source input").fill("NCBI Sequence Read Archive")
    panel.locator(".wb-target input").fill("SAM")
    panel.locator("button.wb-ask").click()
    chooser = panel.locator(".wb-chooser select")
    ui.expect(chooser.locator("option:checked")).to_contain_text("asked:")  # other answers stand until then
    ui.expect(panel.locator(".wb-words")).to_contain_text(re.compile("The tuned model answers.*The base model answers"))
    ui.expect(panel.locator(".wb-asked")).to_have_text("")
    chooser.select_option(index=0)
    panel.locator(".wb-method").get_by_text("paper's mask").click()
    ui.expect(marker).to_contain_text("other settings")


def test_a_state_is_saved_and_restored_in_a_new_panel(page) -> None:
    if not page.url.endswith("explore.ipynb"):  # the test before has left it open
        ui.run_notebook(page, "explore")
    panel = ui.explorer(page)
    if not panel.locator(".wb-weight-beta").is_visible():
        panel.get_by_text("weights of the masks").click()
    panel.locator(".wb-weight-beta .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    panel.locator(".wb-prompt input[type=checkbox]").nth(2).uncheck()
    words = panel.locator(".wb-words")
    ui.expect(words).to_contain_text("Taken out")
    ui.expect(words).to_contain_text("base model")
    said = words.inner_text()
    panel.get_by_text("state: save, load, export").click()
    saved = panel.locator(".wb-saved textarea")
    ui.expect(saved).to_have_value(re.compile(r'"beta": 0\.056'))
    state = saved.input_value()
    assert json.loads(state)["by_hand"]
    ui.run_notebook(page, "explore")
    fresh = ui.explorer(page)
    fresh.get_by_text("state: save, load, export").click()
    ui.expect(fresh.locator(".wb-saved textarea")).not_to_have_value(state)
    fresh.locator(".wb-saved textarea").fill(state)
    fresh.locator("button.wb-apply").click()
    ui.expect(fresh.locator(".wb-words")).to_have_text(said)
    ui.expect(fresh.locator(".wb-saved textarea")).to_have_value(state)
    ui.expect(fresh.locator(".wb-weight-beta .widget-readout")).to_have_text("0.0561")


def test_names_that_mean_harm_are_shown_and_run_nothing(page) -> None:
    ui.run_notebook(page, "hostile")
    panel = ui.explorer(page)
    panel.locator(".wb-prompt input:checked").first.uncheck()
    ui.expect(panel.locator(".wb-words")).to_contain_text("Taken out")
    ui.expect(panel.locator(".wb-prompt")).to_contain_text("<img")
    ui.expect(panel.locator(".wb-drawing .wb-title")).to_contain_text("<img")
    ui.expect(panel.locator(".wb-spot").first).to_have_attribute("aria-label", re.compile(r"<img|javascript"))
    panel.get_by_text("state: save, load, export").click()
    panel.locator("button.wb-export").click()
    ui.expect(panel.locator(".wb-links a[download]")).to_have_count(4)
    assert panel.locator("img, script, iframe").count() == 0
    assert panel.locator("a:not([download])").count() == 0
    assert panel.locator("a[href^='javascript']").count() == 0
    assert "\u202e" not in panel.inner_text()


def test_searching_and_clicking_walk_through_the_graph(page) -> None:
    panel = opened(page, "graph")
    ui.expect(panel.locator(".wb-shown")).to_contain_text("showing 9 of 9 nodes")
    panel.locator(".wb-search input").fill("align")
    ui.expect(panel.locator(".wb-hits select option")).to_have_count(4)
    panel.locator(".wb-hits select").select_option(index=0)
    ui.expect(panel.locator(".wb-shown")).to_contain_text("within 1 step of <img")
    ui.press(page, panel.locator(".wb-spot[data-key='1']"))
    ui.expect(panel.locator(".wb-shown")).not_to_contain_text("of <img src=x onerror=alert(1)> $x$ %{y}align")
    node = panel.locator(".wb-spot[tabindex='0']")
    node.focus()
    ui.expect(panel.locator(".wb-tip")).to_contain_text("facts in")
    page.keyboard.press("ArrowLeft")  # to a fact, and over it to a node
    page.keyboard.press("ArrowLeft")
    other = panel.locator(".wb-face :focus")
    ui.expect(other).not_to_have_attribute("data-key", "0")
    said = other.get_attribute("aria-label")
    page.keyboard.press("Enter")
    ui.expect(panel.locator(".wb-spot[data-key='0']")).to_have_attribute("aria-label", said)
    names = ui.names_of(panel)
    assert names["out"] == 0 and names["least"] >= 11, names
    ui.expect(panel.locator(".wb-status")).to_have_text("")
    assert panel.locator("img").count() == 0
    ui.check_access(page, ".wb-panel")


def test_dose_switch_and_element_are_reached_by_keyboard(page) -> None:
    panel = opened(page, "shift")
    ui.expect(panel.locator(".wb-words")).to_contain_text("At dose 1 ")
    panel.locator(".wb-dose .noUi-handle").press("ArrowLeft")
    ui.expect(panel.locator(".wb-words")).to_contain_text("At dose 0.95 ")
    module = panel.locator("button.wb-module-2")
    ui.expect(module).to_have_attribute("aria-pressed", "false")
    module.press("ArrowDown")
    ui.expect(panel.locator("button.wb-module-3")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    ui.expect(panel.locator(".wb-words")).to_contain_text("1 of 4 modules off")
    ui.expect(module).to_have_attribute("aria-label", re.compile("q_proj of layer 1, off"))
    ui.press(page, panel.locator(".wb-spot[data-key='2']"))
    ui.expect(panel.locator(".wb-picked")).to_contain_text("attention")
    ui.expect(panel.locator(".wb-spot[data-key='2']")).to_have_attribute("aria-current", "true")
    ui.check_access(page, ".wb-panel")


def test_a_guess_is_marked_and_scored_over_cases(page) -> None:
    panel, drawn = ui.run_notebook(page, "guess"), page.locator("svg.wb-map")
    ui.expect(drawn).to_have_attribute("aria-label", re.compile("This notebook is explanation"))
    lines = panel.locator(".wb-line input")
    ui.expect(lines).to_have_count(5)
    lines.nth(1).uncheck()
    ui.expect(panel.locator(".wb-line.wb-removed")).to_have_count(1)
    panel.get_by_role("button", name="Score").click()
    scored = panel.locator(".wb-scored")
    ui.expect(scored).to_contain_text("you: 1 fact marked")
    panel.locator("select").select_option(index=1)
    ui.expect(lines).to_have_count(7)
    panel.get_by_role("button", name="Score").click()
    ui.expect(scored.locator("tr").filter(has_text="you").locator("td").first).to_have_text("2")
    ui.check_access(page, ".wb-panel")


def test_the_square_of_the_lab_stops_a_training_and_leaves_an_adapter(page) -> None:
    ui.run_notebook(page, "training")
    said = page.locator(".jp-OutputArea-output [role=status]")
    ui.expect(said).to_contain_text("tokens a second")  # some steps are done
    page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    ui.expect(said).to_contain_text("stopped before step 100,000")
    ui.check_access(page, ".jp-OutputArea")
    ui.expect(page.locator(".jp-OutputArea-output pre")).to_contain_text("adapter_model.safetensors")
