"""What opens in JupyterLab, in a real browser: the explorers of masks, graph and shift, a guess, a training."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ui_browser import (
    check_access,
    expect,
    explorer,
    lab,
    names_of,
    needs_browser,
    press,
    recomputed,
    run_notebook,
    watched,
)
from ui_run import write_notebooks

pytestmark = [pytest.mark.ui, needs_browser]


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory, ui_run: Path, browser) -> Iterator[tuple]:
    """JupyterLab, opened once: its notebooks share the page and one kernel. With it, what watches it."""
    folder = tmp_path_factory.mktemp("lab")
    with lab(folder, root=write_notebooks(folder / "notebooks", ui_run)) as url, watched(browser) as (page, watch):
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
    panel = run_notebook(page, name)
    expect(panel.locator(".wb-graph .wb-spot").first).to_be_visible()
    return panel


def test_sliders_recompute_cancel_and_errors_in_the_lab(page) -> None:
    run_notebook(page, "explore")
    panel = explorer(page)
    recomputed(panel, "certified")
    panel.locator(".wb-method").get_by_text("paper's mask").click()
    recomputed(panel, "paper")
    panel.get_by_text("weights of the masks").click()
    bars, marker = panel.locator(".wb-table .wb-now").nth(2), panel.locator(".wb-marker")
    expect(marker).to_have_text("")
    before = bars.get_attribute("width")
    handle = panel.locator(".wb-weight-alpha .noUi-handle")
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(marker).to_contain_text("other settings")
    expect(bars).not_to_have_attribute("width", before)
    check_access(page, ".wb-panel")
    expect(handle).to_have_attribute("aria-valuetext", panel.locator(".wb-weight-alpha .widget-readout").inner_text())
    button, status = panel.locator("button.wb-recompute"), panel.locator(".wb-status")
    panel.locator(".wb-method").get_by_text("mask, model in the loop").click()
    button.click()
    expect(button).to_have_text("running")
    expect(button).to_be_disabled()
    expect(status).to_contain_text(re.compile(r"step \d+ of 60"))
    panel.locator("button.wb-cancel").click()
    expect(status).to_contain_text("cancelled")
    expect(button).to_have_text("Recompute")
    expect(button).to_be_enabled()
    panel.locator(".wb-source input").fill("no such place")
    panel.locator("button.wb-ask").click()
    expect(panel.locator(".wb-asked")).to_contain_text("no source is called 'no such place'")
    panel.locator(".wb-source input").fill("NCBI Sequence Read Archive")
    panel.locator(".wb-target input").fill("SAM")
    panel.locator("button.wb-ask").click()
    chooser = panel.locator(".wb-chooser select")
    expect(chooser.locator("option:checked")).to_contain_text("asked:")  # the answers to another case stand until then
    expect(panel.locator(".wb-words")).to_contain_text(re.compile("The tuned model answers.*The base model answers"))
    expect(panel.locator(".wb-asked")).to_have_text("")
    chooser.select_option(index=0)
    panel.locator(".wb-method").get_by_text("paper's mask").click()
    expect(marker).to_contain_text("other settings")


def test_a_state_is_saved_and_restored_in_a_new_panel(page) -> None:
    if not page.url.endswith("explore.ipynb"):  # the test before has left it open
        run_notebook(page, "explore")
    panel = explorer(page)
    if not panel.locator(".wb-weight-beta").is_visible():
        panel.get_by_text("weights of the masks").click()
    panel.locator(".wb-weight-beta .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    panel.locator(".wb-prompt input[type=checkbox]").nth(2).uncheck()
    words = panel.locator(".wb-words")
    expect(words).to_contain_text("Taken out")
    expect(words).to_contain_text("base model")
    said = words.inner_text()
    panel.get_by_text("state: save, load, export").click()
    saved = panel.locator(".wb-saved textarea")
    expect(saved).to_have_value(re.compile(r'"beta": 0\.056'))
    state = saved.input_value()
    assert json.loads(state)["by_hand"]
    run_notebook(page, "explore")
    fresh = explorer(page)
    fresh.get_by_text("state: save, load, export").click()
    expect(fresh.locator(".wb-saved textarea")).not_to_have_value(state)
    fresh.locator(".wb-saved textarea").fill(state)
    fresh.locator("button.wb-apply").click()
    expect(fresh.locator(".wb-words")).to_have_text(said)
    expect(fresh.locator(".wb-saved textarea")).to_have_value(state)
    expect(fresh.locator(".wb-weight-beta .widget-readout")).to_have_text("0.0561")


def test_names_that_mean_harm_are_shown_and_run_nothing(page) -> None:
    run_notebook(page, "hostile")
    panel = explorer(page)
    panel.locator(".wb-prompt input:checked").first.uncheck()
    expect(panel.locator(".wb-words")).to_contain_text("Taken out")
    expect(panel.locator(".wb-prompt")).to_contain_text("<img")
    expect(panel.locator(".wb-drawing .wb-title")).to_contain_text("<img")
    expect(panel.locator(".wb-spot").first).to_have_attribute("aria-label", re.compile(r"<img|javascript"))
    panel.get_by_text("state: save, load, export").click()
    panel.locator("button.wb-export").click()
    expect(panel.locator(".wb-links a[download]")).to_have_count(4)
    assert panel.locator("img, script, iframe").count() == 0
    assert panel.locator("a:not([download])").count() == 0
    assert panel.locator("a[href^='javascript']").count() == 0
    assert "\u202e" not in panel.inner_text()


def test_searching_and_clicking_walk_through_the_graph(page) -> None:
    panel = opened(page, "graph")
    expect(panel.locator(".wb-shown")).to_contain_text("showing 9 of 9 nodes")
    panel.locator(".wb-search input").fill("align")
    expect(panel.locator(".wb-hits select option")).to_have_count(4)
    panel.locator(".wb-hits select").select_option(index=0)
    expect(panel.locator(".wb-shown")).to_contain_text("within 1 step of <img")
    press(page, panel.locator(".wb-spot[data-key='1']"))
    expect(panel.locator(".wb-shown")).not_to_contain_text("of <img src=x onerror=alert(1)> $x$ %{y}align")
    node = panel.locator(".wb-spot[tabindex='0']")
    node.focus()
    expect(panel.locator(".wb-tip")).to_contain_text("facts in")
    page.keyboard.press("ArrowLeft")  # to a fact, and over it to a node
    page.keyboard.press("ArrowLeft")
    other = panel.locator(".wb-face :focus")
    expect(other).not_to_have_attribute("data-key", "0")
    said = other.get_attribute("aria-label")
    page.keyboard.press("Enter")
    expect(panel.locator(".wb-spot[data-key='0']")).to_have_attribute("aria-label", said)
    names = names_of(panel)
    assert names["out"] == 0 and names["least"] >= 11, names
    expect(panel.locator(".wb-status")).to_have_text("")
    assert panel.locator("img").count() == 0
    check_access(page, ".wb-panel")


def test_dose_switch_and_element_are_reached_by_keyboard(page) -> None:
    panel = opened(page, "shift")
    expect(panel.locator(".wb-words")).to_contain_text("At dose 1 ")
    panel.locator(".wb-dose .noUi-handle").press("ArrowLeft")
    expect(panel.locator(".wb-words")).to_contain_text("At dose 0.95 ")
    module = panel.locator("button.wb-module-2")
    expect(module).to_have_attribute("aria-pressed", "false")
    module.press("ArrowDown")
    expect(panel.locator("button.wb-module-3")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(panel.locator(".wb-words")).to_contain_text("1 of 4 modules off")
    expect(module).to_have_attribute("aria-label", re.compile("q_proj of layer 1, off"))
    press(page, panel.locator(".wb-spot[data-key='2']"))
    expect(panel.locator(".wb-picked")).to_contain_text("attention")
    expect(panel.locator(".wb-spot[data-key='2']")).to_have_attribute("aria-current", "true")
    check_access(page, ".wb-panel")


def test_a_guess_is_marked_and_scored_over_cases(page) -> None:
    panel, drawn = run_notebook(page, "guess"), page.locator("svg.wb-map")
    expect(drawn).to_have_attribute("aria-label", re.compile("This notebook is explanation"))
    lines = panel.locator(".wb-line input")
    expect(lines).to_have_count(5)
    lines.nth(1).uncheck()
    expect(panel.locator(".wb-line.wb-removed")).to_have_count(1)
    panel.get_by_role("button", name="Score").click()
    scored = panel.locator(".wb-scored")
    expect(scored).to_contain_text("you: 1 fact marked")
    panel.locator("select").select_option(index=1)
    expect(lines).to_have_count(7)
    panel.get_by_role("button", name="Score").click()
    expect(scored.locator("tr").filter(has_text="you").locator("td").first).to_have_text("2")
    check_access(page, ".wb-panel")


def test_the_square_of_the_lab_stops_a_training_and_leaves_an_adapter(page) -> None:
    run_notebook(page, "training")
    said = page.locator(".jp-OutputArea-output [role=status]")
    expect(said).to_contain_text("tokens a second")  # some steps are done
    page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    expect(said).to_contain_text("stopped before step 100,000")
    check_access(page, ".jp-OutputArea")
    expect(page.locator(".jp-OutputArea-output pre")).to_contain_text("adapter_model.safetensors")
